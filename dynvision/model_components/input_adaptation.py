"""Input adaptation: a gain that falls with the recent input.

    tau_a da/dt = -a + |x|          a(0) = 0, tau_a in ms
    x'(t) = x(t) / (1 + w a(t - dt))                      w strength; w = 0 is the identity

Source: ours; contrast gain control with the form of Carandini & Heeger (2012), Nature Reviews Neuroscience 13:51, eq. 10.
"""

from __future__ import annotations

from torch import Tensor

from dynvision.model_components.clocked import Clocked, check_time_constant
from dynvision.model_components.stateful import StatefulOperation


class InputAdaptation(StatefulOperation, Clocked):
    """Leaky gain control of the input.

    Args:
        weight: w, strength, >= 0.
        tau: tau_a in ms, >= dt.
        dt: as of :class:`Clocked`.

    Raises:
        InputError: tau is shorter than dt.
    """

    def __init__(self, weight: float, tau: float = 50.0, dt: float | None = None) -> None:
        super().__init__(dt)
        self.weight, self.tau = weight, float(tau)
        if dt is not None:
            self.check_dt(self.dt)

    def check_dt(self, dt: float) -> None:
        check_time_constant(self.tau, dt, "tau_input_adaptation")

    @property
    def rate(self) -> float:
        """dt / tau."""
        return self.dt / self.tau

    def step(self, x: Tensor, state: Tensor | None, r: Tensor | None) -> tuple[Tensor, Tensor]:
        if state is None:
            return x, self.rate * x.abs()
        return x / (1.0 + self.weight * state), state + self.rate * (x.abs() - state)
