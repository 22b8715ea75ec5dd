"""How a closed-form cell goes on in time: the last stage of a CfC, by mode.

    default   x(t) = (1 - s) tanh(f(y)) + s tanh(g(y)),     s = sigmoid(a(y) t + b(y))
    no_gate   x(t) = tanh(f(y)) + s tanh(g(y))
    pure      x(t) = A - A exp(-(|w| + |f(y)|) t) f(y)

t elapsed time in ms, y features of input and state; f, g, a, b linear; A, w one number for each unit. In the default mode
a unit goes from tanh(f) to tanh(g) as t passes -b / a, the faster the larger a is, and for a > 0 ends at tanh(g). The pure
mode is the approximate solution of the liquid equation from which the others were made; it ends at A.

Source: Hasani, Lechner, Amini et al. (2022), Nature Machine Intelligence 4:992, "closed-form continuous-time" networks; the
offset b and the forms of the modes as in the authors' package ncps 1.0.1. That w starts at 0.1 per ms: ours; it starts at 0
there, where |w| has no gradient and stays.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynvision.errors import unknown_name
from dynvision.neurons.elapsed_time import ElapsedTime
from dynvision.neurons.masked_linear import MaskedLinear
from dynvision.neurons.module import Module, Parameter


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
    """One state, and another on top of it as time goes on; arguments as of :class:`GatedHead`."""

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
