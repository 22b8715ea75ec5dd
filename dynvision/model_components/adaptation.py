"""Adaptation: what a unit has heard or done lowers what it does next.

Input adaptation, a gain that falls with the recent input:

    tau_a da/dt = -a + |x|          a(0) = 0, tau_a in ms
    x'(t) = x(t) / (1 + w a(t - dt))                      w strength; w = 0 is the identity

Source: ours; contrast gain control with the form of Carandini & Heeger (2012), Nature Reviews Neuroscience 13:51, eq. 10.

Intrinsic suppression, a unit's own recent activity lowers its drive:

    s(t) = a s(t - dt) + (1 - a) r(t - dt),   a = 1 - dt / tau_s          s(0) = 0, tau_s in ms
    z'(t) = z(t) - b s(t)                                                 b strength

Source: Vinken, Boix & Kreiman (2020), Science Advances 6:eabd4205, eqs. 1 and 2 (a about .96, b about .7).
"""

from __future__ import annotations

from torch import Tensor

from dynvision.model_components.timing import Clocked, StatefulOperation, check_time_constant


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


class IntrinsicSuppression(StatefulOperation, Clocked):
    """Activity-silent adaptation within each unit.

    Args:
        strength: b, >= 0.
        tau: tau_s in ms, >= dt.
        dt: as of :class:`Clocked`.

    Raises:
        InputError: tau is shorter than dt.
    """

    needs_activity = True

    def __init__(self, strength: float, tau: float = 50.0, dt: float | None = None) -> None:
        super().__init__(dt)
        self.strength, self.tau = strength, float(tau)
        if dt is not None:
            self.check_dt(self.dt)

    def check_dt(self, dt: float) -> None:
        check_time_constant(self.tau, dt, "tau_intrinsic_suppression")

    @property
    def rate(self) -> float:
        """dt / tau."""
        return self.dt / self.tau

    def step(self, x: Tensor, state: Tensor | None, r: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if r is None:
            return x, state
        state = self.rate * r if state is None else state + self.rate * (r - state)
        return x - self.strength * state, state
