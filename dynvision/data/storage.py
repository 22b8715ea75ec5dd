"""How pixels are stored: as they are, or compressed, which loses a little; and reading many images of a source at once.

    raw          the pixels
    jpg          JPEG of a given quality, of all images
    proportion   JPEG of a random part of the images, a function of the split's seed and the image's index

A loader that reads the source itself compresses and decompresses, so that the loader never changes a result: Pillow and
the decoder of `ffcv_files` give the same bits. Grey images are compressed as colour, as FFCV stores them.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dynvision.config.data import ImagesConfig
from dynvision.data.sources import ImageSource
from dynvision.functional.counter_random import random_key, random_uniform

N_CHANNELS_STORED = 3  # FFCV's images are RGB


@dataclass(frozen=True)
class Storage:
    """Which images are compressed, and how."""

    probability: float
    quality: int
    seed: int

    @classmethod
    def of(cls, config: ImagesConfig) -> Storage:
        """What a configuration asks for."""
        probability = {"raw": 0.0, "jpg": 1.0, "proportion": config.compress_probability}[config.write_mode]
        return cls(probability, config.jpeg_quality, config.split_seed or 0)

    @property
    def keeps_pixels(self) -> bool:
        """Whether no image is compressed."""
        return self.probability == 0

    def compresses(self, index: int) -> bool:
        """Whether an image of the source is compressed."""
        if self.probability in (0.0, 1.0):
            return bool(self.probability)
        number = random_uniform(random_key(self.seed, torch.tensor([index])), (1,))
        return bool(number < self.probability)

    def jpeg(self, image: NDArray[np.uint8]) -> bytes:
        """An image, (H, W, 1 or 3), as JPEG."""
        file = io.BytesIO()
        Image.fromarray(rgb(image)).save(file, "JPEG", quality=self.quality)
        return file.getvalue()

    def stored(self, image: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """An image of the source, (H, W, 1 or 3), as it comes back from storage."""
        if self.keeps_pixels or not self.compresses(index):
            return image
        decoded = np.asarray(Image.open(io.BytesIO(self.jpeg(image))))
        return decoded[:, :, : image.shape[2]].copy()


def rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three channels of an image, (H, W, 1 or 3)."""
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], N_CHANNELS_STORED)))


Sample = tuple[NDArray[np.uint8], int]
N_THREADS = min(8, os.cpu_count() or 1)  # Pillow decodes and resizes outside Python's lock
AT_ONCE = 16  # images that a thread reads before it hands them over, which takes the lock


def read_images(
    source: ImageSource,
    indices: Iterable[int],
    storage: Storage | None = None,
    n_threads: int = N_THREADS,
) -> Generator[Sample, None, None]:
    """Images (S, S, C) and class indices, in the order of ``indices``.

    Args:
        source: the images.
        indices: which ones.
        storage: if given, images are as they come back from it.
        n_threads: threads that read a few ahead; 0 reads an image when it is asked for.

    Raises:
        InputError: an image cannot be read.
    """

    def read(index: int) -> Sample:
        image, label = source[index]
        return image if storage is None else storage.stored(image, index), label

    each = iter(indices)
    if not n_threads:
        yield from (read(int(index)) for index in each)
        return
    ahead: deque[Future[list[Sample]]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="read-images") as pool:
        try:
            while several := [int(index) for index in islice(each, AT_ONCE)]:
                ahead.append(pool.submit(lambda those: [read(index) for index in those], several))
                if len(ahead) > 2 * n_threads:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
