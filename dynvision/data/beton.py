"""Writing an FFCV file, in this process.

FFCV's own writer starts worker processes and waits for ever if one of them fails, be it on a bad image or a full disk.
Here its parts run in one loop, so that an error is an error; reading and decoding ahead is left to the caller.
Needs FFCV: import this file only where `use_ffcv` is true.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.rgb_image import IMAGE_MODES
from ffcv.memory_allocator import MemoryAllocator
from ffcv.writer import DatasetWriter, handle_sample
from numpy.typing import NDArray

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
