"""Loading without FFCV: images come from the source itself, anew in each pass."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dynvision.data.loader import Batch, ImageLoader, Reading
from dynvision.data.manifest import Manifest
from dynvision.data.sources.source import ImageSource
from dynvision.data.splits import SplitName
from dynvision.data.storage import Storage
from dynvision.errors import InputError


class TorchLoader(ImageLoader):
    """Reads from a source with worker processes, which end with the pass.

    Args:
        manifest: of the data folder; its indices refer to the source.
        source: the images.
        split: ``train``, ``val`` or ``test``.
        reading: batches and how they are shown.
        num_workers: processes that read; 0 reads in this one.
    """

    def __init__(
        self,
        manifest: Manifest,
        source: ImageSource,
        split: SplitName,
        reading: Reading,
        num_workers: int = 0,
    ) -> None:
        super().__init__(manifest, split, reading)
        self._images = _SplitImages(source, manifest.split(split).indices, Storage.of(manifest.config))
        self._num_workers = num_workers

    def _read(self, batches: list[NDArray[np.int64]]) -> Generator[Batch, None, None]:
        sampler = [batch.tolist() for batch in batches]
        try:
            yield from DataLoader(self._images, batch_sampler=sampler, num_workers=self._num_workers)
        except InputError as error:  # torch wraps it in the traceback of the worker process
            raise InputError(str(error).strip().rpartition("InputError: ")[2]) from None


class _SplitImages(Dataset[tuple[Tensor, int]]):
    """Images of a split by their position in it."""

    def __init__(self, source: ImageSource, indices: tuple[int, ...], storage: Storage) -> None:
        self._source = source
        self._indices = indices
        self._storage = storage

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        index = self._indices[position]
        image, label = self._source[index]
        return torch.from_numpy(self._storage.stored(image, index)), label
