"""Reading many images of a source at once, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dynvision.data.sources.source import ImageSource
from dynvision.data.storage import Storage

Sample = tuple[NDArray[np.uint8], int]
N_THREADS = min(8, os.cpu_count() or 1)  # Pillow decodes and resizes outside Python's lock


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

    if not n_threads:
        yield from (read(int(index)) for index in indices)
        return
    ahead: deque[Future[Sample]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="read-images") as pool:
        try:
            for index in indices:
                ahead.append(pool.submit(read, int(index)))
                if len(ahead) > 4 * n_threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
