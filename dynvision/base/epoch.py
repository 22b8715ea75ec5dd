"""How much a batch weighs in an update of the weights.

An update is made of k batches. Its gradient is that of the mean over all of its images, so a batch of b images weighs

    k b / N        N images of the k batches; 1 unless the last batches of an epoch are smaller or fewer

which undoes that the gradient of every batch, a mean over its images, is divided by k.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """The images that one process is shown in an epoch.

    Attributes:
        n_images: how many.
        batch_size: images of every batch but the last.
        accumulate_batches: k.
    """

    n_images: int
    batch_size: int
    accumulate_batches: int = 1

    def weight(self, batch: int) -> float:
        """The weight of a batch by its number, counted from 0."""
        first = batch - batch % self.accumulate_batches
        together = self._images(first, first + self.accumulate_batches)
        return self.accumulate_batches * self._images(batch, batch + 1) / together

    def _images(self, first: int, end: int) -> int:
        """Images of the batches from ``first`` up to ``end``."""
        return min(end * self.batch_size, self.n_images) - first * self.batch_size
