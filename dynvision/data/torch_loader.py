"""Loading without FFCV: images come from the source itself, anew in each pass."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from dynvision.data.loader import Batch, ImageLoader, Reading
from dynvision.data.manifest import Manifest
from dynvision.data.reading import read_images
from dynvision.data.sources.source import ImageSource
from dynvision.data.splits import SplitName
from dynvision.data.storage import Storage


class TorchLoader(ImageLoader):
    """Reads from a source with threads, not with torch's worker processes: forks of a process in which others train along
    can wait for ever for a lock that a thread held (seen with Python 3.11, after some 150 forks).

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
