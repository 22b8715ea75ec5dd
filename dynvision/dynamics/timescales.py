"""How long the units of a layer remember noise.

The null input plus Gaussian noise that is new at every step and pixel drives the network. The autocorrelation of single
units is averaged over units (:mod:`dynvision.analysis.autocorrelation`); the first fifth of the trial is left out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from dynvision.analysis.autocorrelation import autocorrelation
from dynvision.base import Frames, TemporalBase

N_UNITS = 200
N_STEPS = 1000
LAGS = 0.2  # of the trial
SETTLING = 0.2
STRETCH = 50  # steps at once
SEED = 20220


@torch.inference_mode()
def noise_autocorrelation(
    model: TemporalBase, sd: float = 1.0, n_steps: int = N_STEPS, n_units: int = N_UNITS, seed: int = SEED
) -> pd.DataFrame:
    """Return the autocorrelation of the responses to noise.

    Args:
        model: in eval mode.
        sd: of the noise, in units of the normalised input.
        n_steps: length of the trial.
        n_units: units of each layer, chosen at random.
        seed: of noise and choice.

    Returns:
        Columns `layer lag_ms mean sd n_units`, mean and sd over the units that change; NaN where none does.
    """
    generator = torch.Generator().manual_seed(seed)
    null = model.null_input(1)
    chosen: dict[str, torch.Tensor] = {}
    traces: dict[str, list[np.ndarray]] = {layer: [] for layer in model.chain}

    def observe(layer: str, frames: Frames) -> None:
        activity = frames.folded().flatten(1)
        if layer not in chosen:
            chosen[layer] = torch.randperm(activity.shape[1], generator=generator)[:n_units]
        traces[layer].append(activity[:, chosen[layer]].double().cpu().numpy())

    plan = model.plan()
    state = model.initial_state(1, plan)
    for first in range(0, n_steps, STRETCH):
        n = min(STRETCH, n_steps - first)
        noise = torch.randn(n, *null.shape[1:], generator=generator) * sd
        frames = Frames(0, n, null + noise.to(null.device, null.dtype))
        _, state = model.advance(frames, state, plan, observe)
    rows = []
    for layer, pieces in traces.items():
        activity = np.concatenate(pieces)[int(SETTLING * n_steps) :].T
        correlation = autocorrelation(activity, int(LAGS * n_steps))
        changes = ~np.isnan(correlation[:, 0])
        known = correlation[changes]
        empty = np.full(correlation.shape[1], np.nan)
        rows.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "lag_ms": np.arange(correlation.shape[1]) * model.dt,
                    "mean": known.mean(axis=0) if len(known) else empty,
                    "sd": known.std(axis=0) if len(known) else empty,
                    "n_units": int(changes.sum()),
                }
            )
        )
    table = pd.concat(rows, ignore_index=True)
    table["layer"] = pd.Categorical(table["layer"], list(model.chain))
    return table
