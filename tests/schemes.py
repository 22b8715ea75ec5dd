"""The leaky unit and the schemes that integrate it.

    tau dr/dt = -r + z(t)                                        r activity, z drive, tau in ms

A scheme goes from ``r(t - dt)`` to ``r(t)``. It is given the rate of change as a function, so that it can ask for
the rate inside the step: ``rate(s, r)`` with ``s`` in [0, 1] the fraction of the step, 0 at ``t - dt`` and 1 at ``t``.

Source: Dayan & Abbott (2001), Theoretical Neuroscience, eq. 7.7; schemes: Hairer, Norsett & Wanner (1993), ch. II.1.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Rate = Callable[[float, Tensor], Tensor]


def leak_rate(r: Tensor, drive: Tensor, tau: float | Tensor) -> Tensor:
    """Rate of change of a leaky unit, ``(drive - r) / tau``.

    Args:
        r: activity, (B, C, H, W).
        drive: total input, same shape and units as `r`.
        tau: time constant in ms, a scalar or broadcastable to `r`.

    Returns:
        dr/dt per ms, (B, C, H, W).

    Source: Dayan & Abbott (2001), Theoretical Neuroscience, eq. 7.7.
    """
    return (drive - r) / tau


def euler_step(rate: Rate, r: Tensor, dt: float) -> Tensor:
    """One Euler step, first order. The drive is taken at the end of the step, where delayed signals are on the grid.

    Args:
        rate: rate of change per ms, of the fraction of the step and the activity.
        r: activity one step ago, (B, C, H, W).
        dt: step in ms.

    Returns:
        The new activity, (B, C, H, W).

    Source: Hairer, Norsett & Wanner (1993), ch. II.1.
    """
    return r + dt * rate(1.0, r)


def rk4_step(rate: Rate, r: Tensor, dt: float) -> Tensor:
    """One step of the classical Runge-Kutta scheme, fourth order, with the drive evaluated inside the step.

    Arguments and result as of :func:`euler_step`.

    Source: Hairer, Norsett & Wanner (1993), ch. II.1.
    """
    k1 = rate(0.0, r)
    k2 = rate(0.5, r + 0.5 * dt * k1)
    k3 = rate(0.5, r + 0.5 * dt * k2)
    k4 = rate(1.0, r + dt * k3)
    return r + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
