"""How fast a response rises.

    rise_time_ms = min { t > 0 : r(t) - baseline >= 0.9 (max r - baseline) }        interpolated linearly between samples

For a response that overshoots it is a little before its time to peak. For one that rises to a plateau, whose maximum can be
anywhere on it, it still says how fast it got there.

Source: ours; 90 % as rise times are quoted in electronics.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.baseline import above_baseline
from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset

PART = 0.9


@register(
    "rise_time_ms",
    "time to 90 % of peak",
    "ms",
    "time from stimulus onset until the response above its mean before onset reaches nine tenths of its peak, interpolated "
    "between samples; a response that never rises has none",
)
def rise_time_ms(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Time to nine tenths of the peak.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, (T,).

    Returns:
        Time in ms, (...); NaN where the response does not rise above its baseline.
    """
    time = time_ms[after_onset(time_ms)]
    above = above_baseline(response, time_ms)
    r = above.reshape(-1, len(time))
    highest = r.max(axis=-1)
    level = PART * highest
    first = (r >= level[:, None]).argmax(axis=-1)
    before = np.maximum(first - 1, 0)
    row = np.arange(len(r))
    low, high = r[row, before], r[row, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(first == before, 0.0, (level - low) / (high - low))
        rises = np.isfinite(highest) & (highest > 1e-6 * np.abs(response).max(axis=-1).reshape(-1))
    times = time[before] + part * (time[first] - time[before])
    return np.where(rises, times, np.nan).reshape(above.shape[:-1])
