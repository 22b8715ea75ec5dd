"""As many images at once as there is room for: as many as asked, half of them whenever a GPU's memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from dynvision.errors import InputError
from dynvision.experiments.batches import Batch

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
