"""Divisive normalisation by a delayed pool.

    tau_n dp/dt = -p + y                                  p(0) = 0, tau_n in ms; y >= 0 the rectified activity
    r(t) = y(t)^n / (sigma^n + p(t)^n)

The pool lags behind the activity, so that a response overshoots before it settles. Source: the delayed normalisation of
Groen et al. (2022), J Neurosci 42:7562, eqs. 1 to 3, with an exponential low-pass per unit as the pool.
"""

from __future__ import annotations

from torch import Tensor

from dynvision.model_components.stateful import StatefulOperation


class DivisiveNormalization(StatefulOperation):
    """Delayed divisive normalisation.

    Args:
        tau: tau_n in ms, >= dt.
        dt: integration step in ms.
        sigma: semi-saturation, > 0, in units of activity.
        n: exponent, >= 1.
    """

    def __init__(self, tau: float = 100.0, dt: float = 2.0, sigma: float = 1.0, n: float = 1.0) -> None:
        super().__init__()
        self.rate, self.sigma, self.n = dt / tau, sigma, n

    def step(self, x: Tensor, state: Tensor | None, r: Tensor | None) -> tuple[Tensor, Tensor]:
        y = x.clamp_min(0.0)
        pool = self.rate * y if state is None else state + self.rate * (y - state)
        if self.n == 1.0:
            return y / (self.sigma + pool), pool
        return y**self.n / (self.sigma**self.n + pool**self.n), pool
