"""Conductance-based synapses that open with the state of the unit that they come from.

    g_ij(v) = w_ij M_ij sigmoid(sigma_ij (v_i - mu_ij))
    conductance_j = sum_i g_ij            pull_j = sum_i g_ij E_ij

v_i state of unit or value of input i, g_ij conductance of the synapse from i to j; w >= 0 its maximum, sigma and mu slope
and threshold of its opening, E reversal potential, all learned; M mask of the synapses that there are. A synapse that is
not there has no effect and no gradient.

Source: Hasani, Lechner, Amini, Rus & Grosu (2021), AAAI 35:7657; Lechner et al. (2020), Nature Machine Intelligence 2:642,
Methods. Ranges of the initial values as in the authors' package ncps 1.0.1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dynvision.neurons.module import Module, Parameter


class SynapseValues(NamedTuple):
    """Each (from, to): sigma, -sigma mu, w M, w M E."""

    slope: Tensor
    offset: Tensor
    strength: Tensor
    pulling: Tensor


def conductance_and_pull(v: Tensor, synapses: SynapseValues) -> tuple[Tensor, Tensor]:
    """Conductance and pull on each unit, (B, to), for v (B, from)."""
    opened = torch.sigmoid(torch.addcmul(synapses.offset, synapses.slope, v.unsqueeze(-1)))  # (B, from, to)
    return (opened * synapses.strength).sum(1), (opened * synapses.pulling).sum(1)


class Synapses(Module):
    """All synapses from one group of units to another.

    Args:
        signs: (from, to), -1 inhibitory, 0 absent, 1 excitatory; E starts there.
        implicit: keep w positive by a softplus; otherwise :meth:`constrain` after every step of an optimizer does.
    """

    mask: Tensor

    def __init__(self, signs: Tensor, implicit: bool) -> None:
        super().__init__()
        shape, self.implicit = signs.shape, implicit
        self.w = Parameter(unpositive(uniform(shape, 0.001, 1.0), implicit))
        self.mu = Parameter(uniform(shape, 0.3, 0.8))
        self.sigma = Parameter(uniform(shape, 3.0, 8.0))
        self.erev = Parameter(signs.clone())
        self.register_buffer("mask", signs.abs())

    def values(self) -> SynapseValues:
        """What the parameters say, for as many evaluations as they stay the same."""
        strength = positive(self.w, self.implicit) * self.mask
        return SynapseValues(self.sigma, -self.sigma * self.mu, strength, strength * self.erev)

    def forward(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Conductance and pull on each unit, (B, to), for v (B, from)."""
        return conductance_and_pull(v, self.values())

    @torch.no_grad()
    def constrain(self) -> None:
        """Set conductances that became negative to zero, where no softplus keeps them positive."""
        if not self.implicit:
            self.w.clamp_(min=0.0)

    def extra_repr(self) -> str:
        n_from, n_to = self.mask.shape
        return f"{n_from}, {n_to}, synapses={int(self.mask.sum())}"


def uniform(shape: torch.Size | tuple[int, ...], low: float, high: float) -> Tensor:
    """Independent values, uniform in [low, high)."""
    return torch.empty(shape).uniform_(low, high)


def positive(x: Tensor, implicit: bool) -> Tensor:
    """The positive quantity that the parameter `x` stands for."""
    return nn.functional.softplus(x) if implicit else x


def unpositive(value: Tensor, implicit: bool) -> Tensor:
    """The parameter that stands for the quantity `value` > 0: the inverse of :func:`positive`."""
    return value.expm1().log() if implicit else value
