"""How pixels are stored: raw or compressed, read from the source or from FFCV files; and whether FFCV can be used here.

    raw          the pixels
    jpg          JPEG of a given quality, of all images
    proportion   JPEG of a random part of the images, a function of the split's seed and the image's index

A loader that reads the source itself compresses and decompresses, so that the loader never changes a result: Pillow and
the decoder of `ffcv_files` give the same bits. Grey images are compressed as colour, as FFCV stores them.

An FFCV file has a header, a description of each field, a record of each image (mode, width, height, pointer to its pixels,
label), the pixels or JPEGs, and a table of where each of them is (`ffcv.types`). It is written in pages, within which
QUASI_RANDOM shuffles. A file that is missing, truncated or not the one that the manifest describes is refused: a damaged
file would end the process in the middle of training, since FFCV maps it into memory. `ffcv_files` reads and writes them
with FFCV; here they are checked and read without it.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dynvision.config.data import SMALLEST_PAGE, ImagesConfig
from dynvision.data.manifest import Manifest, remedy
from dynvision.data.sources import ImageSource
from dynvision.data.splits import SPLITS, SplitName
from dynvision.errors import InputError, message_of
from dynvision.files import file_sha256
from dynvision.functional.counter_random import random_key, random_uniform

N_CHANNELS_STORED = 3  # FFCV's images are RGB
FULL_CHECK_BYTES = 256 * 2**20  # larger files are recognised by size and header
FORMAT_VERSION = 2
N_FIELDS = 2
ALLOCATION_BYTES = 24  # per image, in the table at the end of the file
_HEADER = struct.Struct("<HHIQQ")
_FIELD_BYTES = 1 + 16 + 1024  # kind, name and arguments
_JPEG = 0  # the mode of a compressed image
_RECORD = np.dtype(
    {
        "names": ["mode", "pointer", "label"],
        "formats": ["u1", "<u8", "<i8"],
        "offsets": [0, 5, 16],  # with width and height between the first two
        "itemsize": 24,
    }
)
_PLACE = np.dtype([("image", "<u8"), ("pointer", "<u8"), ("size", "<u8")])


@dataclass(frozen=True)
class Storage:
    """Which images are compressed, and how."""

    probability: float
    quality: int
    seed: int

    @classmethod
    def of(cls, config: ImagesConfig) -> Storage:
        """Return the storage that a configuration asks for."""
        probability = {"raw": 0.0, "jpg": 1.0, "proportion": config.compress_probability}[config.write_mode]
        return cls(probability, config.jpeg_quality, config.split_seed or 0)

    def compresses(self, index: int) -> bool:
        """Return whether an image of the source is compressed."""
        if self.probability in (0.0, 1.0):
            return bool(self.probability)
        number = random_uniform(random_key(self.seed, torch.tensor([index])), (1,))
        return bool(number < self.probability)

    def jpeg(self, image: NDArray[np.uint8]) -> bytes:
        """Return an image, (H, W, 1 or 3), as JPEG."""
        file = io.BytesIO()
        Image.fromarray(rgb(image)).save(file, "JPEG", quality=self.quality)
        return file.getvalue()

    def stored(self, image: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """Return an image, (H, W, 1 or 3), as it comes back from storage."""
        if not self.compresses(index):
            return image
        decoded = np.asarray(Image.open(io.BytesIO(self.jpeg(image))))
        return decoded[:, :, : image.shape[2]].copy()


def rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image, (H, W, 1 or 3), with three channels."""
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
    """Yield images (S, S, C) and class indices, in the order of ``indices``.

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


@cache
def ffcv_failure() -> str | None:
    """Return why FFCV cannot be imported, or None if it can. The first call takes seconds, since FFCV compiles on import.

    FFCV sets the number of torch's threads to that of its own, on import and again in each pass: a training on a CPU would
    silently run on one thread. Here it is kept from doing so.
    """
    n_threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ffcv  # noqa: F401
            from ffcv.pipeline.compiler import Compiler
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        return message_of(error)
    finally:
        torch.set_num_threads(n_threads)
    Compiler.set_num_threads = classmethod(_set_numba_threads)
    return None


def _set_numba_threads(compiler: Any, n_threads: int) -> None:
    import numba

    compiler.num_threads = n_threads
    numba.set_num_threads(n_threads)


def check_ffcv() -> None:
    """Check that FFCV can be used.

    Raises:
        InputError: it cannot be imported.
    """
    if (failure := ffcv_failure()) is not None:
        raise InputError(
            f"execution.loader=ffcv, but FFCV cannot be imported here ({failure}); "
            "run make install, or set execution.loader: auto, memory or torch"
        )


def stored_bytes(config: ImagesConfig) -> int:
    """Return the size of one image in an FFCV file, at most; noise at the highest quality grows when it is compressed."""
    pixels = config.stored_size**2 * N_CHANNELS_STORED
    return pixels if config.write_mode == "raw" else 2 * pixels


def page_bytes(config: ImagesConfig) -> int:
    """Return the size of a page: as asked for, otherwise the smallest that holds an image.

    Raises:
        InputError: an image does not fit on a page of the size asked for.
    """
    image = stored_bytes(config)
    if not config.page_size:
        return max(SMALLEST_PAGE, 1 << (image - 1).bit_length())  # small data in small files
    if config.page_size < image:
        raise InputError(
            f"data.page_size={config.page_size} is smaller than an image of {image:,} bytes; raise it or set it to 0"
        )
    return config.page_size


def page_images(config: ImagesConfig) -> int:
    """Return how many images lie on a page at least."""
    return page_bytes(config) // stored_bytes(config)


class BetonHeader(NamedTuple):
    """The first 24 bytes of an FFCV file."""

    version: int
    n_fields: int
    page_size: int
    n_samples: int
    allocation_table: int


def beton_path(folder: str | Path, split: SplitName) -> Path:
    """Return the path of a split's FFCV file in a data folder."""
    return Path(folder) / f"{split}.beton"


