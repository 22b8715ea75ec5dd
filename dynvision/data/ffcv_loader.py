"""Loading with FFCV. Needs FFCV: import this file only where `use_ffcv` says so.

One thread decodes: raw pixels are copied at the speed of memory, and with one thread numba needs no threading layer
(its workqueue aborts the process when two loaders are alive).
"""

from __future__ import annotations

import atexit
import queue
import weakref
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from ffcv.fields.basics import IntDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.loader.epoch_iterator import EpochIterator
from ffcv.transforms import ToTensor
from numpy.typing import NDArray

from dynvision.data.beton_check import beton_path
from dynvision.data.exact_jpeg import ExactRGBImageDecoder
from dynvision.data.loader import Batch, ImageLoader, Reading
from dynvision.data.manifest import Manifest
from dynvision.data.splits import SplitName


class FFCVLoader(ImageLoader):
    """Reads from a ``.beton`` file. The first batch takes a second or two, in which FFCV compiles.

    Args:
        manifest: of the data folder.
        folder: the data folder.
        split: ``train``, ``val`` or ``test``.
        reading: batches and how they are shown.
    """

    def __init__(self, manifest: Manifest, folder: str | Path, split: SplitName, reading: Reading) -> None:
        super().__init__(manifest, split, reading)
        self._loader = Loader(
            str(beton_path(folder, split)),
            batch_size=reading.batch_size,
            num_workers=1,
            order=OrderOption.SEQUENTIAL,  # the order is given to each pass below
            seed=reading.seed,
            drop_last=False,
            pipelines={"image": [ExactRGBImageDecoder(), ToTensor()], "label": [IntDecoder(), ToTensor()]},
        )

    def _read(self, batches: list[NDArray[np.int64]]) -> Generator[Batch, None, None]:
        iterator = _Iterator(self._loader, np.concatenate(batches))  # all but the last are of the full size
        _alive.add(iterator)
        try:
            for pixels, labels in iterator:
                yield pixels[..., : self.manifest.config.n_channels], labels.flatten().clone()
        finally:
            iterator.end()


class _Iterator(EpochIterator):
    """FFCV's thread for one pass, which can be ended before the pass is over and does not hide an error."""

    failure: Exception | None = None

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            self.failure = error  # raised in the thread that waits for the batch
            self.output_queue.put(None)

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except StopIteration:
            if self.failure is not None:
                raise self.failure from None
            raise

    def end(self) -> None:
        """Stop the thread and wait until it is gone. FFCV leaves it running, which can abort Python at its exit."""
        self.iter_ixes = iter(())
        self.terminate_event.set()
        while self.is_alive():
            with suppress(queue.Empty):
                self.output_queue.get(timeout=0.01)  # it may wait for room in the queue
        self.close()


_alive: weakref.WeakSet[_Iterator] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for iterator in list(_alive):
        iterator.end()
