"""Liquid units: leaky units whose time constant depends on what they are driven by.

    tau dr/dt = -r + z + g(z) (E - r),     g(z) = w sigmoid(s (z - m))

    r(t) = (h + a (z + g E)) / (1 + a (1 + g)),     a = dt / tau,   h = r(t - dt)

z drive, g >= 0 conductance relative to the leak, E its reversal potential, w, s, m strength, slope and threshold; E, w, s
and m are learned, one of each per channel. The unit moves with the time constant tau / (1 + g): the stronger the
conductance, the faster. The step is implicit in r and explicit in z, so it is stable for every dt; r(t) is a weighted mean
of h, z and E, and so stays between the smallest and the largest of them. Without conductance it is the implicit Euler step
of the leaky unit, r(t) = (h + a z) / (1 + a).

Source: Hasani, Lechner, Amini, Rus & Grosu (2021), AAAI 35:7657, eqs. 1 to 3: the liquid time-constant network and its
fused step, here with one step a dt. That a unit's presynaptic input is the drive that its convolutions give it: ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dynvision.functional.liquid import fused_step
from dynvision.model_components.solver import Solver


class LiquidStep(Solver):
    """The fused semi-implicit step of liquid units.

    Args:
        dt, tau, train_tau: as of :class:`Solver`; tau is the time constant without conductance.
        n_channels: channels of the layer.
    """

    def __init__(
        self,
        dt: float | None = None,
        tau: float = 5.0,
        train_tau: bool | str = False,
        n_channels: int = 1,
    ) -> None:
        super().__init__(dt, tau, train_tau, n_channels)
        shape = (n_channels, 1, 1)
        self.log_strength = nn.Parameter(torch.full(shape, math.log(0.5)))
        self.slope = nn.Parameter(torch.ones(shape))
        self.threshold = nn.Parameter(torch.zeros(shape))
        self.reversal = nn.Parameter(torch.ones(shape))

    def conductance(self, z: Tensor) -> Tensor:
        """g(z), (B, C, H, W), relative to the leak."""
        return self.log_strength.exp() * torch.sigmoid(self.slope * (z - self.threshold))

    def gain(self) -> float | Tensor:
        """The part of the way to the drive that one step goes without conductance."""
        return self.dt / (self.tau + self.dt)

    def forward(self, drives: Sequence[Tensor], h: Tensor | None) -> Tensor:
        """One step; arguments and result as of :meth:`Solver.forward`."""
        z = drives[0]
        g = self.conductance(z)
        return fused_step(h, z + g * self.reversal, 1.0 + g, self.dt / self.tau)
