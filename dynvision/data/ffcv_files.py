"""FFCV files: loading them, and writing them in this process. Import this file only where `ffcv_failure` is None.

One thread decodes: raw pixels are copied at the speed of memory, and with one thread numba needs no threading layer
(its workqueue aborts the process when two loaders are alive).

JPEG is decoded with the accurate transform, as Pillow does, in place of the fast one that FFCV asks for. The two differ by
up to 6 of 255.

FFCV's own writer starts worker processes and waits for ever if one of them fails, be it on a bad image or a full disk.
Here its parts run in one loop, so that an error is an error; reading and decoding ahead is left to the caller.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import os
import queue
import weakref
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ffcv._libffcv
import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.basics import IntDecoder
from ffcv.fields.rgb_image import IMAGE_MODES, SimpleRGBImageDecoder
from ffcv.libffcv import memcpy
from ffcv.loader import Loader, OrderOption
from ffcv.loader.epoch_iterator import EpochIterator
from ffcv.memory_allocator import MemoryAllocator
from ffcv.pipeline.compiler import Compiler
from ffcv.transforms import ToTensor
from ffcv.writer import DatasetWriter, handle_sample
from numpy.typing import NDArray

from dynvision.data.loader import Batch, ImageLoader, Reading
from dynvision.data.manifest import Manifest
from dynvision.data.splits import SplitName
from dynvision.data.storage import beton_path

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


Stored = tuple[NDArray[np.uint8] | bytes, int]


def write_beton(path: Path, samples: Iterable[Stored], n_images: int, size: int, page_size: int) -> None:
    """Write images and class indices as the fields ``image`` and ``label``.

    Args:
        path: file to write; the caller sees to a temporary name.
        samples: pixels (S, S, 3) in 0..255, or a JPEG of them, with class indices.
        n_images: number of samples.
        size: S, height and width of the images in px.
        page_size: in bytes.

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    writer = _Writer(str(path), {"image": RGBImageField(), "label": IntField()}, page_size, num_workers=1)
    try:
        writer.write(samples, n_images, size)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


class _StoredField(RGBImageField):
    """An image that is already in the form in which it is to be stored."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def encode(self, destination: Any, image: NDArray[np.uint8] | bytes, malloc: Any) -> None:
        compressed = isinstance(image, bytes)
        content = np.frombuffer(image, np.uint8) if isinstance(image, bytes) else image.reshape(-1)
        destination["mode"] = IMAGE_MODES["jpg" if compressed else "raw"]
        destination["height"] = destination["width"] = self._size
        destination["data_ptr"], place = malloc(content.nbytes)
        place[:] = content


class _Writer(DatasetWriter):
    metadata_sm: Any

    def write(self, samples: Iterable[Stored], n_images: int, size: int) -> None:
        self.num_samples = n_images
        self.prepare()  # which must see FFCV's own field
        self._use_plain_memory()
        fields = {"image": _StoredField(size), "label": IntField()}
        names = self.metadata_type.names
        metadata = np.frombuffer(self.metadata_sm.buf, dtype=self.metadata_type)
        allocator = MemoryAllocator(self.fname, self.data_region_start, self.page_size)
        with allocator:
            for position, sample in enumerate(samples):
                handle_sample(sample, position, names, metadata, allocator, fields)
        end = allocator.offset + allocator.next_page_written.value * self.page_size
        if os.path.getsize(self.fname) != end:  # an unbuffered write may end short without an error
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.finalize(allocator.allocations)

    def _use_plain_memory(self) -> None:
        """Replace the memory that FFCV shares between processes, which would outlive one that is killed."""
        shared = self.metadata_sm
        self.metadata_sm = SimpleNamespace(buf=bytearray(self.num_samples * self.metadata_type.itemsize))
        shared.close()
        shared.unlink()
