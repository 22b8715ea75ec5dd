"""When a response begins.

    onset_latency_ms = min { t > 0 : |r(t) - baseline| > max(k SD, f h) }

baseline and SD are of the samples before onset, k = 3, and h is the largest deviation from the baseline after onset.
The floor f h, f = 1/1000, keeps rounding from counting as a response in networks without noise. A layer's latency thus
shows the delays on the way to it, and the delay with which its units reach the noise, where there is noise.

Source: the criterion of Schmolesky et al. (1998), J Neurophysiol 79:3272, for spikes; the floor is ours.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.baseline import above_baseline, spread_before_onset
from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset

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
