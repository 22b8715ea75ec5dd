"""Closed-form continuous-time cell: a liquid cell without a solver, whose solution in time is written down.

    x(t) = head(backbone([input, x(t - elapsed)]), elapsed)                                  CfCCell
    x_l(t) = head_l([x_(l-1)(t), x_l(t - elapsed)], elapsed),         x_0 = input            WiredCfCCell

    head, by mode:   default   x(t) = (1 - s) tanh(f(y)) + s tanh(g(y)),     s = sigmoid(a(y) t + b(y))
                     no_gate   x(t) = tanh(f(y)) + s tanh(g(y))
                     pure      x(t) = A - A exp(-(|w| + |f(y)|) t) f(y)

t elapsed time in ms, y features of input and state (the backbone is some dense layers); f, g, a, b linear; A, w one number
for each unit. In the default mode a unit goes from tanh(f) to tanh(g) as t passes -b / a, the faster the larger a is, and
for a > 0 ends at tanh(g). The pure mode is the approximate solution of the liquid equation from which the others were made;
it ends at A. In the wired cell, each layer of a wiring is a head, whose weights exist where the wiring has a synapse, from
the layer before and within the layer, and from each unit to itself; it has no backbone, which would mix the synapses.

Source: Hasani, Lechner, Amini et al. (2022), Nature Machine Intelligence 4:992; the offset b, the forms of the modes, the
sizes and the wired cell as in the authors' package ncps 1.0.1. Ours: w starts at 0.1 per ms (there at 0, where |w| has no
gradient and stays), and the wiring decides on every weight (there only f and g are masked, and a layer is connected to all
of itself).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynvision.errors import InputError, unknown_name
from dynvision.neurons.cell import ElapsedTime, MaskedLinear, Module, Parameter, TimedCell
from dynvision.neurons.wirings import Wiring, built


class GatedHead(Module):
    """Between two states, by a gate that time moves: the default mode.

    Args:
        n_features: of y.
        hidden_size: units, N.
        mask: (n_features, N), 1 where a weight is; None for everywhere.
    """

    def __init__(self, n_features: int, hidden_size: int, mask: Tensor | None = None) -> None:
        super().__init__()
        self.f, self.g, self.a, self.b = (MaskedLinear(n_features, hidden_size, mask) for _ in range(4))

    def forward(self, y: Tensor, elapsed_time: ElapsedTime) -> Tensor:
        """The state (B, N) after the elapsed time, for y (B, n_features)."""
        s = torch.sigmoid(self.a(y) * elapsed_time + self.b(y))
        return (1.0 - s) * torch.tanh(self.f(y)) + s * torch.tanh(self.g(y))


class UngatedHead(GatedHead):
    """One state, and another on top of it as time continues; arguments as of :class:`GatedHead`."""

    def forward(self, y: Tensor, elapsed_time: ElapsedTime) -> Tensor:
        s = torch.sigmoid(self.a(y) * elapsed_time + self.b(y))
        return torch.tanh(self.f(y)) + s * torch.tanh(self.g(y))


class PureHead(Module):
    """The approximate solution of the liquid equation; arguments as of :class:`GatedHead`."""

    def __init__(self, n_features: int, hidden_size: int, mask: Tensor | None = None) -> None:
        super().__init__()
        self.f = MaskedLinear(n_features, hidden_size, mask)
        self.w = Parameter(torch.full((hidden_size,), 0.1))
        self.A = Parameter(torch.ones(hidden_size))

    def forward(self, y: Tensor, elapsed_time: ElapsedTime) -> Tensor:
        f = self.f(y)
        return self.A - self.A * torch.exp(-(self.w.abs() + f.abs()) * elapsed_time) * f


HEADS: dict[str, type[GatedHead] | type[PureHead]] = {
    "default": GatedHead,
    "no_gate": UngatedHead,
    "pure": PureHead,
}


def make_head(mode: str, n_features: int, hidden_size: int, mask: Tensor | None = None) -> nn.Module:
    """The head of a mode, with Xavier-uniform weights.

    Raises:
        InputError: the mode is not known.
    """
    if mode not in HEADS:
        raise unknown_name("mode", mode, HEADS, key="mode")
    head = HEADS[mode](n_features, hidden_size, mask)
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    return head


class CfCCell(TimedCell):
    """A closed-form continuous-time cell.

    Args:
        input_size: inputs, F.
        hidden_size: units, N.
        mode: ``default``, ``no_gate`` or ``pure``.
        activation: nonlinearity of the backbone, a name of :data:`ACTIVATIONS`.
        backbone_units: width of the backbone.
        backbone_layers: its layers; 0 for none.
        backbone_dropout: probability that a feature of the backbone is left out in training.

    Raises:
        InputError: an argument is not possible.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mode: str = "default",
        activation: str = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        backbone_dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size, activation)
        if backbone_units < 1 or backbone_layers < 0 or not 0 <= backbone_dropout < 1:
            raise InputError(
                f"backbone_units={backbone_units}, backbone_layers={backbone_layers}, "
                f"backbone_dropout={backbone_dropout:g}: at least 1, at least 0, and in [0, 1)"
            )
        self.mode, self.backbone_dropout = mode, backbone_dropout
        sizes = [input_size + hidden_size] + [backbone_units] * backbone_layers
        pairs = zip(sizes, sizes[1:], strict=False)
        self.backbone = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])
        for layer in self.backbone:
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
        self.head = make_head(mode, sizes[-1], hidden_size)

    def advance(
        self, inputs: Tensor, state: Tensor, elapsed: ElapsedTime, training: bool | None
    ) -> tuple[Tensor, Tensor]:
        new_state = self.head(self.features(inputs, state, training), elapsed)
        return new_state, new_state

    def features(self, inputs: Tensor, state: Tensor, training: bool | None = None) -> Tensor:
        """What the backbone makes of inputs and state, for the head."""
        y = torch.cat([inputs, state], dim=1)
        for layer in self.backbone:
            y = self.activation(layer(y))
            y = nn.functional.dropout(
                y, self.backbone_dropout, self.training if training is None else training
            )
        return y


