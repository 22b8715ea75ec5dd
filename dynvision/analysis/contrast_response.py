"""How the height of a response depends on contrast.

    peak(c)   = max r(t) - baseline, at contrast c
    c50       : peak(c50) = peak(highest contrast) / 2, interpolated linearly in log c
    Naka-Rushton:  peak(c) = Rmax c^n / (c^n + c50^n),   .2 < n < 10,  .001 < c50 < 100, least squares

Contrasts are fractions: 1 is the image itself. A response that is above half at the lowest contrast has no c50 within
the data, and neither has a fit whose c50 is outside of the contrasts that were shown: that it is above 1 states that the
response does not saturate, and how far above, only the function states and no data. Above, Rmax has no value either.
Where a fit ends on a bound, nothing that was shown determines its parameters, and it has none: of a response that grows
linearly only Rmax / c50 is known.

Source: Naka & Rushton (1966), J Physiol 185:536. Bounds are ours, wide enough to be ends of what can be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from dynvision.analysis.registry import register, register_fit
from dynvision.analysis.time_grid import above_baseline

BOUNDS = {"c50": (1e-3, 1e2), "n": (0.2, 10.0)}
N_DRAWS = 100
FLAT = 1e-6  # of the highest peak
ON_A_BOUND = 0.01  # of the range between bounds, in the logarithms that are searched


@register(
    "c50",
    "semi-saturation contrast",
    "contrast",
    "contrast at which the peak above the mean before onset is half of that at the highest contrast, interpolated in "
    "log contrast",
    scope="experiment",
    absent="half of the peak at the highest contrast is not reached between the contrasts that were shown",
)
def c50(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Contrast of half the height.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, (T,).
        value: contrasts, (V,).

    Returns:
        Contrast, (...); NaN where half the height is not among the contrasts.
    """
    order = np.argsort(value)
    contrasts = value[order]
    heights = above_baseline(response, time_ms).max(axis=-1)[order]
    above_zero = contrasts > 0
    contrasts, heights = np.log(contrasts[above_zero]), heights[above_zero]
    flat = heights.reshape(len(contrasts), -1)
    found = np.full(flat.shape[1], np.nan)
    for column, height in enumerate(flat.T):
        half = height[-1] / 2
        above = np.flatnonzero(height >= half)
        if half > 0 and len(above) and above[0] > 0:
            k = above[0]
            part = (half - height[k - 1]) / (height[k] - height[k - 1])
            found[column] = np.exp(contrasts[k - 1] + part * (contrasts[k] - contrasts[k - 1]))
    return found.reshape(heights.shape[1:])


