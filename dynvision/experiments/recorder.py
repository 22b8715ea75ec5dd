"""Responses as they happen: per layer and step, mean and standard deviation over units of |r|; the units if asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynvision.base import Frames
from dynvision.base.recording import measure_layer, units_and_steps


class ResponseRecorder:
    """Collects the activity of one trial without keeping it, but for the units of the first images if asked for.

    Args:
        layers: names of the layers.
        batch: number of images, B.
        n_steps: steps of the trial.
        n_kept: images whose units are kept.

    Attributes:
        mean, sd: by layer, (B, n_steps) float32; zero before a layer has started.
        units: by layer that has started, (n_kept, n_steps, C, H, W) float32; empty if no units are kept.
    """

    def __init__(self, layers: Sequence[str], batch: int, n_steps: int, n_kept: int = 0) -> None:
        self.mean = {layer: np.zeros((batch, n_steps), np.float32) for layer in layers}
        self.sd = {layer: np.zeros((batch, n_steps), np.float32) for layer in layers}
        self.units: dict[str, np.ndarray] = {}
        self.offset = 0  # steps of the trial before the stretch that is running
        self._n_kept, self._n_steps = n_kept, n_steps

    def __call__(self, layer: str, frames: Frames) -> None:
        """Take the activity of a piece of time, as the engine's observer."""
        measured = measure_layer(layer, frames)
        first = self.offset + frames.first
        at = slice(first, first + frames.n)
        self.mean[layer][:, at] = measured[f"{layer}_mean"].detach().cpu().numpy()
        self.sd[layer][:, at] = measured[f"{layer}_sd"].detach().cpu().numpy()
        if self._n_kept:
            activity = units_and_steps(frames)[: self._n_kept].detach().float().cpu().numpy()
            if layer not in self.units:
                shape = (self._n_kept, self._n_steps, *activity.shape[2:])
                self.units[layer] = np.zeros(shape, np.float32)
            self.units[layer][:, at] = activity
