"""How a response adds up over time, how that depends on the duration of a stimulus, and how much is left at its end.

    summed_response     = dt * sum of r(t_k), 0 < t_k <= end of the record                no baseline subtracted
    S(d)                = sum over time of the response to a stimulus of duration d, above the mean before onset
    summed_normalized   = S(d) / S(longest d)
    r_double(d)         = S(d) / (2 S(d / 2))
    summation_exponent  = slope of log S(d) on log d, least squares; summation_r_squared is its explained variance
    S(d)                = b_s d + b_t, least squares with b_s, b_t >= 0                  a sustained and a transient channel
    sustained_share     = b_s d_max / (b_s d_max + b_t)                                   d_max the longest duration
    sustained_ratio     = (r(t_off) - baseline) / (max r - baseline)                      t_off the last sample that is on

The rectangle rule: a sample stands for the dt that ends with it, so that sums of runs with different dt are comparable.
Linear summation has r_double = 1 and an exponent of 1; below 1 it is subadditive. Durations on a grid are not exact
doubles: where the next shorter duration d' is between d / 1.6 and d / 2.4, r_double is (S(d) / d) / (S(d') / d'), which is
the same for d' = d / 2. The sustained ratio is 1 for a response that rises to a plateau and stays, and below 1 for one that
overshoots and adapts: the "offset over peak" of physiologists, whose images last 500 ms.

A sustained channel adds the same in each ms that an image is on; a transient one answers its onset and its offset, and adds
the same for every duration that is longer than its impulse response (some 100 ms). The sum over time of a linear system has
b_t = 0, whatever its time constants.

Sources: Zhou et al. (2018), J Neurosci 38:691; Groen et al. (2022), J Neurosci 42:7562; the two channels: Stigliani et al.
(2017), PNAS 114:E11047, here in what they add to the sum that fMRI measures. `summed_response`, without a normalisation, is
ours.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import above_baseline, after_onset, last_on, sample_interval


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


DOUBLE = (1.6, 2.4)


@register(
    "summed_normalized",
    "normalised sum",
    "fraction",
    "sum of the response above its mean before onset, over that at the highest value of the parameter",
    scope="condition",
)
def summed_normalized(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Summed response over that at the highest value.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, (T,).
        value: values of the parameter, (V,).

    Returns:
        A ratio, (V, ...); NaN where the reference is not above 0.
    """
    total = above_baseline(response, time_ms).sum(axis=-1)
    longest = total[np.argmax(value)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(longest > 0, total / longest, np.nan)


@register(
    "r_double",
    "doubling ratio",
    "ratio",
    "summed response to a duration over twice that to half of it; below 1 is subadditive",
    scope="condition",
)
def r_double(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Summed response per duration, over that at the next shorter duration.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, (T,).
        value: durations in ms, (V,).

    Returns:
        A ratio, (V, ...); NaN where no duration is about half as long.
    """
    total = above_baseline(response, time_ms).sum(axis=-1)
    ratios = np.full(total.shape, np.nan)
    for v, duration in enumerate(value):
        halves = [k for k, other in enumerate(value) if DOUBLE[0] <= duration / max(other, 1e-9) <= DOUBLE[1]]
        if not halves:
            continue
        half = min(halves, key=lambda k: abs(duration / value[k] - 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (total[v] / duration) / (total[half] / value[half])
            ratios[v] = np.where(total[half] > 0, ratio, np.nan)
    return ratios


@register(
    "summation_exponent",
    "summation exponent",
    "ratio",
    "slope of the logarithm of the summed response on that of the duration; 1 is linear summation",
    scope="experiment",
    goodness="summation_r_squared",
    absent="fewer than two durations are above 0, or a summed response is not",
)
def summation_exponent(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Slope of log summed response on log duration.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, (T,).
        value: durations in ms, (V,).

    Returns:
        The exponent, (...); NaN with fewer than two durations, or a sum that is not above 0.
    """
    x, y = _log_sums(response, time_ms, value)
    return np.tensordot(x, y, axes=1) / (x**2).sum() if len(x) > 1 else np.full(y.shape[1:], np.nan)


@register(
    "summation_r_squared",
    "summation R²",
    "fraction",
    "explained variance of the slope of the logarithm of the summed response on that of the duration",
    scope="experiment",
    absent="fewer than two durations are above 0, or a summed response is not, or all of them are equal",
)
def summation_r_squared(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Explained variance of :func:`summation_exponent`, with its arguments."""
    x, y = _log_sums(response, time_ms, value)
    if len(x) < 2:
        return np.full(y.shape[1:], np.nan)
    explained = np.tensordot(x, y, axes=1) ** 2 / (x**2).sum()
    variance = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, explained / variance, np.nan)


@register(
    "sustained_share",
    "sustained share",
    "fraction",
    "share of the summed response to the longest image that grows in proportion to the duration; the rest, the transient "
    "share, is the same at every duration",
    scope="experiment",
    absent="fewer than two durations are above 0, or the summed responses are not above 0",
)
def sustained_share(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Share of a sustained channel in the summed response.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, (T,).
        value: durations in ms, (V,).

    Returns:
        Between 0 and 1, (...); NaN with fewer than two durations, or where neither channel responds.
    """
    positive = value > 0
    total, d = above_baseline(response, time_ms).sum(axis=-1)[positive], value[positive]
    if len(d) < 2:
        return np.full(total.shape[1:], np.nan)
    x = d - d.mean()
    slope = np.tensordot(x, total, axes=1) / (x**2).sum()
    constant = total.mean(axis=0) - slope * d.mean()
    alone = np.tensordot(d, total, axes=1) / (d**2).sum()  # the slope without a constant
    sustained = np.where(slope < 0, 0.0, np.where(constant < 0, alone, slope)) * d.max()
    transient = np.where(slope < 0, total.mean(axis=0), np.where(constant < 0, 0.0, constant))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = sustained / (sustained + transient)
    return np.where((sustained >= 0) & (transient >= 0) & (sustained + transient > 0), share, np.nan)


def _log_sums(response: np.ndarray, time_ms: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of durations, (V,) and with a mean of 0, and of summed responses, (V, ...); of durations above 0."""
    total = above_baseline(response, time_ms).sum(axis=-1)
    positive = value > 0
    x = np.log(value[positive])
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(total[positive] > 0, np.log(total[positive]), np.nan)
    return (x - x.mean() if len(x) else x), y


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
    last, is_shown = last_on(stimulus_on[:, after_onset(time_ms)])
    at_offset = np.stack([of_value[..., t] for of_value, t in zip(r, last, strict=True)])
    highest = r.max(axis=-1)
    shown = is_shown.reshape(-1, *[1] * (highest.ndim - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(shown & (highest > 0), at_offset / highest, np.nan)
