"""The times at which a response was recorded, and what the response is before the stimulus.

    baseline = mean of r(t) over t <= 0          above = r(t) - baseline

Times are evenly spaced, 0 is stimulus onset. A sample is labelled by the end of its step: the sample at t has integrated
the input of [t - dt, t). The stimulus has not reached the one at 0, the first that can differ is that at dt, and the
last with the stimulus on is that at its offset.

Without a sample before onset nothing is subtracted. Networks with biases are active without a stimulus; what cortex does is
reported as the change from this activity.
"""

from __future__ import annotations

import numpy as np

from dynvision.errors import InputError

RELATIVE_TOLERANCE = 1e-4  # of a step: absorbs times that were stored in single precision


def sample_interval(time_ms: np.ndarray) -> float:
    """Return the spacing of the samples in ms. A sample at t stands for the time from t - spacing to t.

    Args:
        time_ms: times of the samples in ms, ascending, (T,).

    Raises:
        InputError: there is a single time, or the times are not evenly spaced.
    """
    if len(time_ms) < 2:
        raise InputError(
            "the record has a single time, so that its sampling interval is not known; record longer"
        )
    steps = np.diff(time_ms)
    dt = float(time_ms[-1] - time_ms[0]) / (len(time_ms) - 1)
    if dt <= 0 or np.abs(steps - dt).max() > RELATIVE_TOLERANCE * dt * len(time_ms):
        raise InputError(
            f"the times are not evenly spaced: steps from {steps.min():g} ms to {steps.max():g} ms"
        )
    return dt


def after_onset(time_ms: np.ndarray) -> np.ndarray:
    """Return which samples have integrated the input after stimulus onset, those at t > 0, (T,) of bool.

    Raises:
        InputError: none does.
    """
    after = time_ms > 1e-6
    if not after.any():
        raise InputError(
            f"the record ends at {time_ms.max():g} ms, and no sample is later than stimulus onset at 0 ms"
        )
    return after


def stretches(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where something holds without a break: the first index of each stretch, and the first one after it.

    Args:
        flags: whether it holds, (T,) of bool.
    """
    edges = np.diff(flags.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def first_image(stimulus_on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the first image ends and where the second begins.

    Args:
        stimulus_on: whether the stimulus was on, at the samples after onset, (V, T) of bool.

    Returns:
        Index of the last sample of the first image, -1 without one, and of the first sample of the second image, T without
        one; each (V,).
    """
    n = stimulus_on.shape[-1]
    shown = stimulus_on.any(axis=-1)
    start = np.where(shown, stimulus_on.argmax(axis=-1), n)
    step = np.arange(n)
    off = ~stimulus_on & (step > start[:, None])
    end = np.where(off.any(axis=-1), off.argmax(axis=-1), n)  # the first sample after it
    again = stimulus_on & (step > end[:, None])
    return np.where(shown, end - 1, -1), np.where(again.any(axis=-1), again.argmax(axis=-1), n)


def last_on(stimulus_on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last sample with the stimulus on, and whether there is one.

    Args:
        stimulus_on: whether the stimulus was on, (V, T) of bool.

    Returns:
        Index, T - 1 where the stimulus was never on, and whether it was; each (V,).
    """
    return stimulus_on.shape[-1] - 1 - stimulus_on[:, ::-1].argmax(axis=-1), np.asarray(
        stimulus_on.any(axis=-1)
    )


def above_baseline(response: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Return the responses from onset on, less the mean before onset.

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
