"""How fast a response rises.

    rise_time_ms = min { t > 0 : r(t) - baseline >= 0.9 (max r - baseline) }        interpolated linearly between samples

The maximum is that over the time in which no second image shows in the response, whose latency is that to the first.
For a response that overshoots it is a little before its time to peak. For one that rises to a plateau, whose maximum can be
anywhere on it, it still says how fast it got there.

Source: ours; 90 % as rise times are quoted in electronics.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.baseline import above_baseline
from dynvision.analysis.latency import first_change
from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset, first_image

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
    row = np.arange(len(r))
    low, high = r[row, before], r[row, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(first == before, 0.0, (level - low) / (high - low))
        rises = np.isfinite(highest) & (highest > 1e-6 * np.abs(response).max(axis=-1).reshape(-1))
    times = time[before] + part * (time[first] - time[before])
    return np.where(rises, times, np.nan).reshape(above.shape[:-1])
