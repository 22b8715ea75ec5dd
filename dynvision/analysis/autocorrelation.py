"""How long a signal resembles itself.

    A(k) = sum_t (x(t) - m)(x(t + k dt) - m) / sum_t (x(t) - m)^2          m the mean of x over time
    autocorrelation time = lag at which A falls to 1/e, interpolated linearly

A leaky unit driven by white noise has A(k) = exp(-k dt / tau), and so its time constant comes back.

Source: the intrinsic timescales of Murray et al. (2014), Nat Neurosci 17:1661, read off at 1/e instead of fitted.
"""

from __future__ import annotations

import numpy as np


def autocorrelation(signal: np.ndarray, n_lags: int) -> np.ndarray:
    """Normalised autocorrelation along the last axis.

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
    """Lag at which a correlation first falls to 1/e.

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
    before, behind = correlation[k - 1], correlation[k]
    return float(step * (k - 1 + (before - level) / (before - behind)))
