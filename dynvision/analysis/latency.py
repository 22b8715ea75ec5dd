"""When a response begins, rises and peaks, and how long it lasts.

    onset_latency_ms = min { t > 0 : |r(t) - baseline| > max(k SD, f h) }
    rise_time_ms     = min { t > 0 : r(t) - baseline >= 0.9 (max r - baseline) }      interpolated between samples
    peak             = max r(t)                                                       0 < t <= end of the record
    time_to_peak_ms  = min { t : r(t) >= h - 1e-6 |h| }         h = max r(t), 0 < t <= t_off, the end of the first image
    fwhm_ms          = t_fall - t_rise                          where r crosses (min r + max r) / 2 around its maximum

**Onset.** Baseline and SD are of the samples before onset, k = 3, and h is the largest deviation from the baseline after
onset. The floor f h, f = 1/1000, keeps rounding from counting as a response in networks without noise. A layer's latency
thus shows the delays on the way to it, and the delay with which its units reach the noise, where there is noise.

**Rise.** The maximum is that over the time in which no second image shows in the response, whose latency is that to the
first. For a response that overshoots it is a little before its time to peak. For one that rises to a plateau, whose maximum
can be anywhere on it, it still shows how fast it got there.

**Peak.** A peak is a maximum while the first image is on, from which the response falls again while it is on, by more than
a twentieth of its height (above the mean before onset, or above what it rises from, if that is lower) and by more than six
standard deviations of the samples before onset. Everything else has no time to peak (NaN): a response that is flat, one
that rises to a plateau, whose maximum is wherever rounding puts it, and one that is still rising when the image ends, whose
maximum is that of the stimulus. The rise time holds for all of them. Nothing is smoothed or interpolated.

**Width.** The crossings nearest to the (first) maximum count, linearly interpolated between samples. A response that is
above the level at onset rises at onset; one that does not fall below it before the record ends has no width.

Sources: the criterion of onset of Schmolesky et al. (1998), J Neurophysiol 79:3272, for spikes; the maximum of Groen et al.
(2022), J Neurosci 42:7562, whose images last 500 ms; the width of Brands et al. (2024), PLOS Comput Biol. Ours: the floor,
the 90 % (as rise times are quoted in electronics), and what counts as a peak.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import above_baseline, after_onset, first_image, spread_before_onset

N_SD = 3.0
FLOOR = 1e-3  # of the largest deviation after onset


@register(
    "onset_latency_ms",
    "onset latency",
    "ms",
    "time from stimulus onset to the first sample that deviates from the mean before onset by more than three standard "
    "deviations and by a thousandth of the largest deviation; a response that does not change has none",
    average="median",
)
def onset_latency_ms(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Time of the first sample that differs from the baseline.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, (T,).

    Returns:
        Time in ms, (...); NaN where the response does not change.
    """
    first = first_change(response, time_ms)
    return np.where(first >= 0, time_ms[after_onset(time_ms)][first], np.nan)


def first_change(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Return the index of the first sample that differs from the baseline, counted from onset.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, (T,).

    Returns:
        (...), 0 for the first sample after onset; -1 where the response does not change.
    """
    deviation = np.abs(above_baseline(response, time_ms))
    highest = deviation.max(axis=-1)
    scale = np.abs(response).max(axis=-1)
    threshold = np.maximum(N_SD * spread_before_onset(response, time_ms), FLOOR * highest)
    crossed = deviation > threshold[..., None]
    changes = crossed.any(axis=-1) & np.isfinite(highest) & (highest > 1e-6 * scale)
    return np.where(changes, crossed.argmax(axis=-1), -1)


PART = 0.9


@register(
    "rise_time_ms",
    "time to 90 % of peak",
    "ms",
    "time from stimulus onset until the response above its mean before onset reaches nine tenths of its peak to the first "
    "image, interpolated between samples; a response that never rises has none",
    average="median",
)
def rise_time_ms(
    response: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray | None = None
) -> np.ndarray:
    """Time to nine tenths of the peak.

    Args:
        response: responses, (V, ..., T).
        time_ms: times in ms, (T,).
        stimulus_on: whether the stimulus was on, (V, T); None for a single image.

    Returns:
        Time in ms, (V, ...); NaN where the response does not rise above its baseline.
    """
    time = time_ms[after_onset(time_ms)]
    above = above_baseline(response, time_ms)
    if stimulus_on is not None:
        _, second = first_image(stimulus_on[:, after_onset(time_ms)])
        shows = second.reshape(-1, *[1] * (above.ndim - 2)) + np.maximum(first_change(response, time_ms), 0)
        above = np.where(np.arange(len(time)) < shows[..., None], above, -np.inf)
    r = above.reshape(-1, len(time))
    highest = r.max(axis=-1)
    level = PART * highest
    first = (r >= level[:, None]).argmax(axis=-1)
    before = np.maximum(first - 1, 0)
    times = _crossing(r, time, before, first, level)
    with np.errstate(invalid="ignore"):
        rises = np.isfinite(highest) & (highest > 1e-6 * np.abs(response).max(axis=-1).reshape(-1))
    return np.where(rises, times, np.nan).reshape(above.shape[:-1])


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
        later = inside & (step > first[..., None])
        fall = highest - np.where(later, above, np.inf).min(axis=-1)
        least = np.maximum(FALL * height, FALL_SD * spread_before_onset(response, time_ms))
        falls = np.isfinite(highest + scale) & (height > SAME * scale) & (fall > least)
    return np.where(falls, time_ms[after][first], np.nan)


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
    after_top = np.where(below & (step > top), step, len(time)).min(axis=-1)  # first one after it
    begins = np.maximum(before, 0)
    rise = np.where(before < 0, time[0], _crossing(flat, time, begins, begins + (before >= 0), level))
    last = np.minimum(after_top, len(time) - 1)
    fall = _crossing(flat, time, last, last - 1, level)
    with np.errstate(invalid="ignore"):
        falls = (after_top < len(time)) & (highest > lowest) & np.isfinite(highest - lowest)
    return np.where(falls, fall - rise, np.nan).reshape(r.shape[:-1])


def _crossing(
    r: np.ndarray, time: np.ndarray, low: np.ndarray, high: np.ndarray, level: np.ndarray
) -> np.ndarray:
    """Return when responses (N, T) meet a level (N,) between their samples `low` and `high` (N,), linearly."""
    row = np.arange(len(r))
    a, b = r[row, low], r[row, high]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(a == b, 0.0, (level - a) / (b - a))
    return time[low] + part * (time[high] - time[low])
