"""Reading many images of a source at once, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from dynvision.data.sources.source import ImageSource
from dynvision.data.storage import Storage

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
