"""Explicit Euler: ``r(t) = h + (dt / tau) (z(t) - h)``, first order."""

from __future__ import annotations

from torch import Tensor

from dynvision.errors import InputError
from dynvision.model_components.solver import Solver


class EulerStep(Solver):
    """Explicit Euler. dt must not exceed tau, or a unit would overshoot its drive."""

    tau_floor_in_dt = 1.0

    def __init__(
        self, dt: float = 2.0, tau: float = 5.0, train_tau: bool | str = False, n_channels: int = 1
    ) -> None:
        if dt > tau:
            raise InputError(
                f"dt={dt:g} ms is larger than tau={tau:g} ms, which the Euler solver cannot integrate; "
                f"lower dt, raise tau, or set dynamics_solver: exponential_euler"
            )
        super().__init__(dt, tau, train_tau, n_channels)

    def gain(self) -> float | Tensor:
        return self.dt / self.tau
