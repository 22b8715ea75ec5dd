"""How long a response stays above half of its height.

    level   = (min r + max r) / 2                           over the samples from onset on
    fwhm_ms = t_fall - t_rise                               where r crosses the level before and after its maximum

The crossings nearest to the (first) maximum count, linearly interpolated between samples. A response that is above the
level at onset rises at onset; one that does not fall below it before the record ends has no width.

Source: Brands et al. (2024), PLOS Comput Biol, where it is reported for each duration of the stimulus.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset


@register(
    "fwhm_ms",
    "width at half height",
    "ms",
    "time around the peak in which the response is above the middle of its minimum and maximum, interpolated between "
    "samples; a response that does not fall below it before the record ends has none",
    average="median",
)
def fwhm_ms(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Full width at half maximum.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, (T,).

    Returns:
        Width in ms, (...); NaN where the response is flat or does not fall.
    """
    after = after_onset(time_ms)
    r, time = response[..., after].astype(np.float64), time_ms[after]
    flat = r.reshape(-1, len(time))
    lowest, highest = flat.min(axis=-1), flat.max(axis=-1)
    level = (lowest + highest) / 2
    below = flat < level[:, None]
    step = np.arange(len(time))
    top = flat.argmax(axis=-1)[:, None]
    before = np.where(below & (step < top), step, -1).max(axis=-1)  # last sample below, before the peak
    behind = np.where(below & (step > top), step, len(time)).min(axis=-1)  # first one after it
    row = np.arange(len(flat))

    def crossing(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Time between two neighbouring samples at which the level is met."""
        a, b = flat[row, low], flat[row, high]
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(a == b, 0.0, (level - a) / (b - a))
        return time[low] + part * (time[high] - time[low])

    rise = np.where(
        before < 0, time[0], crossing(np.maximum(before, 0), np.maximum(before, 0) + (before >= 0))
    )
    last = np.minimum(behind, len(time) - 1)
    fall = crossing(last, last - 1)
    with np.errstate(invalid="ignore"):
        falls = (behind < len(time)) & (highest > lowest) & np.isfinite(highest - lowest)
    return np.where(falls, fall - rise, np.nan).reshape(r.shape[:-1])
