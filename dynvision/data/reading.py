"""Reading many images of a source at once, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dynvision.data.sources.source import ImageSource

Sample = tuple[NDArray[np.uint8], int]
MOST_THREADS = 8  # Pillow decodes and resizes outside Python's lock


def read_images(source: ImageSource, indices: Iterable[int]) -> Iterator[Sample]:
    """Images (H, W, C) and class indices, in the order of ``indices``; a few are read ahead by threads.

    Raises:
        InputError: an image cannot be read.
    """
    n_threads = min(MOST_THREADS, os.cpu_count() or 1)
    ahead: deque[Future[Sample]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="read-images") as pool:
        try:
            for index in indices:
                ahead.append(pool.submit(source.__getitem__, int(index)))
                if len(ahead) > 4 * n_threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
