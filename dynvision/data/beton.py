"""Writing an FFCV file, raw pixels, in this process.

FFCV's own writer starts worker processes and waits for ever if one of them fails, be it on a bad image or a full disk.
Here its parts run in one loop, so that an error is an error; reading and decoding ahead is left to the caller.
Needs FFCV: import this file only where `use_ffcv` says so.
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
from ffcv.memory_allocator import MemoryAllocator
from ffcv.writer import MIN_PAGE_SIZE, DatasetWriter, handle_sample

from dynvision.data.reading import Sample


def write_beton(path: Path, samples: Iterable[Sample], n_images: int, image_bytes: int) -> None:
    """Write images and class indices as the fields ``image`` and ``label``.

    Args:
        path: file to write; the caller sees to a temporary name.
        samples: pixels (H, W, 1 or 3) in 0..255 with class indices; grey is written three times, as FFCV wants RGB.
        n_images: number of samples.
        image_bytes: size of one RGB image, in bytes.

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    page_size = max(MIN_PAGE_SIZE, 1 << (image_bytes - 1).bit_length())  # small data in small files
    writer = _Writer(str(path), {"image": RGBImageField(), "label": IntField()}, page_size, num_workers=1)
    try:
        writer.write(samples, n_images)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


class _Writer(DatasetWriter):
    metadata_sm: Any

    def write(self, samples: Iterable[Sample], n_images: int) -> None:
        self.num_samples = n_images
        self.prepare()
        self._use_plain_memory()
        names = self.metadata_type.names
        metadata = np.frombuffer(self.metadata_sm.buf, dtype=self.metadata_type)
        allocator = MemoryAllocator(self.fname, self.data_region_start, self.page_size)
        with allocator:
            for position, (image, label) in enumerate(samples):
                rgb = np.broadcast_to(image, (*image.shape[:2], 3))
                handle_sample((rgb, label), position, names, metadata, allocator, self.fields)
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
