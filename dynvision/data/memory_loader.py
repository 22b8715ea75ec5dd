"""Loading small data from memory: a split is read once, kept on the device, and shown from there batch by batch."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    """

    def __init__(self, manifest: Manifest, source: ImageSource, split: SplitName, reading: Reading) -> None:
        super().__init__(manifest, split, reading)
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
        images = read_images(self._source, record.indices, Storage.of(config))
        for position, (image, _) in enumerate(images):
            pixels[position] = image.ravel()
        device = self.reading.device
        return torch.from_numpy(pixels).to(device), torch.tensor(record.labels, device=device)
