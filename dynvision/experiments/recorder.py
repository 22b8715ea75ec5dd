"""Responses as they happen: per layer and step, mean and standard deviation over units of |r|."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dynvision.base import Frames


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
        units = frames.values.detach().abs().flatten(1).float()
        sd, mean = torch.std_mean(units, dim=1, correction=0)
        first = self.offset + frames.first
        at = slice(first, first + frames.n)
        self.mean[layer][:, at] = self._by_image(mean, frames)
        self.sd[layer][:, at] = self._by_image(sd, frames)

    @staticmethod
    def _by_image(values: Tensor, frames: Frames) -> np.ndarray:
        steps = 1 if frames.constant else frames.n
        return values.view(steps, -1).T.cpu().numpy()
