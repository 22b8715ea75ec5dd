"""Loading without FFCV: images come from the source itself."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dynvision.data.loader import Batch, ImageLoader
from dynvision.data.manifest import Manifest
from dynvision.data.reading import read_images
from dynvision.data.sources.source import ImageSource
from dynvision.data.splits import SplitName
from dynvision.errors import InputError

IN_MEMORY_BYTES = 256 * 2**20  # a split of up to this size is read once and kept


class TorchLoader(ImageLoader):
    """Reads from a source: once into memory where the split is small, otherwise anew in each pass.

    Args:
        manifest: of the data folder; its indices refer to the source.
        source: the images.
        split: ``train``, ``val`` or ``test``.
        batch_size: images per batch.
        num_workers: processes that read, where the split does not fit in memory; 0 reads in this one.
        seed: of the order of the training images.
    """

    def __init__(
        self,
        manifest: Manifest,
        source: ImageSource,
        split: SplitName,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(manifest, split, batch_size, seed)
        self._source = source
        self._num_workers = num_workers
        self._kept: NDArray[np.uint8] | None = None  # (N, H, W, C)

    def _read(self, positions: NDArray[np.int64]) -> Generator[Batch, None, None]:
        if self.n_images * int(np.prod(self.manifest.input_shape)) <= IN_MEMORY_BYTES:
            return self._read_from_memory(positions)
        return self._read_from_source(positions)

    def _read_from_memory(self, positions: NDArray[np.int64]) -> Generator[Batch, None, None]:
        record = self.manifest.split(self.split)
        if self._kept is None:
            self._kept = np.stack([image for image, _ in read_images(self._source, record.indices)])
        labels = np.array(record.labels)
        for chosen in self._batches(positions):
            # numpy copies whole images, which torch's indexing of bytes does not
            yield torch.from_numpy(self._kept[chosen]), torch.from_numpy(labels[chosen])

    def _read_from_source(self, positions: NDArray[np.int64]) -> Generator[Batch, None, None]:
        images = _SplitImages(self._source, self.manifest.split(self.split).indices)
        batches = [chosen.tolist() for chosen in self._batches(positions)]
        try:
            yield from DataLoader(images, batch_sampler=batches, num_workers=self._num_workers)
        except InputError as error:  # torch wraps it in the traceback of the worker process
            raise InputError(str(error).strip().rpartition("InputError: ")[2]) from None

    def _batches(self, positions: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        starts = range(0, len(positions), self.batch_size)
        return [positions[start : start + self.batch_size] for start in starts]


class _SplitImages(Dataset[tuple[Tensor, int]]):
    """Images of a split by their position in it."""

    def __init__(self, source: ImageSource, indices: tuple[int, ...]) -> None:
        self._source = source
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        image, label = self._source[self._indices[position]]
        return torch.from_numpy(image), label
