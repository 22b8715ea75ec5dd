"""Closed-form continuous-time cells: liquid cells without a solver, whose solution in time is written down.

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

Cells that look at every n-th input know how much time that is:

    x_g(t) = head_g(backbone([input(t), x(t - 1)]), s n_g elapsed)      at the last step of every n_g; x_g stays in between

n_g `stride_length` of group g of the units, s `time_scale_factor`, elapsed the time of one step in ms. As the elapsed time
is part of the closed form, one set of weights makes sense at every stride. With several strides, units are in as many
groups of equal size, one after the other, each on a time scale of its own; all groups see the input and the state of all.

Source: Hasani, Lechner, Amini et al. (2022), Nature Machine Intelligence 4:992; the offset b, the forms of the modes, the
sizes and the wired cell as in the authors' package ncps 1.0.1. Ours: w starts at 0.1 per ms (there at 0, where |w| has no
gradient and stays), and the wiring decides on every weight (there only f and g are masked, and a layer is connected to all
of itself). The stride-aware cell is ours, after the "stride-aware CfC" that the page that :mod:`dynvision.neurons` names
mentions; groups of units with clocks of their own are those of Koutnik, Greff, Gomez & Schmidhuber (2014), A Clockwork
RNN, ICML, without their order of the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError, unknown_name
from dynvision.neurons.cell import (
    ElapsedTime,
    MaskedLinear,
    Module,
    Parameter,
    TimedCell,
    of_each_step,
    one_each,
)
from dynvision.neurons.neuron import check_positive
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
        """Features that the backbone computes from inputs and state, for the head."""
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


class StrideAwareCfCCell(CfCCell):
    """A closed-form cell whose step is a stride.

    Args:
        input_size, hidden_size: as of :class:`CfCCell`.
        stride_length: steps of the input in a step of the cell, n >= 1; or one for each of several groups of units.
        time_scale_factor: s > 0; above 1 time runs faster for the cell.
        **cfc_args: further arguments of :class:`CfCCell`.

    Attributes:
        strides: of the groups.

    Raises:
        InputError: an argument is not possible.
    """

    stride_of_unit: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        stride_length: int | Sequence[int] = 1,
        time_scale_factor: float = 1.0,
        **cfc_args: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **cfc_args)
        strides = list(stride_length) if isinstance(stride_length, Sequence) else [stride_length]
        if not strides or not all(type(n) is int and n >= 1 for n in strides):
            raise InputError(f"stride_length={stride_length} must be at least 1 step, or several such")
        if hidden_size % len(strides):
            raise InputError(
                f"hidden_size={hidden_size} units cannot be in {len(strides)} groups of equal size, one for each of "
                f"stride_length={stride_length}"
            )
        check_positive(time_scale_factor=time_scale_factor)
        self.strides, self.stride_length, self.time_scale_factor = strides, stride_length, time_scale_factor
        of_unit = torch.tensor(strides).repeat_interleave(hidden_size // len(strides))
        self.register_buffer("stride_of_unit", of_unit, persistent=False)

    def forward(  # type: ignore[override]
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        elapsed_time: ElapsedTime = 1.0,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One stride of every group; as of :meth:`CfCCell.forward`, with the `elapsed_time` of one step, in ms."""
        elapsed = one_each(elapsed_time, inputs) * (self.stride_of_unit * self.time_scale_factor).to(inputs)
        return self.advance(inputs, self.start(inputs, state), elapsed, training)


class StrideAwareCfC(Module):
    """A stride-aware cell over a sequence.

    Args:
        input_size, hidden_size, stride_length, time_scale_factor, **cfc_args: as of :class:`StrideAwareCfCCell`.
        return_sequences: return the output of every step; otherwise that of the last.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        stride_length: int | Sequence[int] = 1,
        time_scale_factor: float = 1.0,
        return_sequences: bool = True,
        **cfc_args: Any,
    ) -> None:
        super().__init__()
        self.cell = StrideAwareCfCCell(input_size, hidden_size, stride_length, time_scale_factor, **cfc_args)
        self.return_sequences = return_sequences

    def forward(
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        elapsed_time: ElapsedTime | None = None,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """All steps of a sequence.

        Args:
            inputs: (B, T, F). What is left over after the last whole stride is not looked at.
            state: what the call before returned, (B, N); None at the beginning. A sequence that is given in parts is to be
                cut between strides, of all groups.
            elapsed_time: of each step, in ms: one number, (T,) or (B, T); None for 1. A stride is as long as its steps.
            training: whether dropout is active; None as the module's own mode.

        Returns:
            Output, (B, T, N) or that of the last step, (B, N), and the state after it.

        Raises:
            InputError: an argument has another shape, or a time is no duration.
        """
        times = of_each_step(1.0 if elapsed_time is None else elapsed_time, inputs)
        assert times is not None
        cell, n_batch = self.cell, len(inputs)
        each = [torch.as_tensor(one_each(t, inputs[:, 0])).to(inputs).expand(n_batch, 1) for t in times]
        x = cell.start(inputs[:, 0], state)
        outputs = []
        for t in range(inputs.shape[1]):
            due = [n for n in cell.strides if (t + 1) % n == 0]
            if due:
                lasted = {n: torch.stack(each[t + 1 - n : t + 1]).sum(0) for n in set(due)}
                not_due = each[t]  # of which the result is not used
                size = cell.hidden_size // len(cell.strides)
                columns = [lasted.get(n, not_due).expand(n_batch, size) for n in cell.strides]
                elapsed = torch.cat(columns, dim=1) * cell.time_scale_factor
                _, new = cell.advance(inputs[:, t], x, elapsed, training)
                x = torch.where((t + 1) % cell.stride_of_unit == 0, new, x)
            outputs.append(x)
        return (torch.stack(outputs, dim=1) if self.return_sequences else x), x
