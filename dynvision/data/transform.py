"""From stored pixels to the network's input: operations in their order, the central square, normalisation.

    x = (p / 255 -> operations -> central square - mean) / sd        p: pixel 0..255; mean, sd: in 0..1, per channel

A channel that never changes has sd = 0 and is divided by 1 instead, so that it is 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynvision.data.operations import OPERATIONS, Shown, per_channel
from dynvision.functional.counter_random import random_key, random_uniform


@dataclass(frozen=True)
class Transform:
    """One way to show images; the same for every loader.

    Attributes:
        operations: ``{name: settings}``, in their order.
        resolution: height and width of the result in px.
        mean: per channel, pixels in 0..1.
        sd: per channel, pixels in 0..1.
        seed: of the random choices.
    """

    operations: tuple[Mapping[str, Mapping[str, Any]], ...]
    resolution: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    seed: int = 0

    def __call__(self, pixels: Tensor, images: NDArray[np.int64], epoch: int) -> Tensor:
        """Show a batch.

        Args:
            pixels: uint8, (B, S, S, C), S >= resolution.
            images: index of each image in its source, (B,): which random numbers are its.
            epoch: likewise.

        Returns:
            Normalised images in memory of their own, float32, (B, C, H, W).
        """
        x = torch.empty(*pixels.permute(0, 3, 1, 2).shape, dtype=torch.float32, device=pixels.device)
        for channel in range(x.shape[1]):  # twice as fast as turning the axes of all at once
            x[:, channel] = pixels[..., channel]
        x = x.div_(255)
        shown = Shown(self.resolution, self.mean)
        for place, step in enumerate(self.operations):
            ((name, settings),) = step.items()
            operation = OPERATIONS[name]
            stream = random_key(self.seed, epoch, torch.from_numpy(images), place)
            u = random_uniform(stream, (operation.n_draws,)).double().numpy()
            x = operation.apply(x, u, settings, shown)
        x = centre(x, self.resolution)
        return x.sub_(per_channel(self.mean, x)).div_(per_channel(self.divisor, x))

    def denormalize(self, images: Tensor) -> Tensor:
        """Normalised images, (B, C, H, W), back in 0..1, to look at."""
        return (images * per_channel(self.divisor, images) + per_channel(self.mean, images)).clamp(0, 1)

    @property
    def divisor(self) -> tuple[float, ...]:
        """sd, with 1 for a channel that never changes."""
        return tuple(value if value > 0 else 1.0 for value in self.sd)


def centre(x: Tensor, size: int) -> Tensor:
    """The central square; a side of odd excess loses one pixel more on the right and the bottom."""
    excess = x.shape[2] - size
    if not excess:
        return x
    return x[:, :, excess // 2 : excess // 2 + size, excess // 2 : excess // 2 + size].contiguous()
