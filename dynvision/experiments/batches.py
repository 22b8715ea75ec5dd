"""Test images in batches, the first of them if not all are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dynvision.data.loader import ImageLoader
from dynvision.experiments.screen import Screen
from dynvision.noise import PixelScale


@dataclass(frozen=True)
class Batch:
    """Test images.

    Attributes:
        images: normalised, (B, C, H, W).
        labels: class of each, (B,).
        indices: of each in the source, (B,).
        first: how many test images come before them.
    """

    images: Tensor
    labels: Tensor
    indices: np.ndarray
    first: int = 0

    def __len__(self) -> int:
        return len(self.indices)

    def part(self, first: int, end: int) -> Batch:
        """The images from ``first`` up to ``end``, or as many as there are."""
        at = slice(first, end)
        return Batch(self.images[at], self.labels[at], self.indices[at], self.first + first)

    def on_screen(self, scale: PixelScale) -> Screen:
        """The images, ready to be shown where their scale is."""
        device = scale.mean.device
        return Screen(self.images.to(device), torch.from_numpy(self.indices).to(device), scale)


def each_batch(loader: ImageLoader, n_images: int) -> Iterator[Batch]:
    """The first test images, round robin over the classes, each exactly once."""
    indices = np.asarray(loader.image_indices)[:n_images]
    done = 0
    for images, labels in loader:
        here = indices[done : done + len(labels)]
        yield Batch(images, labels, here, done).part(0, len(here))
        done += len(here)
        if done >= n_images:
            return


def pixel_scale(loader: ImageLoader, device: torch.device) -> PixelScale:
    """The normalisation of a loader's images."""
    mean, scale = (
        torch.tensor(list(values), device=device).view(1, -1, 1, 1) for values in loader.normalization
    )
    return PixelScale(mean, scale)
