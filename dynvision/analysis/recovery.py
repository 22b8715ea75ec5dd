"""How much of the response to a second pulse is left after a first one.

    recovery(gap) = sum of r_gap(t) - r_1(t) over the window of the second pulse
                    / sum of r_1(t) over the window of the first pulse
    peak_ratio    = r(the later) / r(the earlier) of two peaks;  0 with fewer than two

A window begins with its pulse and lasts 300 ms, or as long as every condition allows, if that is shorter. r_1 is the
response to one pulse: of a condition with one pulse if there is one, else of the longest gap until its second pulse
begins, and at rest from then on. Responses are above their mean before onset. A gap of 0 is one pulse of twice the
length, whose second half counts as the second pulse.

The peak ratio is that of DynVision 0.1. Its peaks are samples that are no lower than their neighbours and above 0, edges
included; the first is the highest of them, the second the highest at least 10 ms away from it, else simply the next
highest. Every sample of a plateau counts as a peak. DynVision 0.1 states 5 steps, at its dt of 2 ms. For two
pulses the ratio shows how far the response has recovered (1 is fully), for one long pulse how far it has adapted.

Sources: Groen et al. (2022), J Neurosci 42:7562; Brands et al. (2024), PLOS Comput Biol. Response at rest after the longest
gap: ours, they have trials with one pulse. `peak_ratio`: DynVision 0.1, ``utils/visualization_utils.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dynvision.analysis.bootstrap import mean_of_known
from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import above_baseline, after_onset, sample_interval, stretches


@dataclass(frozen=True)
class Pulses:
    """Onsets of the pulses of a condition, as numbers of samples.

    Attributes:
        first: onset of the first pulse.
        second: onset of the second; None in a condition of a single pulse.
    """

    first: int
    second: int | None


def find_pulses(stimulus_on: np.ndarray) -> list[Pulses | None]:
    """Return the pulses of every condition.

    The length of a pulse is that of the shortest first one. A longer one is two pulses without a gap.

    Args:
        stimulus_on: whether the stimulus was on, (V, T).

    Returns:
        One for each condition; None where the stimulus was never on.
    """
    shown = [stretches(row) for row in stimulus_on]
    lengths = [int(off[0] - on[0]) for on, off in shown if len(on)]
    pulse = min(lengths, default=0)
    found: list[Pulses | None] = []
    for on, off in shown:
        if not len(on):
            found.append(None)
            continue
        first = int(on[0])
        second = int(on[1]) if len(on) > 1 else first + pulse if off[0] - first > pulse else None
        found.append(Pulses(first, second))
    return found


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
    return mean_of_known(recovery(response, time_ms, stimulus_on)[value > 0], axis=0)


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
