"""FFCV files without FFCV: the size of their pages, whether a file is whole, and its images.

The file has a header, a description of each field, a record of each image (mode, width, height, pointer to its pixels,
label), the pixels or JPEGs, and a table of where each of them is (`ffcv.types`). It is written in pages, within which
QUASI_RANDOM shuffles.

A file that is missing, truncated or not the one that the manifest describes is refused: a damaged file would end the
process in the middle of training, since FFCV maps it into memory.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynvision.config.data import SMALLEST_PAGE, ImagesConfig
from dynvision.data.manifest import Manifest, anew
from dynvision.data.splits import SPLITS, SplitName
from dynvision.data.storage import N_CHANNELS_STORED
from dynvision.errors import InputError
from dynvision.files import file_sha256


def stored_bytes(config: ImagesConfig) -> int:
    """Size of one image in an FFCV file, at most; noise at the highest quality grows when it is compressed."""
    pixels = config.stored_size**2 * N_CHANNELS_STORED
    return pixels if config.write_mode == "raw" else 2 * pixels


def page_bytes(config: ImagesConfig) -> int:
    """Size of a page: as asked for, otherwise the smallest that holds an image.

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
    """Images that lie on a page at least."""
    return page_bytes(config) // stored_bytes(config)


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


class BetonHeader(NamedTuple):
    """The first 24 bytes of an FFCV file."""

    version: int
    n_fields: int
    page_size: int
    n_samples: int
    allocation_table: int


def beton_path(folder: str | Path, split: SplitName) -> Path:
    """The FFCV file of a split in a data folder."""
    return Path(folder) / f"{split}.beton"


def read_header(path: Path) -> BetonHeader | None:
    """The header of an FFCV file; None if the file is shorter."""
    with open(path, "rb") as file:
        start = file.read(_HEADER.size)
    return BetonHeader(*_HEADER.unpack(start)) if len(start) == _HEADER.size else None


def check_betons(folder: str | Path, manifest: Manifest) -> None:
    """Make sure that the FFCV files of a data folder are those that its manifest lists.

    Raises:
        InputError: one is missing, empty, truncated, changed, or was never written.
    """
    for split in SPLITS:
        path = beton_path(folder, split)
        damage = _damage(path, manifest, split)
        if damage:
            raise InputError(f"{path} {damage}; {anew(folder)}")


def _damage(path: Path, manifest: Manifest, split: SplitName) -> str | None:
    record = manifest.split(split)
    if record.beton is None:
        return "was not written, because the data was converted without FFCV"
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size == 0:
        return "is empty"
    if size < record.beton.size_bytes:
        return f"is truncated: it has {size:,} of {record.beton.size_bytes:,} bytes"
    if size > record.beton.size_bytes:
        return (
            f"is not the file that was written: it has {size:,} instead of {record.beton.size_bytes:,} bytes"
        )
    header = read_header(path)
    if header is None or (header.version, header.n_fields) != (FORMAT_VERSION, N_FIELDS):
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
    content = np.memmap(beton_path(folder, split), np.uint8, "r")
    header = BetonHeader(*_HEADER.unpack(content[: _HEADER.size].tobytes()))
    start = _HEADER.size + N_FIELDS * _FIELD_BYTES
    records = content[start : start + header.n_samples * _RECORD.itemsize].view(_RECORD)
    places = content[header.allocation_table :].view(_PLACE)
    n_bytes = dict(zip(places["pointer"].tolist(), places["size"].tolist(), strict=True))
    for mode, pointer in zip(records["mode"].tolist(), records["pointer"].tolist(), strict=True):
        stored = content[pointer : pointer + n_bytes[pointer]]
        pixels = np.asarray(Image.open(io.BytesIO(stored.tobytes()))) if mode == _JPEG else stored
        yield pixels.reshape(size, size, 3)
