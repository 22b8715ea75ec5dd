"""The delayed-normalisation model of a response in time, and its fit.

    r = scale (s * h1)^n / (sigma^n + (s * h1 * h2)^n)                    * convolution in time
    h1(t) = t / tau1^2 exp(-t / tau1)                                     s contrast of the stimulus, later by the latency
    h2(t) = 1 / tau2 exp(-t / tau2)                                       tau in ms, sigma in units of contrast

Both filters have unit area and are sampled so: h2 is the recursion x <- a x + (1 - a) s, a = exp(-dt / tau), and h1 is this
recursion twice. A layer of two leaky stages and `DivisiveNormalization` computes the same.

The fit is least squares over all conditions of an experiment at once; latency is a parameter (between samples, linearly),
and the scale follows from the others. It starts from the best points of a grid. Where it ends on a bound, nothing that
was shown determines its parameters, and it has none: a response that does not adapt has no tau2 and no sigma.

Source: Zhou et al. (2019), PLOS Comput Biol 15:e1007484, eqs. 1 to 4; Groen et al. (2022), J Neurosci 42:7562.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.signal import lfilter

from dynvision.analysis.contrast_response import on_a_bound
from dynvision.analysis.registry import register_fit
from dynvision.analysis.time_grid import above_baseline, after_onset, sample_interval

GRID = {
    "tau1": (4.0, 15.0, 50.0, 120.0),
    "tau2": (30.0, 100.0, 300.0, 900.0),
    "n": (1.0, 2.0),
    "sigma": (0.03, 0.1, 0.3, 1.0),
}
N_STARTS = 3
BOUNDS = {"tau1": (0.2, 1e3), "tau2": (0.2, 1e4), "n": (0.2, 6.0), "sigma": (1e-3, 1e2)}
ONSET = 1e-3  # of the largest response: where the latency can be at most, and a sample
N_DRAWS = 20
FINE, COARSE = 1e-10, 1e-5  # relative tolerance of a fit, and of one that starts from another
MOST_STEPS = 100


@dataclass(frozen=True)
class DelayedNormalization:
    """Parameters: time constants and latency in ms, sigma in units of contrast, scale in those of the response."""

    tau1_ms: float
    tau2_ms: float
    n: float
    sigma: float
    latency_ms: float = 0.0
    scale: float = 1.0
    r_squared: float = np.nan
    reason: str = ""  # why there are no parameters

    def response(self, amplitude: np.ndarray, dt: float) -> np.ndarray:
        """Return the response to a stimulus.

        Args:
            amplitude: contrast of the stimulus at each step, (..., T), >= 0.
            dt: sampling interval in ms.

        Returns:
            (..., T).
        """
        shape = _shape(amplitude, dt, self.tau1_ms, self.tau2_ms, self.n, self.sigma)
        return self.scale * _delayed(shape, self.latency_ms / dt)


def low_pass(x: np.ndarray, dt: float, tau: float) -> np.ndarray:
    """Return the convolution with h2 along the last axis.

    Args:
        x: any signal, (..., T).
        dt: sampling interval in ms.
        tau: time constant in ms.

    Returns:
        (..., T); its sum is that of `x` once all has decayed.
    """
    a = np.exp(-dt / tau)
    return lfilter([1 - a], [1, -a], x, axis=-1)


def gamma_pass(x: np.ndarray, dt: float, tau: float) -> np.ndarray:
    """Return the convolution with h1 along the last axis: :func:`low_pass` twice, with its arguments."""
    a = np.exp(-dt / tau)
    return lfilter([(1 - a) ** 2], [1, -2 * a, a * a], x, axis=-1)


def _shape(s: np.ndarray, dt: float, tau1: float, tau2: float, n: float, sigma: float) -> np.ndarray:
    drive = gamma_pass(s, dt, tau1).clip(0)  # rounding, where it has decayed
    pool = low_pass(drive, dt, tau2)
    return drive**n / (sigma**n + pool**n)


def _delayed(r: np.ndarray, steps: float) -> np.ndarray:
    """Return a response some steps later, linearly interpolated; zero before it begins."""
    whole = int(np.floor(steps))
    part, n = steps - whole, r.shape[-1]
    padded = np.concatenate([np.zeros((*r.shape[:-1], whole + 1)), r], axis=-1)
    return (1 - part) * padded[..., 1 : n + 1] + part * padded[..., :n]


def fit_delayed_normalization(
    response: np.ndarray, amplitude: np.ndarray, dt: float, start: DelayedNormalization | None = None
) -> DelayedNormalization:
    """Fit the model to one layer's responses in all conditions.

    Args:
        response: responses from stimulus onset on, above the baseline, (V, T).
        amplitude: contrast of the stimulus at the same times, (V, T).
        dt: sampling interval in ms.
        start: where to start, for a rougher fit; None searches a grid.

    Returns:
        The parameters; NaN, and a reason, where there is no response or where the fit ends on a bound, in which case it
        still has its explained variance.
    """
    height = np.abs(response).max()
    if not np.isfinite(height) or height == 0 or not amplitude.any():
        return no_fit("there is no stimulus, no response, or one that is not finite")
    target = response / height
    begins = int(np.argmax((np.abs(target) > ONSET).any(axis=0)))
    latest = begins + 1.0

    def shape(p: np.ndarray) -> np.ndarray:
        tau1, tau2, n, sigma = np.exp(p[:4])
        return _delayed(_shape(amplitude, dt, tau1, tau2, n, sigma), p[4])

    def residual(p: np.ndarray) -> np.ndarray:
        r = shape(p)
        return (_gain(r, target) * r - target).ravel()

    if start is None:
        grid = itertools.product(*(np.log(GRID[name]) for name in BOUNDS))
        points = [np.array([*point, max(begins - 1, 0)]) for point in grid]
        points = sorted(points, key=lambda p: float((residual(p) ** 2).sum()))[:N_STARTS]
    else:
        given = np.log([start.tau1_ms, start.tau2_ms, start.n, start.sigma])
        points = [np.array([*given, min(start.latency_ms / dt, latest)])]
    low, high = np.log([BOUNDS[name] for name in BOUNDS]).T
    bounds = np.array([*low, 0.0]), np.array([*high, latest])

    tolerance = FINE if start is None else COARSE

    def search(p: np.ndarray) -> Any:
        inside = np.clip(p, bounds[0] + 1e-9, bounds[1] - 1e-9)
        return least_squares(
            residual,
            inside,
            bounds=bounds,
            x_scale="jac",
            ftol=tolerance,
            xtol=tolerance,
            max_nfev=MOST_STEPS,
        )

    best = min((search(p) for p in points), key=lambda fit: fit.cost)
    # The latency has a kink at every sample, where a search can get stuck.
    for aside in (0.5, -0.5) if start is None else ():
        moved = search(np.array([*best.x[:4], round(best.x[4]) + aside]))
        best = min(best, moved, key=lambda fit: fit.cost)
    variance = float(((target - target.mean()) ** 2).sum())
    r_squared = 1 - 2 * float(best.cost) / variance if variance > 0 else np.nan
    if reason := on_a_bound(best.x[:4], low, high, list(BOUNDS)):
        return no_fit(reason, r_squared)
    tau1, tau2, n, sigma = np.exp(best.x[:4]).tolist()
    return DelayedNormalization(
        tau1,
        tau2,
        n,
        sigma,
        latency_ms=float(best.x[4] * dt),
        scale=float(height) * _gain(shape(best.x), target),
        r_squared=r_squared,
    )


def no_fit(reason: str, r_squared: float = np.nan) -> DelayedNormalization:
    """Return a fit without parameters, with the reason."""
    none = float("nan")
    return DelayedNormalization(none, none, none, none, none, none, r_squared, reason)


def _gain(r: np.ndarray, target: np.ndarray) -> float:
    power = float((r * r).sum())
    return float((r * target).sum()) / power if power > 0 else 0.0


@register_fit(
    "of the delayed-normalisation model fitted to the responses in all conditions",
    N_DRAWS,
    ("dn_r_squared", "DN R²"),
    dn_tau1_ms=("tau1_ms", "DN τ1", "ms", "tau1"),
    dn_tau2_ms=("tau2_ms", "DN τ2", "ms", "tau2"),
    dn_n=("n", "DN n", "ratio", "exponent n"),
    dn_sigma=("sigma", "DN σ", "contrast", "sigma"),
    dn_latency_ms=("latency_ms", "DN latency", "ms", "latency"),
)
def delayed_normalization_fit(
    response: np.ndarray, time_ms: np.ndarray, amplitude: np.ndarray
) -> dict[str, np.ndarray]:
    """Fit the model to each layer.

    Args:
        response: mean responses, (V, ..., T); along the first of the other axes, each fit starts from the first one's.
        time_ms: times in ms, evenly spaced, (T,).
        amplitude: contrast of the stimulus, (V, T).

    Returns:
        Each parameter by name, and ``reason``, (...).
    """
    dt, after = sample_interval(time_ms), after_onset(time_ms)
    r = above_baseline(response, time_ms)
    shape = r.shape[1:-1]
    columns = r.reshape(r.shape[0], shape[0] if shape else 1, -1, r.shape[-1])
    fits = np.empty(columns.shape[1:3], dtype=object)
    for layer in range(columns.shape[2]):
        start = None
        for draw in range(columns.shape[1]):
            fits[draw, layer] = fit_delayed_normalization(
                columns[:, draw, layer], amplitude[:, after], dt, start
            )
            start = fits[0, layer] if np.isfinite(fits[0, layer].tau1_ms) else None
            if draw == 0 and start is None:  # nothing to resample where the response itself has no fit
                fits[:, layer] = fits[0, layer]
                break
    return {
        name: np.array([getattr(fit, name) for fit in fits.ravel()]).reshape(shape)
        for name in ("tau1_ms", "tau2_ms", "n", "sigma", "latency_ms", "scale", "r_squared", "reason")
    }
