"""Height and time of the maximum of a response.

    peak            = max r(t)                                   over 0 < t <= end of the record
    time_to_peak_ms = min { t : r(t) >= peak - 1e-6 |peak| }     over the same times

Nothing is subtracted, smoothed or interpolated: both are read off the samples. The tolerance makes the time
of a plateau its beginning whatever the rounding of single precision. A response that still rises when the
record ends has its maximum there, and the time is then a lower bound. A response that does not change after
onset (zero or constant) has no time to peak: NaN.

Source: ours; the maximum is the convention of Groen et al. (2022), J Neurosci 42:7562.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset

FLAT = 1e-6  # relative: eight times the rounding of single precision


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
    "time from stimulus onset to the first sample that reaches the peak response (to one part in a million); "
    "a response that does not change after onset has none and is left out of the mean",
)
def time_to_peak_ms(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Time of the first maximum after onset.

    Args:
        response: responses, (..., T).
        time_ms: times in ms, (T,).

    Returns:
        Time in ms, (...); NaN where the response is flat or not finite.
    """
    after = after_onset(time_ms)
    recorded = response[..., after]
    highest, lowest = recorded.max(axis=-1), recorded.min(axis=-1)
    finite = np.isfinite(highest) & np.isfinite(lowest)
    with np.errstate(invalid="ignore"):
        tolerance = FLAT * np.maximum(np.abs(highest), np.abs(lowest))
        changes = finite & (highest - lowest > tolerance)
        first = np.argmax(recorded >= (highest - FLAT * np.abs(highest))[..., None], axis=-1)
    return np.where(changes, time_ms[after][first], np.nan)
