"""A response added up over time.

    summed_response = dt * sum of r(t_k)     over 0 < t_k <= end of the record, dt the sampling interval in ms

The rectangle rule: a sample stands for the dt that ends with it. No baseline is subtracted and nothing is
normalised; the values of runs with different dt are comparable because of the factor dt.

Source: ours, after the summed response of Zhou et al. (2018), J Neurosci 38:691, without their normalisation.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset, sample_interval


@register(
    "summed_response",
    "summed response",
    "a.u. × ms",
    "sum of the response from stimulus onset to the end of the record, times the sampling interval; "
    "no baseline is subtracted",
)
def summed_response(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Sum over time after onset.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, evenly spaced, (T,).

    Returns:
        The sum in the unit of the response times ms, (...).

    Raises:
        InputError: the times are not evenly spaced.
    """
    return response[..., after_onset(time_ms)].sum(axis=-1, dtype=np.float64) * sample_interval(time_ms)