class WiredCfCCell(TimedCell):
    """Closed-form layers that are connected as a wiring states.

    Args:
        wiring: the synapses, and which units are the output.
        in_features: inputs, F; None where the wiring is built.
        mode: ``default``, ``no_gate`` or ``pure``.

    Raises:
        InputError: an argument is not possible, or the wiring does not fit.
    """

    place: Tensor

    def __init__(self, wiring: Wiring, in_features: int | None = None, mode: str = "default") -> None:
        adjacency, sensory = (synapses.abs() for synapses in built(wiring, in_features))
        super().__init__(len(sensory), wiring.units)
        self.wiring, self.mode = wiring, mode
        self.heads = nn.ModuleList()
        from_before = sensory
        for layer in wiring.layers:
            within = (adjacency[layer][:, layer] + torch.eye(len(layer))).clamp(max=1.0)
            mask = torch.cat([from_before[:, layer], within])
            self.heads.append(make_head(mode, len(mask), len(layer), mask))
            from_before = adjacency[layer]
        units = torch.tensor([unit for layer in wiring.layers for unit in layer])
        self.register_buffer(
            "place", units.argsort(), persistent=False
        )  # of each unit, in the order of the layers

    @property
    def output_size(self) -> int:
        return self.wiring.output_dim

    def advance(
        self, inputs: Tensor, state: Tensor, elapsed: ElapsedTime, training: bool | None
    ) -> tuple[Tensor, Tensor]:
        x, new = inputs, []
        for head, layer in zip(self.heads, self.wiring.layers, strict=True):
            x = head(torch.cat([x, state[:, layer]], dim=1), elapsed)
            new.append(x)
        after = torch.cat(new, dim=1)[:, self.place]
        return after[:, : self.output_size], after
