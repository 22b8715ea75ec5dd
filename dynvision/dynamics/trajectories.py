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

from dynvision.base import Frames, TemporalBase
from dynvision.units import ms_to_steps

N_COMPONENTS = 3


def principal_scores(activity: np.ndarray, n_components: int = N_COMPONENTS) -> tuple[np.ndarray, np.ndarray]:
    """Scores on the first principal components, and the part of the variance that each explains.

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
    n_steps = before + total
    kept: dict[str, np.ndarray] = {}
    offset = 0

    def observe(layer: str, frames: Frames) -> None:
        activity = frames.folded().unflatten(0, (-1, batch)).transpose(0, 1).flatten(2).float().cpu().numpy()
        if layer not in kept:
            kept[layer] = np.zeros((batch, n_steps, activity.shape[2]), np.float32)
        first = offset + frames.first
        kept[layer][:, first : first + frames.n] = activity

    plan = model.plan()
    state = model.initial_state(batch, plan)
    null = model.null_input(batch)
    for n, frame in ((before, null), (on, images), (total - on, null)):
        if n:
            _, state = model.advance(Frames(0, n, frame, constant=True), state, plan, observe)
            offset += n
    time_ms = np.round((np.arange(1, n_steps + 1) - before) * dt, 9)
    rows = []
    for layer in model.chain:
        if layer in kept:
            scores, explained = principal_scores(kept[layer].reshape(batch * n_steps, -1))
            rows.append(
                _rows(
                    layer,
                    scores.reshape(batch, n_steps, -1),
                    explained,
                    labels,
                    indices,
                    time_ms,
                    duration_ms,
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
    duration_ms: float,
) -> pd.DataFrame:
    batch, n_steps, n = scores.shape
    each = n_steps * n
    return pd.DataFrame(
        {
            "layer": layer,
            "image": np.repeat(np.asarray(indices), each),
            "label": np.repeat(np.asarray(labels), each),
            "time_ms": np.tile(np.repeat(time_ms, n), batch),
            "stimulus_on": np.tile(np.repeat((time_ms > 1e-9) & (time_ms < duration_ms + 1e-9), n), batch),
            "component": np.tile(np.arange(1, n + 1), batch * n_steps),
            "score": scores.ravel(),
            "explained": np.tile(explained, batch * n_steps),
        }
    )
