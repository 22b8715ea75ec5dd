"""Measures from the Fourier transform of a signal: harmonics of a flicker, and autocorrelation.

    F_k = 2 / T | sum r(t) exp(-2 pi i k f t) dt |                         amplitude of the k-th harmonic of the frequency f
    A(k) = sum_t (x(t) - m)(x(t + k dt) - m) / sum_t (x(t) - m)^2          m the mean of x over time
    autocorrelation time = lag at which A falls to 1/e, interpolated linearly

**Harmonics.** The sum is over the whole periods that end with the flicker; the first one is left out where there are
several, since the response sets in there. F1 is the response at the frequency of the flicker, F2 at twice it. A response
that is the same to an image and to its negative follows a counterphase flicker with F2 alone.

**Autocorrelation.** A leaky unit driven by white noise has A(k) = exp(-k dt / tau), and so its time constant comes back.

Sources: the harmonics of Hochstein & Shapley (1976), J Physiol 262:265; the intrinsic timescales of Murray et al. (2014),
Nat Neurosci 17:1661, read off at 1/e instead of fitted.
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


def autocorrelation(signal: np.ndarray, n_lags: int) -> np.ndarray:
    """Return the normalised autocorrelation along the last axis.

    Args:
        signal: (..., T).
        n_lags: number of lags from 0 on, at most T.

    Returns:
        (..., n_lags), 1 at lag 0; NaN for a signal that does not change.
    """
    x = np.asarray(signal, np.float64)
    x = x - x.mean(axis=-1, keepdims=True)
    n = x.shape[-1]
    spectrum = np.abs(np.fft.rfft(x, 2 * n, axis=-1)) ** 2
    lagged = np.fft.irfft(spectrum, axis=-1)[..., :n_lags]
    power = (x**2).sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(power > 0, lagged / power, np.nan)


def decay_time(correlation: np.ndarray, step: float) -> float:
    """Return the lag at which a correlation first falls to 1/e.

    Args:
        correlation: by lag, from 1 at lag 0, (K,).
        step: spacing of the lags.

    Returns:
        Lag in the unit of ``step``; NaN if it does not fall that far.
    """
    level = np.exp(-1)
    below = np.flatnonzero(correlation <= level)
    if not len(below):
        return float("nan")
    k = int(below[0])
    above, reached = correlation[k - 1], correlation[k]
    return float(step * (k - 1 + (above - level) / (above - reached)))
