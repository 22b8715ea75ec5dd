"""What the two loaders share: order, epochs, normalisation, and the state that a resumed training needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dynvision.data.manifest import Manifest
from dynvision.data.normalization import normalize
from dynvision.data.orders import FixedOrder, Order, ShuffledOrder, interleaved_order
from dynvision.data.splits import SplitName

Batch = tuple[Tensor, Tensor]


class ImageLoader(ABC):
    """Batches of one split: images float32 (B, C, H, W), normalised, and class indices int64 (B,).

    Training images come in another order in each epoch, a function of seed and epoch only; validation images in the
    order of their indices; test images round robin over the classes. No image is ever left out, so the last batch may
    be smaller. Each pass advances the epoch by one unless `set_epoch` says otherwise.

    Attributes:
        manifest: of the data folder.
        split: ``train``, ``val`` or ``test``.
        batch_size: images per batch.
        sampler: the order of the images; Lightning sets its epoch.
        batch_sampler: none, which Lightning wants to be told.
    """

    batch_sampler = None

    def __init__(self, manifest: Manifest, split: SplitName, batch_size: int, seed: int = 0) -> None:
        self.manifest = manifest
        self.split = split
        self.batch_size = batch_size
        self.sampler = _order(manifest, split, seed)
        self._epoch_shown = 0
        self._n_shown = 0
        self._resume: dict[str, int] = {}

    @property
    def n_images(self) -> int:
        """Number of images in the split."""
        return self.manifest.split(self.split).n_images

    @property
    def image_indices(self) -> NDArray[np.int64]:
        """Index of each image in its source, in the order of the next pass, (N,)."""
        return np.array(self.manifest.split(self.split).indices)[self.sampler.positions()]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next pass shows."""
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return -(-self.n_images // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        positions = self._begin_pass()
        with closing(self._read(positions)) as batches:
            for pixels, labels in batches:
                self._n_shown += 1
                yield normalize(pixels, self.manifest.mean, self.manifest.sd), labels

    @abstractmethod
    def _read(self, positions: NDArray[np.int64]) -> Generator[Batch, None, None]:
        """Batches of pixels, uint8 (B, H, W, C), and labels, int64 (B,), at these positions of the split in turn.

        The pixels may be overwritten when the next batch is asked for; the labels may not.
        """

    def _begin_pass(self) -> NDArray[np.int64]:
        positions = self.sampler.positions()
        self._epoch_shown = self.sampler.epoch
        resumed = self._resume.get("epoch") == self._epoch_shown and self._resume["n_shown"] < len(self)
        self._n_shown = self._resume["n_shown"] if resumed else 0
        self._resume = {}
        self.sampler.set_epoch(self._epoch_shown + 1)
        return positions[self._n_shown * self.batch_size :]

    def state_dict(self) -> dict[str, int]:
        """Epoch and number of batches shown. Lightning keeps this in its checkpoints."""
        return {"epoch": self._epoch_shown, "n_shown": self._n_shown}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in the middle of an epoch: its next pass leaves out the batches that were shown."""
        self._resume = {"epoch": int(state["epoch"]), "n_shown": int(state["n_shown"])}
        self.set_epoch(self._resume["epoch"])


def _order(manifest: Manifest, split: SplitName, seed: int) -> Order:
    record = manifest.split(split)
    if split == "train":
        return ShuffledOrder(record.n_images, seed)
    if split == "test":
        return FixedOrder(interleaved_order(np.array(record.labels)))
    return FixedOrder(np.arange(record.n_images))
