"""The classical Runge-Kutta scheme of fourth order, with the drive evaluated inside the step.

With a = dt / tau and the drive z at the start (0), the middle (m) and the end (1) of the step,

    r(t) = h + g (z~ - h),    g = a - a^2/2 + a^3/6 - a^4/24
    g z~ = z_0 (a/6 - a^2/6 + a^3/12 - a^4/24) + z_m (2a/3 - a^2/3 + a^3/12) + z_1 a/6

which is the classical scheme written out for a leaky unit. The middle drive comes from the drives at t, t - dt, t - 2 dt
and t - 3 dt by cubic interpolation; right after a start the fewer that exist are used.
Source: Hairer, Norsett & Wanner (1993), ch. II.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dynvision.model_components.solver import Solver

# Weights of the drives at t, t - dt, t - 2 dt, ... in the Lagrange interpolant at t - dt/2, by number of known drives.
# With four of them the interpolation error is of fourth order in dt, so that RK4 keeps its order.
MIDPOINT_WEIGHTS: tuple[tuple[float, ...], ...] = (
    (1.0,),
    (1 / 2, 1 / 2),
    (3 / 8, 6 / 8, -1 / 8),
    (5 / 16, 15 / 16, -5 / 16, 1 / 16),
)


class RungeKuttaStep(Solver):
    """Fourth-order Runge-Kutta."""

    history = 3

    def gain(self) -> float | Tensor:
        a = self.dt / self.tau
        return a - a**2 / 2 + a**3 / 6 - a**4 / 24

    def effective_drive(self, drives: Sequence[Tensor]) -> Tensor:
        a, g = self.dt / self.tau, self.gain()
        start = (a / 6 - a**2 / 6 + a**3 / 12 - a**4 / 24) / g
        middle = (2 * a / 3 - a**2 / 3 + a**3 / 12) / g
        end = a / 6 / g
        interpolation = MIDPOINT_WEIGHTS[len(drives) - 1]
        weights = [middle * w for w in interpolation]
        weights[0] = weights[0] + end
        weights[min(1, len(drives) - 1)] = weights[min(1, len(drives) - 1)] + start
        total = weights[0] * drives[0]
        for weight, drive in zip(weights[1:], drives[1:], strict=True):
            total = total + weight * drive
        return total
