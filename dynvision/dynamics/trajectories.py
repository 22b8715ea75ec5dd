"""Activity of layers in a trial: its trajectory, and the agreement of engineering and biological time.

Trajectories in the space of a layer's units, projected on the first principal components:

    x(b, t) - m = sum_j score_j(b, t) u_j           m the mean over images and times, u_j unit vectors of largest variance

From the Gram matrix of images and times, which is small where the number of units is large. The sign of a component is
such that its largest score is positive.

The same network with and without feedforward delays:

    biological   (t_feedforward, t_skip, t_feedback)
    engineering  (0, t_skip - n t_feedforward, t_feedback + n t_feedforward)            n stages from source to target
    r_l(t) biological = r_l(t - l t_feedforward) engineering                            l stages from the input to layer l

The two are equal to float tolerance. That is checked on real images, layer by layer and unit by unit. A network with a skip
faster than its feedforward path would need the future in engineering time, and has no such twin.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dynvision.base import TemporalBase
from dynvision.errors import InputError
from dynvision.experiments.trial import run_trials
from dynvision.model_components.connection import Connection
from dynvision.trials import IMAGE, Segment, Trial
from dynvision.units import ms_to_steps, steps_to_ms

N_COMPONENTS = 3


def principal_scores(activity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scores on the first principal components, and the part of the variance that each explains.

    Args:
        activity: (N, U), N observations of U units.

    Returns:
        (N, K) and (K,), K = 3 components, or N if that is less.
    """
    centred = activity - activity.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    scores = vectors[:, :N_COMPONENTS] * np.sqrt(values[:N_COMPONENTS])
    sign = np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])])
    total = values.sum()
    return scores * np.where(sign == 0, 1, sign), values[:N_COMPONENTS] / (total if total > 0 else np.nan)


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
        if layer not in kept:
            continue
        scores, explained = principal_scores(kept[layer].reshape(batch * n_steps, -1).astype(np.float32))
        n = len(explained)
        table = pd.DataFrame(
            {
                "layer": layer,
                "image": np.repeat(np.asarray(indices), n_steps * n),
                "label": np.repeat(np.asarray(labels), n_steps * n),
                "time_ms": np.tile(np.repeat(time_ms, n), batch),
                "stimulus_on": np.tile(np.repeat(np.array(trial.stimulus_on), n), batch),
                "component": np.tile(np.arange(1, n + 1), batch * n_steps),
                "score": scores.ravel(),
                "explained": np.tile(explained, batch * n_steps),
            }
        )
        rows.append(table)
    return _by_layer(rows, model)


def engineering_twin(model: TemporalBase) -> TemporalBase:
    """Return a copy of a network without feedforward delays, with the delays of its connections changed to match.

    Raises:
        InputError: a skip connection would need a negative delay.
    """
    twin = copy.deepcopy(model)
    starts = layer_delays(model)
    twin.t_feedforward = 0.0
    for layer in twin.chain:
        twin._modules.pop(f"delay_{layer}", None)  # one that was learned
    for name, connection in twin.named_modules():
        if isinstance(connection, Connection):
            target = name.partition("_")[2]
            ahead = starts[target] - starts[connection.source]  # below zero for feedback
            if connection.delay_steps - ahead < 0:
                raise InputError(
                    f"{name} is faster than the feedforward path by {(ahead - connection.delay_steps) * model.dt:g} ms: "
                    "engineering time would need a negative delay; raise t_skip"
                )
            connection.fix_delay(steps_to_ms(connection.delay_steps - ahead, model.dt))
    return twin


def layer_delays(model: TemporalBase) -> dict[str, int]:
    """Return the steps until the input reaches a layer along the chain of layers, by layer."""
    delays, passed = {}, 0
    for layer in model.chain:
        delays[layer] = passed
        passed += model.feedforward_delay_steps(layer)
    return delays


@torch.inference_mode()
def compare_unrollings(model: TemporalBase, images: Tensor, n_steps: int) -> pd.DataFrame:
    """Run a network and its engineering twin on the same images.

    Args:
        model: in eval mode.
        images: normalised images, (B, C, H, W), shown for the whole trial, from silence.
        n_steps: length of the trial.

    Returns:
        Columns `layer time_ms biological engineering largest_difference shift_ms`.

    Raises:
        InputError: there is no engineering twin.
    """
    twin, delays = engineering_twin(model), layer_delays(model)
    ours, theirs = _run(model, images, n_steps), _run(twin, images, n_steps)
    rows = []
    for layer in model.chain:
        shift = delays[layer]
        if layer not in ours or shift >= n_steps:
            continue
        slow, fast = ours[layer][shift:], theirs[layer][: n_steps - shift]
        rows.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "time_ms": np.arange(shift + 1, n_steps + 1) * model.dt,
                    "biological": np.abs(slow).mean(axis=(1, 2)),
                    "engineering": np.abs(fast).mean(axis=(1, 2)),
                    "largest_difference": np.abs(slow - fast).max(axis=(1, 2)),
                    "shift_ms": shift * model.dt,
                }
            )
        )
    return _by_layer(rows, model)


def _by_layer(tables: list[pd.DataFrame], model: TemporalBase) -> pd.DataFrame:
    """Return the tables of layers as one, with the layers in their order."""
    table = pd.concat(tables, ignore_index=True)
    table["layer"] = pd.Categorical(table["layer"], list(model.chain))
    return table


def _run(model: TemporalBase, images: Tensor, n_steps: int) -> dict[str, np.ndarray]:
    """Return the activity by layer, (T, B, U); zero before a layer starts."""
    trial = Trial((Segment(n_steps, IMAGE),), model.dt)
    ((_, recorder, _),) = run_trials(model, images, [trial], n_kept=len(images))
    return {
        layer: activity.reshape(*activity.shape[:2], -1).swapaxes(0, 1)
        for layer, activity in recorder.units.items()
    }
