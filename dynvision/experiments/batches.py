"""Test images in batches: as many as asked, half of them whenever the memory of a GPU does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dynvision.data.loader import ImageLoader
from dynvision.errors import InputError
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


R = TypeVar("R")


class Room:
    """How many images are shown at once.

    Args:
        n_images: at first.
    """

    def __init__(self, n_images: int) -> None:
        self.n_images = n_images

    def each_part(self, batch: Batch, show: Callable[[Batch], R]) -> Iterator[tuple[Batch, R]]:
        """Show a batch in parts for which there is room, each exactly once and in turn.

        Args:
            batch: the images.
            show: shows a part; called again with a smaller one if memory did not suffice.

        Yields:
            Each part and what it made.

        Raises:
            InputError: there is no room for a single image.
        """
        done = 0
        while done < len(batch):
            part = batch.part(done, done + self.n_images)
            try:
                made = show(part)
            except torch.OutOfMemoryError:
                made = None
            if made is None:  # out of the except block, which would hold on to the tensors of the trial
                self._halve(len(part))
                continue
            yield part, made
            done += len(part)

    def _halve(self, n_tried: int) -> None:
        if n_tried == 1:
            raise InputError(
                "the memory of the GPU does not suffice for a single image; set execution.accelerator=cpu, or make "
                "images or trial smaller (data.resolution, recorded_ms)"
            )
        self.n_images = n_tried // 2
        torch.cuda.empty_cache()
        print(
            f"the memory of the GPU does not suffice for {n_tried} images at once; going on with {self.n_images} "
            "(execution.test_batch_size)",
            flush=True,
        )
