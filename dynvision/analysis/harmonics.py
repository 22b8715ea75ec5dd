"""How a response follows a stimulus that flickers.

    F_k = 2 / T | sum r(t) exp(-2 pi i k f t) dt |        amplitude of the k-th harmonic of the frequency f

The sum is over the whole periods that end with the flicker; the first one is left out where there are several, since the
response sets in there. F1 is the response at the frequency of the flicker, F2 at twice it. A response that does not tell an
image from its negative follows a counterphase flicker with F2 alone.

Source: the harmonics of Hochstein & Shapley (1976), J Physiol 262:265.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset, sample_interval


def harmonic(response: np.ndarray, dt: float, frequency_hz: float, order: int) -> np.ndarray:
    """Return the amplitude of a harmonic over the last whole periods.

    Args:
        response: responses while the stimulus flickers, (..., T).
        dt: sampling interval in ms.
        frequency_hz: of the flicker.
        order: k, from 1.

    Returns:
        (...), in the unit of the response; NaN where not one whole period is recorded.
    """
    n_periods = int(response.shape[-1] * dt * frequency_hz / 1000 + 1e-6)
    if n_periods < 1:
        return np.full(response.shape[:-1], np.nan)
    n = round(max(n_periods - 1, 1) * 1000 / (frequency_hz * dt))
    wave = np.exp(-2j * np.pi * order * frequency_hz * np.arange(n) * dt / 1000)
    last = response[..., -n:].astype(np.float64)
    return 2 / n * np.abs((last - last.mean(axis=-1, keepdims=True)) @ wave)


def _harmonics(
    response: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray, value: np.ndarray, order: int
) -> np.ndarray:
    dt, after = sample_interval(time_ms), after_onset(time_ms)
    return np.stack(
        [
            harmonic(of_value[..., after & on], dt, float(frequency), order)
            for of_value, on, frequency in zip(response, stimulus_on, value, strict=True)
        ]
    )


@register(
    "f1",
    "first harmonic F1",
    "a.u.",
    "amplitude of the response at the frequency of the flicker, over whole periods without the first",
    scope="condition",
)
def f1(response: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return F1.

    Args:
        response: mean responses, (V, ..., T).
        time_ms: times in ms, evenly spaced, (T,).
        stimulus_on: whether the stimulus was on, (V, T).
        value: frequencies in Hz, (V,).

    Returns:
        (V, ...), in the unit of the response.
    """
    return _harmonics(response, time_ms, stimulus_on, value, 1)


@register(
    "f2",
    "second harmonic F2",
    "a.u.",
    "amplitude of the response at twice the frequency of the flicker, over whole periods without the first",
    scope="condition",
)
def f2(response: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return F2; arguments as of :func:`f1`."""
    return _harmonics(response, time_ms, stimulus_on, value, 2)
