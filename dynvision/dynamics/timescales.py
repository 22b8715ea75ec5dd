"""The time for which the units of a layer remember noise.

The null input plus Gaussian noise that is new at every step and pixel drives the network. The autocorrelation of single
units is averaged over units (:mod:`dynvision.analysis.fourier`); the first fifth of the trial is left out.

A record of n steps underestimates it twice: lag k has n - k products, and the mean of the record varies with it,

    E[r^(k)] = (n - k) / n (r(k) - b) / (1 - b)    b = (1 + 2 sum r(k)) / n, variance of the mean over that of the signal

Both are corrected (b by iteration), and the record is made longer until it has 30 decay times, or 16 times its length.

Source: Priestley (1981), Spectral Analysis and Time Series, 5.3.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from dynvision.analysis.bootstrap import SEED
from dynvision.analysis.fourier import autocorrelation, decay_time
from dynvision.base import Frames, TemporalBase

N_UNITS = 200  # of each layer, chosen at random
N_STEPS = 1000
LAGS = 0.2  # of the trial
SETTLING = 0.2
STRETCH = 50  # steps at once
N_COPIES = 8  # of the network, each with noise of its own
LONG_ENOUGH = 30  # decay times in a record
LONGEST = 16  # times the record that is asked for
N_ITERATIONS = 10


@torch.inference_mode()
def noise_autocorrelation(model: TemporalBase, n_steps: int = N_STEPS) -> pd.DataFrame:
    """Return the autocorrelation of the responses to noise of sd 1, in units of the normalised input.

    Args:
        model: in eval mode.
        n_steps: length of the trial; a layer that remembers for long makes it longer.

    Returns:
        Columns `layer lag_ms mean sd n_units`, mean and sd over the units that change; NaN where none does.
    """
    generator = torch.Generator().manual_seed(SEED)
    null = model.null_input(N_COPIES)
    chosen: dict[str, torch.Tensor] = {}
    traces: dict[str, list[np.ndarray]] = {layer: [] for layer in model.chain}

    def observe(layer: str, frames: Frames) -> None:
        activity = frames.folded().flatten(1)  # (n B, U)
        if layer not in chosen:
            chosen[layer] = torch.randperm(activity.shape[1], generator=generator)[:N_UNITS]
        kept = activity[:, chosen[layer]].unflatten(0, (frames.n, -1)).flatten(1)
        traces[layer].append(kept.double().cpu().numpy())

    plan = model.plan()
    state = model.initial_state(N_COPIES, plan)
    done, length, rows = 0, n_steps, []
    while True:
        for first in range(done, length, STRETCH):
            n = min(STRETCH, length - first)
            noise = torch.randn(n * N_COPIES, *null.shape[1:], generator=generator)
            frames = Frames(0, n, null.repeat(n, 1, 1, 1) + noise.to(null.device, null.dtype))
            _, state = model.advance(frames, state, plan, observe)
        done = length
        rows = [
            _of_layer(layer, np.concatenate(pieces).T, int(LAGS * done), model.dt)
            for layer, pieces in traces.items()
        ]
        decays = [decay_time(row["mean"].to_numpy(), 1.0) for row in rows if row["n_units"].iloc[0]]
        settled = all(LONG_ENOUGH * decay <= done for decay in decays)  # NaN, not yet decayed, is not settled
        if settled or done >= LONGEST * n_steps:
            break
        length = 2 * done
    table = pd.concat(rows, ignore_index=True)
    table["layer"] = pd.Categorical(table["layer"], list(model.chain))
    return table


def _of_layer(layer: str, activity: np.ndarray, n_lags: int, dt: float) -> pd.DataFrame:
    """Return the rows of a layer from the activity of some units in all copies, (B U, T)."""
    settled = activity[:, int(SETTLING * activity.shape[1]) :]
    by_copy = settled.reshape(N_COPIES, -1, settled.shape[1])
    power = by_copy.var(axis=-1, keepdims=True)
    # Covariances are averaged over copies before they are divided: the mean of a ratio would be biased once more.
    covariance = (np.nan_to_num(autocorrelation(by_copy, n_lags)) * power).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.where(power.sum(axis=0) > 0, covariance / power.sum(axis=0), np.nan)
    known = correlation[~np.isnan(correlation[:, 0])]
    empty = np.full(n_lags, np.nan)
    return pd.DataFrame(
        {
            "layer": layer,
            "lag_ms": np.arange(n_lags) * dt,
            "mean": unbiased(known.mean(axis=0), settled.shape[1]) if len(known) else empty,
            "sd": known.std(axis=0) if len(known) else empty,
            "n_units": len(known),
        }
    )


def unbiased(correlation: np.ndarray, n_steps: int) -> np.ndarray:
    """Return an autocorrelation without the bias of a short record.

    Args:
        correlation: as estimated, averaged over units, by lag from 0, (K,).
        n_steps: n, length of the record.

    Returns:
        (K,), 1 at lag 0.
    """
    raw = correlation * n_steps / (n_steps - np.arange(len(correlation)))
    r = raw
    for _ in range(N_ITERATIONS):
        end = int(np.argmax(r <= 0)) or len(r)  # the sum is over the decay: beyond it there is noise alone
        b = min((1 + 2 * r[1:end].sum()) / n_steps, 0.5)
        r = raw * (1 - b) + b
    return r
