"""Height and time of the maximum of a response.

    peak            = max r(t)                                   over 0 < t <= end of the record
    time_to_peak_ms = min { t : r(t) >= h - 1e-6 |h| }           h = max r(t), 0 < t <= t_off, the end of the first image

A peak is a maximum while the first image is on, from which the response falls again while it is on, by more than a
twentieth of its height (above the mean before onset, or above what it rises from, if that is lower) and by more than
six standard deviations of the samples before onset. Everything else has no time to peak (NaN): a response that is flat,
one that rises to a plateau, whose maximum is wherever rounding puts it, and one that is still rising when the image
ends, whose maximum is that of the stimulus. The rise time (:mod:`dynvision.analysis.rise`) holds for all of them.

Nothing is smoothed or interpolated: both are read off the samples.

Source: ours; the maximum is the convention of Groen et al. (2022), J Neurosci 42:7562, whose images last 500 ms.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.baseline import above_baseline, spread_before_onset
from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset, first_image

SAME = 1e-6  # relative: eight times the rounding of single precision
FALL = 0.05  # of the height, from a peak
FALL_SD = 6.0  # about the range of as many samples of noise as a plateau has


@register(
    "peak",
    "peak response",
    "a.u.",
    "largest response from stimulus onset to the end of the record",
)
def peak(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Maximum after onset.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, (T,).

    Returns:
        The maximum in the unit of the response, (...).
    """
    return response[..., after_onset(time_ms)].max(axis=-1).astype(np.float64)


@register(
    "time_to_peak_ms",
    "time to peak",
    "ms",
    "time from stimulus onset to the first sample that reaches the largest response while the first image is on; a "
    "response that does not fall again by a twentieth of its height before the image ends, because it is flat, stays on a "
    "plateau or still rises, has none",
    average="median",
)
def time_to_peak_ms(
    response: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray | None = None
) -> np.ndarray:
    """Time of the first maximum of a response that falls again while the first image is on.

    Args:
        response: responses, (V, ..., T).
        time_ms: times in ms, (T,).
        stimulus_on: whether the stimulus was on, (V, T); None for an image that lasts as long as the record.

    Returns:
        Time in ms, (V, ...); NaN where there is no such peak.
    """
    after = after_onset(time_ms)
    above = above_baseline(response, time_ms)
    step = np.arange(above.shape[-1])
    inside = np.ones(above.shape, dtype=bool)
    if stimulus_on is not None:
        end, _ = first_image(stimulus_on[:, after])
        inside = np.broadcast_to(step <= end.reshape(-1, *[1] * (above.ndim - 1)), above.shape)
    with np.errstate(invalid="ignore"):
        highest = np.where(inside, above, -np.inf).max(axis=-1)
        scale = np.abs(response).max(axis=-1)
        first = (inside & (above >= (highest - SAME * scale)[..., None])).argmax(axis=-1)
        lowest = np.where(step < first[..., None], above, 0.0).min(axis=-1)  # 0 is the mean before onset
        height = highest - np.minimum(lowest, 0.0)
        behind = inside & (step > first[..., None])
        fall = highest - np.where(behind, above, np.inf).min(axis=-1)
        least = np.maximum(FALL * height, FALL_SD * spread_before_onset(response, time_ms))
        falls = np.isfinite(highest + scale) & (height > SAME * scale) & (fall > least)
    return np.where(falls, time_ms[after][first], np.nan)
