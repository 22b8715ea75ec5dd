"""How much of the response to a second pulse is left after a first one.

    recovery(gap) = sum of r_gap(t) - r_1(t) over the window of the second pulse
                    / sum of r_1(t) over the window of the first pulse

A window begins with its pulse and lasts 300 ms, or as long as every condition allows, if that is shorter. r_1 is the
response to one pulse: of a condition with one pulse if there is one, else of the longest gap until its second pulse
begins, and at rest from then on. Responses are above their mean before onset. A gap of 0 is one pulse of twice the
length, whose second half counts as the second pulse.

Source: Groen et al. (2022), J Neurosci 42:7562; Brands et al. (2024), PLOS Comput Biol. Response at rest after the
longest gap: ours, they have trials with one pulse.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.baseline import above_baseline
from dynvision.analysis.pulses import find_pulses
from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset, sample_interval

WINDOW_MS = 300.0


@register(
    "recovery",
    "recovery",
    "fraction",
    "response to two pulses less that to one, summed over 300 ms from the second pulse on (less where the record is "
    "shorter), over the response to one pulse in as long a window; above the mean before onset",
    scope="condition",
)
def recovery(response: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray) -> np.ndarray:
    """Response that a second pulse adds, over that to the first.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, evenly spaced, (T,).
        stimulus_on: whether the stimulus was on, (V, T).

    Returns:
        A ratio, (V, ...); NaN in conditions of a single pulse, and where there is no response to one.
    """
    r = above_baseline(response, time_ms)
    pulses = find_pulses(stimulus_on[:, after_onset(time_ms)])
    ratios = np.full(r.shape[:-1], np.nan)
    doubles = {v: p.second for v, p in enumerate(pulses) if p is not None and p.second is not None}
    shown = {v: r.shape[-1] if p.second is None else p.second for v, p in enumerate(pulses) if p is not None}
    if not doubles:
        return ratios
    alone = max(shown, key=lambda v: shown[v])
    first = pulses[alone].first  # type: ignore[union-attr]
    one = r[alone].copy()
    one[..., shown[alone] :] = 0.0
    longest = round(WINDOW_MS / sample_interval(time_ms))
    n = min(longest, shown[alone] - first, *(r.shape[-1] - second for second in doubles.values()))
    to_one = one[..., first : first + n].sum(axis=-1)
    for v, second in doubles.items():
        added = (r[v] - one)[..., second : second + n].sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios[v] = np.where(to_one > 0, added / to_one, np.nan)
    return ratios


@register(
    "mean_recovery",
    "mean recovery",
    "fraction",
    "recovery averaged over the gaps above 0",
    scope="experiment",
)
def mean_recovery(
    response: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray, value: np.ndarray
) -> np.ndarray:
    """Mean of :func:`recovery` over the conditions with a gap; ``value`` is the gap in ms, (V,)."""
    ratios = recovery(response, time_ms, stimulus_on)[value > 0]
    has_value = ~np.isnan(ratios)
    n = has_value.sum(axis=0)
    return np.where(n > 0, np.where(has_value, ratios, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)
