"""Milliseconds and steps: the one place where a duration becomes a number of steps.

    n = duration / dt        n an integer, duration and dt in ms

A duration that is not a whole multiple of ``dt`` is an error; nothing is rounded silently.
"""

from __future__ import annotations

import math

from dynvision.errors import InputError

TOLERANCE = 1e-6  # of a step: absorbs decimal fractions such as 0.3 / 0.1, never a real remainder


def ms_to_steps(duration_ms: float, dt: float, name: str = "duration", minimum_ms: float = 0.0) -> int:
    """Number of integration steps in a duration.

    Args:
        duration_ms: duration in ms, finite.
        dt: integration step in ms, > 0.
        name: configuration key to name in an error.
        minimum_ms: smallest duration allowed, in ms.

    Returns:
        ``duration_ms / dt``, an exact integer.

    Raises:
        InputError: the duration is no multiple of ``dt``, too small or not finite.
    """
    if not (math.isfinite(dt) and dt > 0):
        raise InputError(f"dt={dt:g} ms must be a positive number of ms")
    if not math.isfinite(duration_ms):
        raise InputError(f"{name}={duration_ms} is not a duration in ms")
    if duration_ms < minimum_ms - TOLERANCE * dt:
        raise InputError(
            f"{name}={duration_ms:g} ms is too small; the smallest value allowed is {minimum_ms:g} ms"
        )
    exact = duration_ms / dt
    if not is_multiple(duration_ms, dt):
        lower, upper = math.floor(exact) * dt, math.ceil(exact) * dt
        valid = f"{lower:g} ms and {upper:g} ms" if lower >= minimum_ms else f"{upper:g} ms"
        raise InputError(
            f"{name}={duration_ms:g} ms is not a multiple of dt={dt:g} ms; nearest valid values: {valid}"
        )
    return round(exact)


def is_multiple(duration_ms: float, dt: float) -> bool:
    """Return whether a duration is a whole number of steps; both in ms, finite, and `dt` above 0."""
    return abs(duration_ms / dt - round(duration_ms / dt)) <= TOLERANCE


def steps_to_ms(n_steps: int, dt: float) -> float:
    """Return the duration in ms of a number of steps."""
    return n_steps * dt
