"""From an image file to upright pixels of a given size: 8-bit, grey or RGB.

What becomes of transparency, depth and colour is in `dynvision.functional.pixels`; ``docs/data.md`` has the table
by format.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, floor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dynvision.config.data import GROUND
from dynvision.data.image_files import readable_formats
from dynvision.errors import InputError
from dynvision.files import what_it_is
from dynvision.functional.pixels import scale_transparency, upright

# Of a decoder, which raises whatever the damage leads it to, RuntimeError and KeyError among it.
UNREADABLE = (Exception,)
LARGEST_PIXELS = 2**28  # of one image, which takes up to 12 bytes a pixel while it is decoded and converted
PIXELS_AT_ONCE = 2**26  # of all images that threads decode at once, unless one alone is larger
LARGEST_RESIZED = 2**24  # pixels of a resized image before its centre is cut out
SUPPORT = 2  # px on either side that bicubic interpolation looks at, times the scale where it shrinks


def read_image(path: str | Path, n_channels: int, ground: float = GROUND) -> Image.Image:
    """Decode an image file whole, turn it upright by its EXIF orientation and convert it to 8 bits.

    Of an animation the first frame is taken. Many threads may read at once: they wait for each other where their images
    would take too much memory.

    Args:
        path: file in any format that is read (`image_files`).
        n_channels: 1 for grey, 3 for RGB.
        ground: grey on which transparent images are laid, 0..1.

    Raises:
        InputError: the file cannot be read as an image; the message names it and says what it is.
    """
    place = Path(path)
    if not os.path.lexists(place):
        raise InputError(f"image {path} does not exist")
    try:
        if not place.is_file():
            raise InputError(_no_file(place))
        # From a file object, since Pillow garbles turned TIFFs that it maps into memory by their name.
        with open(place, "rb") as file:
            return decode_image(file, n_channels, ground)
    except UNREADABLE as error:
        raise InputError(
            f"image {path} cannot be read: {_reason(place, error)}; repair or remove it"
        ) from None


def decode_image(file: BinaryIO, n_channels: int, ground: float = GROUND) -> Image.Image:
    """As `read_image`, of a file that is open, or of bytes in memory; raises one of ``UNREADABLE``."""
    with open_image(file) as opened:
        width, height = opened.size
        if width * height > LARGEST_PIXELS:
            raise InputError(
                f"it has {width:,} x {height:,} px, where {LARGEST_PIXELS:,} px are allowed; make it smaller"
            )
        with _share_of_memory(width * height):
            scale_transparency(opened)
            opened.load()
            return upright(opened, n_channels, ground)


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "it is a folder"
    return "it is no file but a device or a pipe" if path.exists() else "there is no such file"


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"it is {what_it_is(path)}"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, Image.DecompressionBombError):
        return f"it says that it has more than {LARGEST_PIXELS:,} px"
    words = " ".join(str(error).split())
    return words if " " in words else f"{type(error).__name__} {words}".strip()


def fit_image(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    """Resize the shorter side to ``resolution`` (bicubic, antialiased) and cut out the central square.

    Args:
        image: grey or RGB.
        resolution: height and width of the result in px.

    Returns:
        Pixels, (H, W, C), 0..255.
    """
    width, height = _resized_size(image, resolution)
    if width * height > LARGEST_RESIZED:
        square = _resized_centre(image, resolution)
    else:
        square = crop_centre(resize_shorter_side(image, resolution), resolution)
    return np.array(square).reshape(resolution, resolution, -1)


def resize_shorter_side(image: Image.Image, size: int) -> Image.Image:
    """Resize so that the shorter side has ``size`` px, bicubic with antialiasing, proportions kept."""
    return image.resize(_resized_size(image, size), Image.Resampling.BICUBIC)


def crop_centre(image: Image.Image, size: int) -> Image.Image:
    """The central square of ``size`` px; a side of odd excess loses one pixel more on the right and the bottom."""
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def _resized_size(image: Image.Image, size: int) -> tuple[int, int]:
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    return width, height


def _resized_centre(image: Image.Image, size: int) -> Image.Image:
    """Return the central square of the resized image without the rest of it, which would take too much memory.

    The part that it is made of, with what the filter looks at beside it, is cut out first; equal up to rounding.
    """
    window: list[tuple[int, int]] = []
    box: list[tuple[float, float]] = []
    for side, resized in zip(image.size, _resized_size(image, size), strict=True):
        scale = side / resized
        start = (resized - size) // 2 * scale
        end = start + size * scale
        beside = SUPPORT * max(1.0, scale) + 1
        first = max(0, floor(start - beside))
        window.append((first, min(side, ceil(end + beside))))
        box.append((start - first, end - first))
    (left, right), (top, bottom) = window
    part = image.crop((left, top, right, bottom))
    (x0, x1), (y0, y1) = box
    limits = (x0, y0, min(x1, part.width), min(y1, part.height))
    return part.resize((size, size), Image.Resampling.BICUBIC, box=limits)


_opening = threading.Lock()
_memory = threading.Condition()
_n_decoding = 0


def open_image(file: BinaryIO) -> Image.Image:
    """Open an image of any size: Pillow's limit is for images of strangers, ours is checked by `read_image`."""
    formats = readable_formats()
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _share_of_memory(n_pixels: int) -> Iterator[None]:
    """Wait until the images that other threads decode leave room for this one."""
    global _n_decoding
    with _memory:
        _memory.wait_for(lambda: _n_decoding == 0 or _n_decoding + n_pixels <= PIXELS_AT_ONCE)
        _n_decoding += n_pixels
    try:
        yield
    finally:
        with _memory:
            _n_decoding -= n_pixels
            _memory.notify_all()
