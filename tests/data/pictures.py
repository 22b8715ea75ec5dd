"""Image files of formats, depths and kinds that Pillow does not write, byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def png(width: int, depth: int, colour: int, line: bytes, **chunks: bytes) -> bytes:
    """A PNG of one line; ``colour`` is 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    head = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    others = b"".join(chunk(name.encode(), content) for name, content in chunks.items())
    data = chunk(b"IDAT", zlib.compress(b"\0" + line))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + others + data + chunk(b"IEND", b"")


def shorts(*values: int) -> bytes:
    """16-bit numbers, the upper byte first."""
    return struct.pack(f">{len(values)}H", *values)


def tiff(width: int, bits: int, photometric: int, line: bytes, **tags: int) -> bytes:
    """A grey TIFF of one line, the lower byte first; ``photometric`` is 0 where 0 is white, 1 where it is black."""
    known = {"orientation": 274, "sample_format": 339}
    own = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: 1, 279: len(line)}
    own |= {known[name]: value for name, value in tags.items()}
    own[273] = 8 + 2 + 12 * len(own) + 4
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, own[tag], 0) for tag in sorted(own))
    return b"II*\0" + struct.pack("<IH", 8, len(own)) + entries + struct.pack("<I", 0) + line


def saved(pixels: np.ndarray | Image.Image, form: str, **options: Any) -> bytes:
    """What Pillow writes."""
    file = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, form, **options)
    return file.getvalue()


def filled(mode: str, colour: Any, size: int = 16) -> Image.Image:
    """A picture of one colour."""
    return Image.new(mode, (size, size), colour)


def orientation(value: int) -> Image.Exif:
    """EXIF data that say how an image is turned."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif
