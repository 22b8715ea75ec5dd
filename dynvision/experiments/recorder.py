"""Responses as they happen: per layer and step, mean and standard deviation over units of |r|; the units if asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

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
        units: by layer that has started, (n_kept, n_steps, C, H, W) float32; empty if no units are kept.
    """

    def __init__(self, layers: Sequence[str], batch: int, n_steps: int, n_kept: int = 0) -> None:
        self._layers, self._shape = tuple(layers), (batch, n_steps)
        self._measured: dict[str, Tensor] = {}  # stays on the device, so that nothing waits for it
        self.units: dict[str, np.ndarray] = {}
        self.offset = 0  # steps of the trial before the stretch that is running
        self._n_kept = n_kept

    def __call__(self, layer: str, frames: Frames) -> None:
        """Take the activity of a piece of time, as the engine's observer."""
        first = self.offset + frames.first
        at = slice(first, first + frames.n)
        for name, values in measure_layer(layer, frames).items():
            if name not in self._measured:
                self._measured[name] = torch.zeros(self._shape, device=values.device)
            self._measured[name][:, at] = values.detach()
        if self._n_kept:
            activity = units_and_steps(frames)[: self._n_kept].detach().float().cpu().numpy()
            if layer not in self.units:
                shape = (self._n_kept, self._shape[1], *activity.shape[2:])
                self.units[layer] = np.zeros(shape, np.float32)
            self.units[layer][:, at] = activity

    @property
    def mean(self) -> dict[str, np.ndarray]:
        """By layer, (B, n_steps) float32; zero before a layer has started."""
        return self._by_layer("mean")

    @property
    def sd(self) -> dict[str, np.ndarray]:
        """By layer, (B, n_steps) float32; zero before a layer has started."""
        return self._by_layer("sd")

    def _by_layer(self, measure: str) -> dict[str, np.ndarray]:
        nothing = torch.zeros(self._shape)
        return {
            layer: self._measured.get(f"{layer}_{measure}", nothing).cpu().numpy() for layer in self._layers
        }
