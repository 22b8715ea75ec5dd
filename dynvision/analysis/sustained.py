"""How much of a response is left when the stimulus ends.

    sustained_ratio = (r(t_off) - baseline) / (max r - baseline)        t_off the last sample with the stimulus on

1 for a response that rises to a plateau and stays, below 1 for one that overshoots and adapts. Protocols with a stimulus
of 500 ms have physiologists' "offset over peak".

Source: Groen et al. (2022), J Neurosci 42:7562.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.baseline import above_baseline
from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset


@register(
    "sustained_ratio",
    "offset / peak",
    "fraction",
    "response at the last sample with the stimulus on, over the peak response, both above the mean before onset",
)
def sustained_ratio(response: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray) -> np.ndarray:
    """Response at stimulus offset over the peak.

    Args:
        response: responses, (V, ..., T).
        time_ms: times in ms, (T,).
        stimulus_on: whether the stimulus was on, (V, T).

    Returns:
        A ratio, (V, ...); NaN where there was no stimulus or no response above the baseline.
    """
    r = above_baseline(response, time_ms)
    on = stimulus_on[:, after_onset(time_ms)]
    last = on.shape[-1] - 1 - on[:, ::-1].argmax(axis=-1)
    at_offset = np.stack([of_value[..., t] for of_value, t in zip(r, last, strict=True)])
    highest = r.max(axis=-1)
    shown = on.any(axis=-1).reshape(-1, *[1] * (highest.ndim - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(shown & (highest > 0), at_offset / highest, np.nan)
