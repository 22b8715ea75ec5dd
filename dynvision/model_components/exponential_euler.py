"""Exponential Euler: ``r(t) = h + (1 - exp(-dt / tau)) (z(t) - h)``, exact for a constant drive.

Source: Hochbruck & Ostermann (2010), Acta Numerica 19:209, eq. 2.3.
"""

from __future__ import annotations

import math

from torch import Tensor

from dynvision.model_components.solver import Solver


class ExponentialEulerStep(Solver):
    """Exponential Euler. Stable for every dt and tau."""

    def gain(self) -> float | Tensor:
        tau = self.tau
        return -(-self.dt / tau).expm1() if isinstance(tau, Tensor) else -math.expm1(-self.dt / tau)
