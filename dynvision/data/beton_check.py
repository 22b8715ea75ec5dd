"""Recognising an FFCV file that is missing, truncated or not the one that the manifest tells of. Needs no FFCV.

A damaged file would end the process in the middle of training, since FFCV maps it into memory.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import NamedTuple

from dynvision.data.manifest import Manifest, anew
from dynvision.data.splits import SPLITS, SplitName
from dynvision.errors import InputError

FULL_CHECK_BYTES = 256 * 2**20  # larger files are recognised by size and header
FORMAT_VERSION = 2
N_FIELDS = 2
ALLOCATION_BYTES = 24  # per image, in the table at the end of the file
_HEADER = struct.Struct("<HHIQQ")


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


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_betons(folder: str | Path, manifest: Manifest) -> None:
    """Make sure that the FFCV files of a data folder are those that its manifest tells of.

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
