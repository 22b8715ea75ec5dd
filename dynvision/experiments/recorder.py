"""Responses as they happen: per layer and step, mean and standard deviation over units of |r|."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynvision.base import Frames
from dynvision.base.recording import measure_layer


class ResponseRecorder:
    """Collects the activity of one trial without keeping it.

    Args:
        layers: names of the layers.
        batch: number of images, B.
        n_steps: steps of the trial.

    Attributes:
        mean, sd: by layer, (B, n_steps) float32; zero before a layer has started.
    """

    def __init__(self, layers: Sequence[str], batch: int, n_steps: int) -> None:
        self.mean = {layer: np.zeros((batch, n_steps), np.float32) for layer in layers}
        self.sd = {layer: np.zeros((batch, n_steps), np.float32) for layer in layers}
        self.offset = 0  # steps of the trial before the stretch that is running

    def __call__(self, layer: str, frames: Frames) -> None:
        """Take the activity of a piece of time, as the engine's observer."""
        measured = measure_layer(layer, frames)
        first = self.offset + frames.first
        at = slice(first, first + frames.n)
        self.mean[layer][:, at] = measured[f"{layer}_mean"].detach().cpu().numpy()
        self.sd[layer][:, at] = measured[f"{layer}_sd"].detach().cpu().numpy()