def read_header(path: Path) -> BetonHeader:
    """Return the header of an FFCV file."""
    with open(path, "rb") as file:
        return BetonHeader(*_HEADER.unpack(file.read(_HEADER.size)))


def check_betons(folder: str | Path, manifest: Manifest) -> None:
    """Check that the FFCV files of a data folder are those that its manifest lists.

    Raises:
        InputError: one is missing, empty, truncated, changed, or was never written.
    """
    for split in SPLITS:
        path = beton_path(folder, split)
        damage = _damage(path, manifest, split)
        if damage:
            raise InputError(f"{path} {damage}; {remedy(folder)}")


def _damage(path: Path, manifest: Manifest, split: SplitName) -> str | None:
    record = manifest.split(split)
    if record.beton is None:
        return "was not written, because the data was converted without FFCV"
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size < record.beton.size_bytes:
        return f"is truncated: it has {size:,} of {record.beton.size_bytes:,} bytes"
    if size > record.beton.size_bytes:
        return (
            f"is not the file that was written: it has {size:,} instead of {record.beton.size_bytes:,} bytes"
        )
    header = read_header(path)
    if (header.version, header.n_fields) != (FORMAT_VERSION, N_FIELDS):
        return "is not an FFCV file"
    if (
        header.n_samples != record.n_images
        or header.allocation_table + record.n_images * ALLOCATION_BYTES != size
    ):
        return "is an FFCV file of other images"
    if size <= FULL_CHECK_BYTES and file_sha256(path) != record.beton.sha256:
        return "has changed since it was written"
    return None


def beton_images(folder: str | Path, split: SplitName, size: int) -> Iterator[NDArray[np.uint8]]:
    """Read the images of a split from its FFCV file, (S, S, 3), in the order of its record in the manifest.

    Args:
        folder: a data folder whose files `check_betons` has found whole.
        split: ``train``, ``val`` or ``test``.
        size: S, height and width in px.
    """
    path = beton_path(folder, split)
    content, header = np.memmap(path, np.uint8, "r"), read_header(path)
    start = _HEADER.size + N_FIELDS * _FIELD_BYTES
    records = content[start : start + header.n_samples * _RECORD.itemsize].view(_RECORD)
    places = content[header.allocation_table :].view(_PLACE)
    n_bytes = dict(zip(places["pointer"].tolist(), places["size"].tolist(), strict=True))
    for mode, pointer in zip(records["mode"].tolist(), records["pointer"].tolist(), strict=True):
        stored = content[pointer : pointer + n_bytes[pointer]]
        pixels = np.asarray(Image.open(io.BytesIO(stored.tobytes()))) if mode == _JPEG else stored
        yield pixels.reshape(size, size, 3)
