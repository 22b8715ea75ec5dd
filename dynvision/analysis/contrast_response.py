"""How the height of a response depends on contrast.

    peak(c)   = max r(t) - baseline, at contrast c
    c50       : peak(c50) = peak(highest contrast) / 2, interpolated linearly in log c
    Naka-Rushton:  peak(c) = Rmax c^n / (c^n + c50^n),   1 <= n <= 5, least squares

Contrasts are fractions: 1 is the image itself. A response that is above half at the lowest contrast has no c50 within
the data. The fit extrapolates: a c50 above 1 says that the response does not saturate.

Source: Naka & Rushton (1966), J Physiol 185:536; bounds of n as in Groen et al. (2022), J Neurosci 42:7562.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from dynvision.analysis.baseline import above_baseline
from dynvision.analysis.registry import register

EXPONENTS = (1.0, 5.0)
C50_BOUNDS = (1e-3, 1e2)


@register(
    "c50",
    "semi-saturation contrast",
    "contrast",
    "contrast at which the peak above the mean before onset is half of that at the highest contrast, interpolated in "
    "log contrast",
    scope="experiment",
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


_FIT = "of the Naka-Rushton function fitted to the peaks above the mean before onset"


@register("naka_rushton_rmax", "Naka-Rushton Rmax", "a.u.", f"Rmax {_FIT}", "experiment", "rmax", 100)
@register("naka_rushton_c50", "Naka-Rushton c50", "contrast", f"c50 {_FIT}", "experiment", "c50", 100)
@register("naka_rushton_n", "Naka-Rushton n", "ratio", f"exponent {_FIT}", "experiment", "n", 100)
def naka_rushton_fit(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> dict[str, np.ndarray]:
    """Fit the Naka-Rushton function to the peaks.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, (T,).
        value: contrasts, (V,).

    Returns:
        ``rmax``, ``c50`` and ``n``, each (...); NaN with fewer than three contrasts or without a response.
    """
    heights = above_baseline(response, time_ms).max(axis=-1)
    flat = heights.reshape(len(value), -1)
    fitted = np.array([fit_naka_rushton(value, column) for column in flat.T])
    return {name: fitted[:, k].reshape(heights.shape[1:]) for k, name in enumerate(("rmax", "c50", "n"))}


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


def fit_naka_rushton(contrast: np.ndarray, height: np.ndarray) -> tuple[float, float, float]:
    """Rmax, c50 and n of the least squares fit; Rmax follows from the other two, so that two parameters are searched.

    Args:
        contrast: contrasts, (V,), >= 0.
        height: heights of the response, (V,).

    Returns:
        Rmax in the unit of `height`, c50 as a contrast, and n; NaN with fewer than three contrasts above 0, or without a
        response.
    """
    if (contrast > 0).sum() < 3 or not np.isfinite(height).all() or height.max() <= 0:
        return (np.nan, np.nan, np.nan)
    scale = height.max()
    target = height / scale

    def project(log_half: float, n: float) -> tuple[np.ndarray, float]:
        shape = naka_rushton(contrast, 1.0, np.exp(log_half), n)
        return shape, float(shape @ target / (shape @ shape))

    def residual(p: np.ndarray) -> np.ndarray:
        shape, gain = project(*p)
        return gain * shape - target

    bounds = (np.log(C50_BOUNDS[0]), EXPONENTS[0]), (np.log(C50_BOUNDS[1]), EXPONENTS[1])
    starts = [(np.log(half), n) for half in (0.1, 0.4) for n in (1.5, 3.0)]
    start = min(starts, key=lambda p: float((residual(np.array(p)) ** 2).sum()))
    best = least_squares(residual, start, bounds=bounds, xtol=1e-10, ftol=1e-10, gtol=1e-10).x
    return scale * project(*best)[1], float(np.exp(best[0])), float(best[1])