@register_fit(
    "of the Naka-Rushton function fitted to the peaks above the mean before onset",
    N_DRAWS,
    ("naka_rushton_r_squared", "Naka-Rushton R²"),
    naka_rushton_rmax=("rmax", "Naka-Rushton Rmax", "a.u.", "Rmax"),
    naka_rushton_c50=("c50", "Naka-Rushton c50", "contrast", "c50"),
    naka_rushton_n=("n", "Naka-Rushton n", "ratio", "exponent"),
)
def naka_rushton_fit(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> dict[str, np.ndarray]:
    """Fit the Naka-Rushton function to the peaks.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, (T,).
        value: contrasts, (V,).

    Returns:
        ``rmax``, ``c50``, ``n``, ``r_squared`` and ``reason``, each (...); NaN and a reason as of :class:`NakaRushton`, and
        for a c50 outside of the contrasts, with Rmax where it is above them.
    """
    heights = above_baseline(response, time_ms).max(axis=-1)
    flat = heights.reshape(len(value), -1)
    fits = [_within(value, fit_naka_rushton(value, column)) for column in flat.T]
    return {
        name: np.array([getattr(fit, name) for fit in fits]).reshape(heights.shape[1:])
        for name in ("rmax", "c50", "n", "r_squared", "reason")
    }


def _within(contrast: np.ndarray, fit: NakaRushton) -> NakaRushton:
    """A fit without the parameters that only an extrapolation has."""
    lowest, highest = contrast[contrast > 0].min(initial=np.inf), contrast.max()
    if fit.c50 > highest:
        reason = f"c50 is above {highest:g}, the highest contrast that was shown"
        return replace(fit, rmax=np.nan, c50=np.nan, reason=reason)
    if fit.c50 < lowest:
        reason = f"c50 is below {lowest:g}, the lowest contrast that was shown"
        return replace(fit, c50=np.nan, reason=reason)
    return fit


@dataclass(frozen=True)
class NakaRushton:
    """A fit: Rmax in the unit of the response, c50 as a contrast, n, explained variance; NaN and a reason without one."""

    rmax: float = np.nan
    c50: float = np.nan
    n: float = np.nan
    r_squared: float = np.nan
    reason: str = ""


def naka_rushton(contrast: np.ndarray, rmax: float, half: float, n: float) -> np.ndarray:
    """``Rmax c^n / (c^n + c50^n)``.

    Args:
        contrast: c, (V,), >= 0.
        rmax: response to infinite contrast, in the unit of the response.
        half: c50, > 0.
        n: exponent, > 0.

    Returns:
        (V,), in the unit of `rmax`.
    """
    return rmax * contrast**n / (contrast**n + half**n)


def fit_naka_rushton(contrast: np.ndarray, height: np.ndarray) -> NakaRushton:
    """Return the least squares fit; Rmax follows from the other two, so that two parameters are searched.

    Args:
        contrast: contrasts, (V,), >= 0.
        height: heights of the response, (V,).

    Returns:
        The fit, without parameters with fewer than three contrasts above 0, without a response, or where it ends on a
        bound; in the last case with its explained variance.
    """
    if (contrast > 0).sum() < 3:
        return NakaRushton(reason="there are fewer than three contrasts above 0")
    if not np.isfinite(height).all() or height.max() <= 0:
        return NakaRushton(reason="there is no response, or one that is not finite")
    if np.ptp(height) <= FLAT * height.max():
        return NakaRushton(reason="the peak does not change with contrast")
    scale = height.max()
    target = height / scale

    def project(log_half: float, log_n: float) -> tuple[np.ndarray, float]:
        shape = naka_rushton(contrast, 1.0, np.exp(log_half), np.exp(log_n))
        return shape, float(shape @ target / (shape @ shape))

    def residual(p: np.ndarray) -> np.ndarray:
        shape, gain = project(*p)
        return gain * shape - target

    low, high = np.log([BOUNDS[name] for name in BOUNDS]).T
    starts = [(np.log(half), np.log(n)) for half in (0.1, 0.4) for n in (1.5, 3.0)]
    start = min(starts, key=lambda p: float((residual(np.array(p)) ** 2).sum()))
    best = least_squares(residual, start, bounds=(low, high), xtol=1e-10, ftol=1e-10, gtol=1e-10)
    variance = float(((target - target.mean()) ** 2).sum())
    r_squared = 1 - 2 * float(best.cost) / variance  # above 0: the heights are not flat
    reason = on_a_bound(best.x, low, high, list(BOUNDS))
    if reason:
        return NakaRushton(r_squared=r_squared, reason=reason)
    half, n = np.exp(best.x).tolist()
    return NakaRushton(float(scale) * project(*best.x)[1], half, n, r_squared)


def on_a_bound(p: np.ndarray, low: np.ndarray, high: np.ndarray, names: Sequence[str]) -> str:
    """State which parameters of a fit ended on a bound; empty where none did.

    Args:
        p: logarithms of the parameters, (K,).
        low, high: their bounds, (K,).
        names: of the parameters.
    """
    near = ON_A_BOUND * (high - low)
    ended = [
        f"{name} ended on its {side} bound of {np.exp(bound):g}"
        for name, value, lowest, highest, close in zip(names, p, low, high, near, strict=True)
        for side, bound in (("lower", lowest), ("upper", highest))
        if abs(value - bound) <= close
    ]
    return " and ".join(ended)
