"""Loading with FFCV. Needs FFCV: import this file only where `use_ffcv` is true.

One thread decodes: raw pixels are copied at the speed of memory, and with one thread numba needs no threading layer
(its workqueue aborts the process when two loaders are alive).

JPEG is decoded with the accurate transform, as Pillow does, in place of the fast one that FFCV asks for. The two differ by
up to 6 of 255.
"""

from __future__ import annotations

import atexit
import ctypes
import queue
import weakref
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ffcv._libffcv
import numpy as np
from ffcv.fields.basics import IntDecoder
from ffcv.fields.rgb_image import IMAGE_MODES, SimpleRGBImageDecoder
from ffcv.libffcv import memcpy
from ffcv.loader import Loader, OrderOption
from ffcv.loader.epoch_iterator import EpochIterator
from ffcv.pipeline.compiler import Compiler
from ffcv.transforms import ToTensor
from numpy.typing import NDArray

from dynvision.data.beton_check import beton_path
from dynvision.data.loader import Batch, ImageLoader, Reading
from dynvision.data.manifest import Manifest
from dynvision.data.splits import SplitName

RGB, ACCURATE = 0, 4096  # TJPF_RGB and TJFLAG_ACCURATEDCT of turbojpeg.h

_library = ctypes.CDLL(ffcv._libffcv.__file__)  # and with it TurboJPEG, to which it is linked
_begin = _library.tjInitDecompress
_begin.restype, _begin.argtypes = ctypes.c_void_p, []
_decompress = _library.tjDecompress2
_decompress.restype = ctypes.c_int
_decompress.argtypes = [
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p,
    ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int,
]  # fmt: skip
_end = _library.tjDestroy
_end.restype, _end.argtypes = ctypes.c_int, [ctypes.c_void_p]


class ExactRGBImageDecoder(SimpleRGBImageDecoder):
    """Images of one size, compressed or not."""

    def generate_code(self) -> Callable[..., Any]:
        read, images = self.memory_read, Compiler.get_iterator()
        copy = Compiler.compile(memcpy)
        begin, decompress, end = _begin, _decompress, _end
        jpg, rgb, accurate = IMAGE_MODES["jpg"], RGB, ACCURATE

        def decode(batch_indices: Any, destination: Any, metadata: Any, storage_state: Any) -> Any:
            for place in images(len(batch_indices)):
                field = metadata[batch_indices[place]]
                content = read(field["data_ptr"], storage_state)
                if field["mode"] == jpg:
                    handle = begin()
                    decompress(
                        handle,
                        content.ctypes.data,
                        content.size,
                        destination[place].ctypes.data,
                        field["width"],
                        0,
                        field["height"],
                        rgb,
                        accurate,
                    )
                    end(handle)
                else:
                    copy(content, destination[place])
            return destination[: len(batch_indices)]

        decode.is_parallel = True  # type: ignore[attr-defined]
        return decode


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
