"""The later of two peaks over the earlier one, as DynVision 0.1 defines it.

    peaks  = samples that are no lower than their neighbours and above 0, edges included
    first  = the highest of them; second = the highest at least 10 ms away from it, else simply the next highest
    peak_ratio = r(the later) / r(the earlier);  0 with fewer than two peaks

For two pulses it says how far the response has recovered (1 is fully), for one long pulse how far it has adapted. Every
sample of a plateau counts as a peak. DynVision 0.1 says 5 steps, at its dt of 2 ms. Samples before onset do not count.

Source: DynVision 0.1, ``utils/visualization_utils.py``.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset, sample_interval

SEPARATION_MS = 10.0


@register(
    "peak_ratio",
    "later / earlier peak",
    "ratio",
    "height of the later of the two highest peaks that are at least 10 ms apart, over that of the earlier; "
    "0 if there are fewer than two peaks",
)
def peak_ratio(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Ratio of the two highest local maxima, later over earlier.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, evenly spaced, (T,).

    Returns:
        A ratio, (...).
    """
    apart = max(1, round(SEPARATION_MS / sample_interval(time_ms)))
    recorded = response[..., after_onset(time_ms)].astype(np.float64)
    r = recorded.reshape(-1, recorded.shape[-1])
    edge = np.full((len(r), 1), -np.inf)
    is_peak = (r >= np.hstack([edge, r[:, :-1]])) & (r >= np.hstack([r[:, 1:], edge])) & (r > 0)
    peaks = np.where(is_peak, r, -np.inf)
    row, step = np.arange(len(r)), np.arange(r.shape[-1])
    first = peaks.argmax(axis=-1)
    distant = np.where(np.abs(step - first[:, None]) >= apart, peaks, -np.inf)
    peaks[row, first] = -np.inf
    candidates = np.where(np.isinf(distant.max(axis=-1))[:, None], peaks, distant)
    second = candidates.argmax(axis=-1)
    later, earlier = r[row, np.maximum(first, second)], r[row, np.minimum(first, second)]
    two = is_peak.sum(axis=-1) >= 2
    return np.where(two, later / np.where(two, earlier, 1.0), 0.0).reshape(recorded.shape[:-1])
