"""The loaders: batches of one split, in order, transformed. All of them show the same images in the same order.

`ImageLoader` holds what they share: order, epochs, transforms, and the state that a resumed training needs. `TorchLoader`
reads the source in each pass; `MemoryLoader` reads a split once and keeps it on the device; `ffcv_files` reads FFCV
files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynvision.config.data import MEASURED, DataConfig, published_statistics
from dynvision.config.transforms import Classes
from dynvision.data.manifest import Manifest, ShownImages
from dynvision.data.sources import ImageSource
from dynvision.data.splits import (
    Order,
    SplitName,
    interleaved_order,
    quasi_random_order,
    share,
    training_order,
)
from dynvision.data.storage import Storage, beton_images, page_images, read_images
from dynvision.data.transform import Transform

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Reading:
    """How a split is read, whichever the loader.

    Attributes:
        batch_size: images per batch.
        seed: of the order of the training images and of their augmentation.
        device: where the batches are put and the transforms are computed.
        rank: of this process among those that train together.
        n_ranks: number of processes that train together; they share the training images.
        config: order, transforms and normalisation; None takes what the manifest's data set has by default.
        classes: test images of these classes only, by label or name; none shows all of them.
    """

    batch_size: int = 32
    seed: int = 0
    device: torch.device = torch.device("cpu")
    rank: int = 0
    n_ranks: int = 1
    config: DataConfig | None = None
    classes: Classes = ()


class ImageLoader(ABC):
    """Batches of one split: images float32 (B, C, H, W), normalised, and class indices int64 (B,).

    Training images come in another order in each epoch, a function of seed and epoch only, unless the configuration
    states otherwise; validation images in the order of their indices; test images round robin over the classes. No image
    is ever left out, so the last batch may be smaller. Each pass advances the epoch by one unless `set_epoch` states
    otherwise. Validation and test images are shown alike in each pass, whole to each process.

    Attributes:
        manifest: of the data folder.
        split: ``train``, ``val`` or ``test``.
        batch_size: images per batch.
        sampler: the order of the images; Lightning sets its epoch.
        batch_sampler: None; Lightning reads this attribute.
    """

    batch_sampler = None

    def __init__(self, manifest: Manifest, split: SplitName, reading: Reading) -> None:
        self.manifest = manifest
        self.split = split
        self.batch_size = reading.batch_size
        self.reading = reading
        config = reading.config or DataConfig(**manifest.config.model_dump())
        self.sampler = _order(manifest, split, config, reading)
        self._transform = transform_of(manifest, split, config, reading.seed)
        self._n_ranks = reading.n_ranks if split == "train" else 1
        self._indices = np.array(manifest.split(split).indices)
        self._epoch_shown = 0
        self._n_shown = 0
        self._resume: dict[str, int] = {}

    @property
    def n_images(self) -> int:
        """Number of images that a pass shows."""
        return len(self.sampler)

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """What is subtracted from pixels in 0..1 and what they are divided by, per channel."""
        return self._transform.mean, self._transform.divisor

    @property
    def image_indices(self) -> NDArray[np.int64]:
        """Index of each image in its source, in the order of the next pass, (N,)."""
        return self._indices[self.sampler.positions()]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next pass shows."""
        self.sampler.set_epoch(epoch)

    def pixels(self, images: Tensor) -> Tensor:
        """Return images of a batch, (B, C, H, W), in 0..1, to look at."""
        return self._transform.denormalize(images)

    def __len__(self) -> int:
        return -(-self.n_images // (self.batch_size * self._n_ranks))

    def __iter__(self) -> Iterator[Batch]:
        shown = self._begin_pass()
        epoch = self._epoch_shown
        with closing(self._read(shown)) as batches:
            for positions, (pixels, labels) in zip(shown, batches, strict=True):
                self._n_shown += 1
                device = self.reading.device
                images = self._transform(pixels.to(device), self._indices[positions], epoch)
                yield images, labels.to(device)

    @abstractmethod
    def _read(self, batches: list[NDArray[np.int64]]) -> Generator[Batch, None, None]:
        """Yield pixels, uint8 (B, S, S, C), and labels, int64 (B,), of each batch of positions within the split.

        The pixels may be overwritten when the next batch is asked for; the labels may not.
        """

    def _begin_pass(self) -> list[NDArray[np.int64]]:
        batches = share(
            self.sampler.positions(), self.batch_size, self.reading.rank % self._n_ranks, self._n_ranks
        )
        self._epoch_shown = self.sampler.epoch
        resumed = self._resume.get("epoch") == self._epoch_shown and self._resume["n_shown"] < len(batches)
        self._n_shown = self._resume["n_shown"] if resumed else 0
        self._resume = {}
        self.sampler.set_epoch(self._epoch_shown + 1)
        return batches[self._n_shown :]

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and the number of batches shown. Lightning saves them in its checkpoints."""
        return {"epoch": self._epoch_shown, "n_shown": self._n_shown}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume in the middle of an epoch: its next pass leaves out the batches that were shown."""
        self._resume = {"epoch": int(state["epoch"]), "n_shown": int(state["n_shown"])}
        self.set_epoch(self._resume["epoch"])


def _order(manifest: Manifest, split: SplitName, config: DataConfig, reading: Reading) -> Order:
    record, seed = manifest.split(split), reading.seed
    if split == "test":
        chosen = manifest.positions(split, reading.classes)
        test = chosen[interleaved_order(np.array(record.labels)[chosen])]
        return Order(len(test), lambda epoch: test)
    if split == "val" or config.order == "SEQUENTIAL":
        return Order(record.n_images, lambda epoch: np.arange(record.n_images))
    if config.order == "QUASI_RANDOM":
        n_near = page_images(config)
        return Order(record.n_images, lambda epoch: quasi_random_order(record.n_images, n_near, seed, epoch))
    return Order(record.n_images, lambda epoch: training_order(record.n_images, seed, epoch))


def transform_of(images: ShownImages, split: SplitName, config: DataConfig, seed: int) -> Transform:
    """Return the transform that shows the images of a split."""
    mean, sd = images.mean, images.sd
    if config.normalization != MEASURED:
        mean, sd = (
            values * (config.n_channels // len(values))
            for values in published_statistics(config.normalization)
        )
    operations = config.train_transform if split == "train" else config.test_transform
    return Transform(operations, config.resolution, mean, sd, seed)


class TorchLoader(ImageLoader):
    """Read from a source with threads. Torch's worker processes are forks, which can wait for ever for a lock that another
    thread held at the fork (seen with Python 3.11, after some 150 forks).

    Args:
        manifest: of the data folder; its indices refer to the source.
        source: the images.
        split: ``train``, ``val`` or ``test``.
        reading: batches and how they are shown.
        n_threads: threads that read ahead; 0 reads when an image is asked for.
    """

    def __init__(
        self,
        manifest: Manifest,
        source: ImageSource,
        split: SplitName,
        reading: Reading,
        n_threads: int = 0,
    ) -> None:
        super().__init__(manifest, split, reading)
        self._source = source
        self._storage = Storage.of(manifest.config)
        self._n_threads = n_threads

    def _read(self, batches: list[NDArray[np.int64]]) -> Generator[Batch, None, None]:
        indices = self._indices[np.concatenate(batches)]
        with closing(read_images(self._source, indices, self._storage, self._n_threads)) as images:
            for batch in batches:
                pixels, labels = zip(*islice(images, len(batch)), strict=True)
                yield torch.from_numpy(np.stack(pixels)), torch.tensor(labels)


class MemoryLoader(ImageLoader):
    """Keep the pixels of a split, a byte each, and its labels in memory.

    Args:
        manifest: of the data folder; its indices refer to the source.
        source: the images, where there are no FFCV files; they are read when the first pass begins.
        split: ``train``, ``val`` or ``test``.
        reading: batches, how they are shown, and the device that keeps the pixels.
        folder: the data folder. Its FFCV files, where it has them, are read instead of the source: the bits are the same.
    """

    def __init__(
        self,
        manifest: Manifest,
        source: ImageSource | None,
        split: SplitName,
        reading: Reading,
        folder: str | Path | None = None,
    ) -> None:
        super().__init__(manifest, split, reading)
        self._folder = folder if manifest.split(split).beton is not None else None
        self._source = source
        self._kept: tuple[Tensor, Tensor] | None = None  # (N, S S C) and (N,)

    def _read(self, batches: list[NDArray[np.int64]]) -> Generator[Batch, None, None]:
        if self._kept is None:
            self._kept = self._read_all()
        pixels, labels = self._kept
        size, n_channels = self.manifest.config.stored_size, self.manifest.config.n_channels
        for positions in batches:
            chosen = torch.from_numpy(positions).to(pixels.device)
            images = pixels.index_select(0, chosen).view(-1, size, size, n_channels)
            yield images, labels.index_select(0, chosen)

    def _read_all(self) -> tuple[Tensor, Tensor]:
        record, config = self.manifest.split(self.split), self.manifest.config
        pixels = np.empty((record.n_images, config.image_bytes), dtype=np.uint8)
        for position, image in enumerate(self._stored_images(record.indices)):
            pixels[position] = image.ravel()
        device = self.reading.device
        return torch.from_numpy(pixels).to(device), torch.tensor(record.labels, device=device)

    def _stored_images(self, indices: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
        config = self.manifest.config
        if self._folder is None:
            assert self._source is not None
            return (image for image, _ in read_images(self._source, indices, Storage.of(config)))
        images = beton_images(self._folder, self.split, config.stored_size)
        return (image[:, :, : config.n_channels] for image in images)
