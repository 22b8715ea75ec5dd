"""Explicit Euler: ``r(t) = h + (dt / tau) (z(t) - h)``, first order."""

from __future__ import annotations

from torch import Tensor

from dynvision.errors import InputError
from dynvision.model_components.solver import Solver


class EulerStep(Solver):
    """Explicit Euler. dt must not exceed tau, or a unit would overshoot its drive."""

    tau_floor_in_dt = 1.0

    def check_dt(self, dt: float) -> None:
        if dt > self.tau_init:
            raise InputError(
                f"dt={dt:g} ms is larger than tau={self.tau_init:g} ms, which the Euler solver cannot integrate; "
                f"lower dt, raise tau, or set dynamics_solver: exponential_euler"
            )
        super().check_dt(dt)

    def gain(self) -> float | Tensor:
        return self.dt / self.tau
