"""Loading small data from memory: a split is read once, kept on the device, and shown from there batch by batch."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dynvision.data.beton_check import beton_images
from dynvision.data.loader import Batch, ImageLoader, Reading
from dynvision.data.manifest import Manifest
from dynvision.data.reading import read_images
from dynvision.data.sources.source import ImageSource
from dynvision.data.splits import SplitName
from dynvision.data.storage import Storage


class MemoryLoader(ImageLoader):
    """Keeps the pixels of a split, a byte each, and its labels.

    Args:
        manifest: of the data folder; its indices refer to the source.
        source: the images; they are read when the first pass begins.
        split: ``train``, ``val`` or ``test``.
        reading: batches, how they are shown, and the device that keeps the pixels.
        folder: the data folder. Its FFCV files, where it has them, are read instead of the source: the bits are the same.
    """

    def __init__(
        self,
        manifest: Manifest,
        source: ImageSource,
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
            return (image for image, _ in read_images(self._source, indices, Storage.of(config)))
        images = beton_images(self._folder, self.split, config.stored_size)
        return (image[:, :, : config.n_channels] for image in images)
