"""What a response is before the stimulus.

    baseline = mean of r(t) over t <= 0          above = r(t) - baseline

Without a sample before onset nothing is subtracted. Networks with biases are active without a stimulus; what cortex
does is reported as the change from this activity.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.time_grid import after_onset


def above_baseline(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Responses from onset on, less the mean before onset.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, (T,).

    Returns:
        (..., number of samples after onset), float64.
    """
    after = after_onset(time_ms)
    recorded = response[..., after].astype(np.float64)
    if after.all():
        return recorded
    return recorded - response[..., ~after].mean(axis=-1, dtype=np.float64, keepdims=True)


def spread_before_onset(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the samples before onset, (...); 0 where there are none.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, (T,).
    """
    after = after_onset(time_ms)
    if after.all():
        return np.zeros(response.shape[:-1])
    return response[..., ~after].std(axis=-1, dtype=np.float64)
