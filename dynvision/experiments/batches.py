"""Test images in batches: as many as asked, and fewer at once whenever the memory of a GPU does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dynvision.data.loader import ImageLoader
from dynvision.errors import InputError
from dynvision.experiments.screen import Screen, on_device
from dynvision.noise import PixelScale


@dataclass(frozen=True)
class Batch:
    """Test images.

    Attributes:
        images: normalised, (B, C, H, W).
        labels: class of each, (B,).
        indices: of each in the source, (B,).
        first: how many test images come before them.
        others: images that follow each of them, (B, K, C, H, W); None where no content needs them.
    """

    images: Tensor
    labels: Tensor
    indices: np.ndarray
    first: int = 0
    others: Tensor | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def part(self, first: int, end: int) -> Batch:
        """Return the images from ``first`` up to ``end``, or as many as there are."""
        at = slice(first, end)
        others = None if self.others is None else self.others[at]
        return Batch(self.images[at], self.labels[at], self.indices[at], self.first + first, others)

    def on_screen(self, scale: PixelScale) -> Screen:
        """Return the images as a screen, on the device of their scale."""
        device = scale.mean.device
        others = None if self.others is None else on_device(self.others, device)
        indices = on_device(torch.from_numpy(self.indices), device)
        return Screen(on_device(self.images, device), indices, scale, others)


def each_batch(loader: ImageLoader, n_images: int, n_others: int = 0) -> Iterator[Batch]:
    """Yield the first test images, round robin over the classes, each exactly once.

    Args:
        loader: of the test images.
        n_images: how many.
        n_others: K, how many images that follow each of them are at hand; the first follow the last, and where there are
            not so many, they come again.

    Raises:
        InputError: there is no other image.
    """
    if not n_others:
        yield from _batches(loader, n_images)
        return
    if n_images < 2:
        raise InputError("the stimulus shows other images, and the test has a single one; raise n_images")
    distinct = min(n_others, n_images - 1)
    for batch in _batches_with_others(loader, n_images, distinct):
        assert batch.others is not None
        yield replace(batch, others=batch.others[:, [k % distinct for k in range(n_others)]])


def _batches_with_others(loader: ImageLoader, n_images: int, n_others: int) -> Iterator[Batch]:
    first: list[Tensor] = []  # the images that follow the last ones
    waiting: list[Batch] = []
    for batch in _batches(loader, n_images):
        first.extend(batch.images[: max(0, n_others - len(first))])
        waiting.append(batch)
        while len(waiting) > 1 and sum(map(len, waiting[1:])) >= n_others:
            yield _with_others(waiting.pop(0), [*waiting], n_others)
    end = Batch(torch.stack(first), torch.zeros(0), np.zeros(n_others, int))
    while waiting:
        yield _with_others(waiting.pop(0), [*waiting, end], n_others)


def _with_others(batch: Batch, later: list[Batch], n_others: int) -> Batch:
    """Return a batch with the images that follow each of its own."""
    row = torch.cat([batch.images, *(other.images for other in later)])[: len(batch) + n_others]
    others = torch.stack([row[k : k + len(batch)] for k in range(1, n_others + 1)], dim=1)
    return Batch(batch.images, batch.labels, batch.indices, batch.first, others)


def _batches(loader: ImageLoader, n_images: int) -> Iterator[Batch]:
    indices = np.asarray(loader.image_indices)[:n_images]
    done = 0
    for images, labels in loader:
        here = indices[done : done + len(labels)]
        yield Batch(images, labels, here, done).part(0, len(here))
        done += len(here)
        if done >= n_images:
            return


def pixel_scale(loader: ImageLoader, device: torch.device) -> PixelScale:
    """Return the normalisation of a loader's images."""
    mean, scale = (
        torch.tensor(list(values), device=device).view(1, -1, 1, 1) for values in loader.normalization
    )
    return PixelScale(mean, scale)


R = TypeVar("R")

# Pixels of all images that a GPU is shown at once, 512 of 32 px: conditions are shown together as far as they fit.
PIXELS_ON_GPU = 2**19


class Room:
    """How many images are shown at once, and in how many conditions.

    Args:
        n_images: at first.
        n_conditions: at first.
    """

    def __init__(self, n_images: int, n_conditions: int = 1) -> None:
        self.n_images, self.n_conditions = n_images, n_conditions

    @classmethod
    def on(cls, device: torch.device, n_images: int, n_pixels: int) -> Room:
        """Return the room that a device has at first.

        A CPU computes no faster with more images, and shows one condition at a time: its results stay bit-equal,
        whatever the number of conditions.

        Args:
            device: computes.
            n_images: that are asked for.
            n_pixels: of an image.
        """
        room = PIXELS_ON_GPU // (n_images * n_pixels) if device.type == "cuda" else 1
        return cls(n_images, max(1, room))

    def each_part(self, batch: Batch, show: Callable[[Batch, int], R]) -> Iterator[tuple[Batch, R]]:
        """Show a batch in parts for which there is room, each exactly once and in turn.

        Args:
            batch: the images.
            show: shows a part in so many conditions at once; called again with less if memory did not suffice.

        Yields:
            Each part and what it made.

        Raises:
            InputError: there is no room for a single image.
        """
        done = 0
        while done < len(batch):
            part = batch.part(done, done + self.n_images)
            try:
                made = show(part, self.n_conditions)
            except torch.OutOfMemoryError:
                made = None
            if made is None:  # out of the except block, which would hold on to the tensors of the trial
                self._make_room(len(part))
                continue
            yield part, made
            done += len(part)

    def _make_room(self, n_tried: int) -> None:
        """Show fewer conditions at once, or, where it is one, half of the images."""
        torch.cuda.empty_cache()
        if self.n_conditions > 1:
            self.n_conditions //= 2
            print(
                f"the memory of the GPU does not suffice for so many conditions at once; continuing with "
                f"{self.n_conditions}",
                flush=True,
            )
            return
        if n_tried == 1:
            raise InputError(
                "the memory of the GPU does not suffice for a single image; set execution.accelerator=cpu, or make "
                "images or trial smaller (data.resolution, recorded_ms)"
            )
        self.n_images = n_tried // 2
        print(
            f"the memory of the GPU does not suffice for {n_tried} images at once; continuing with {self.n_images} "
            "(execution.test_batch_size)",
            flush=True,
        )
