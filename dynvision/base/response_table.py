"""Stored responses as a long table: sample, time_ms, label, guess, confidence, and the outputs or one layer's activity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dynvision.base.recording import Recording
from dynvision.errors import InputError, unknown_name
from dynvision.units import steps_to_ms


def response_table(recording: Recording, layer: str, dt: float) -> pd.DataFrame:
    """One row for each image and output step.

    Args:
        recording: what is stored.
        layer: the classifier's name, ``classifier``, or a layer.
        dt: integration step in ms.

    Raises:
        InputError: nothing is stored, or not that layer.
    """
    if not recording.n_images:
        raise InputError(
            "no responses are stored; set store_responses to a number of images, or call the model with it"
        )
    responses = recording.responses()
    confidence, guess = responses[recording.classifier].float().softmax(dim=-1).max(dim=-1)
    n_images, n_steps = guess.shape
    columns = {
        "sample": np.repeat(np.arange(n_images), n_steps),
        "time_ms": np.tile([steps_to_ms(t + 1, dt) for t in range(n_steps)], n_images),
        "label": recording.labels.flatten().numpy(),
        "guess": guess.flatten().numpy(),
        "confidence": confidence.flatten().numpy(),
    }
    values = _of_layer(responses, layer, recording.classifier)
    return pd.DataFrame(columns | {name: tensor.flatten().numpy() for name, tensor in values.items()})


def _of_layer(responses: dict[str, Tensor], layer: str, classifier: str) -> dict[str, Tensor]:
    """Columns (N, T) for the outputs, or for a layer whose activity or measures are stored."""
    if layer in ("classifier", classifier):
        return {f"logit_{k}": logits for k, logits in enumerate(responses[classifier].float().unbind(dim=-1))}
    if f"{layer}_mean" in responses:
        return {"mean": responses[f"{layer}_mean"], "sd": responses[f"{layer}_sd"]}
    if layer not in responses:
        stored = {name.removesuffix("_mean").removesuffix("_sd") for name in responses}
        raise unknown_name("stored layer", layer, stored, key="store_layers")
    sd, mean = torch.std_mean(responses[layer].abs().flatten(2).float(), dim=2, correction=0)
    return {"mean": mean, "sd": sd}
