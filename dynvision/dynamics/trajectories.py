"""Where a layer's activity goes in the space of its units, projected on the first principal components.

    x(b, t) - m = sum_j score_j(b, t) u_j           m the mean over images and times, u_j unit vectors of largest variance

From the Gram matrix of images and times, which is small where the number of units is large. The sign of a component is
such that its largest score is positive.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dynvision.base import TemporalBase
from dynvision.experiments.trial import run_trials
from dynvision.trials import IMAGE, Segment, Trial
from dynvision.units import ms_to_steps

N_COMPONENTS = 3


def principal_scores(activity: np.ndarray, n_components: int = N_COMPONENTS) -> tuple[np.ndarray, np.ndarray]:
    """Return scores on the first principal components, and the part of the variance that each explains.

    Args:
        activity: (N, U), N observations of U units.
        n_components: at most N.

    Returns:
        (N, n_components) and (n_components,).
    """
    centred = activity - activity.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    scores = vectors[:, :n_components] * np.sqrt(values[:n_components])
    sign = np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])])
    total = values.sum()
    return scores * np.where(sign == 0, 1, sign), values[:n_components] / (total if total > 0 else np.nan)


@torch.inference_mode()
def layer_trajectories(
    model: TemporalBase,
    images: Tensor,
    labels: Sequence[int],
    indices: Sequence[int],
    duration_ms: float,
    baseline_ms: float,
    recorded_ms: float,
) -> pd.DataFrame:
    """Project every layer's response to a pulse.

    Args:
        model: in eval mode.
        images: normalised images, (B, C, H, W).
        labels, indices: of the images.
        duration_ms: how long the images are on.
        baseline_ms: blank before.
        recorded_ms: time recorded from onset on.

    Returns:
        Columns `layer image label time_ms stimulus_on component score explained`.
    """
    dt, batch = model.dt, len(images)
    before, on, total = (
        ms_to_steps(ms, dt, name)
        for name, ms in {
            "baseline_ms": baseline_ms,
            "duration_ms": duration_ms,
            "recorded_ms": recorded_ms,
        }.items()
    )
    trial = Trial((Segment(before), Segment(on, IMAGE), Segment(total - on)), dt, onset=before)
    ((_, recorder, _),) = run_trials(model, images, [trial], n_kept=batch)
    kept, time_ms, n_steps = recorder.units, np.array(trial.times_ms), trial.n_steps
    rows = []
    for layer in model.chain:
        if layer in kept:
            scores, explained = principal_scores(kept[layer].reshape(batch * n_steps, -1).astype(np.float32))
            rows.append(
                _rows(
                    layer,
                    scores.reshape(batch, n_steps, -1),
                    explained,
                    labels,
                    indices,
                    time_ms,
                    np.array(trial.stimulus_on),
                )
            )
    table = pd.concat(rows, ignore_index=True)
    table["layer"] = pd.Categorical(table["layer"], list(model.chain))
    return table


def _rows(
    layer: str,
    scores: np.ndarray,
    explained: np.ndarray,
    labels: Sequence[int],
    indices: Sequence[int],
    time_ms: np.ndarray,
    stimulus_on: np.ndarray,
) -> pd.DataFrame:
    batch, n_steps, n = scores.shape
    each = n_steps * n
    return pd.DataFrame(
        {
            "layer": layer,
            "image": np.repeat(np.asarray(indices), each),
            "label": np.repeat(np.asarray(labels), each),
            "time_ms": np.tile(np.repeat(time_ms, n), batch),
            "stimulus_on": np.tile(np.repeat(stimulus_on, n), batch),
            "component": np.tile(np.arange(1, n + 1), batch * n_steps),
            "score": scores.ravel(),
            "explained": np.tile(explained, batch * n_steps),
        }
    )
