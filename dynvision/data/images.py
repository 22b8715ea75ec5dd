"""From an image file to upright pixels of a given size: 8-bit, grey or RGB."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dynvision.data.image_files import readable_suffixes
from dynvision.errors import InputError

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    TypeError,
    Image.DecompressionBombError,
)
MODES = {1: "L", 3: "RGB"}


def read_image(path: str | Path, n_channels: int) -> Image.Image:
    """Decode an image file whole, turn it upright by its EXIF orientation and convert its channels.

    Grey is the luma of ITU-R 601. Transparency is dropped, 16-bit grey is scaled to 8 bits, and of an animation
    the first frame is taken.

    Args:
        path: file in any format that Pillow reads.
        n_channels: 1 for grey, 3 for RGB.

    Raises:
        InputError: the file cannot be read as an image; the message names it.
    """
    readable_suffixes()  # which loads the plugins
    try:
        with Image.open(path) as opened:
            return upright(opened, n_channels)
    except UNREADABLE as error:
        reason = str(error).replace(repr(str(path)), "it") or type(error).__name__
        raise InputError(f"image {path} cannot be read: {reason}; repair or remove it") from None


def upright(image: Image.Image, n_channels: int) -> Image.Image:
    """A picture as `read_image` gives it: upright by its EXIF orientation, 8-bit, grey or RGB.

    Raises:
        InputError: its pixels have more than 16 bits.
    """
    return ImageOps.exif_transpose(_eight_bits(image)).convert(MODES[n_channels])


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion of 16-bit grey to 8 bits clips at 255 instead of scaling.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        scaled = Image.fromarray(np.rint(np.asarray(image).astype(np.float64) / 257).astype(np.uint8))
        scaled.getexif().update(image.getexif())
        return scaled
    if image.mode in ("I", "F"):
        raise InputError("its pixels have 32 bits, where 8 or 16 are allowed")
    return image


def fit_image(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    """Resize the shorter side to ``resolution`` (bicubic, antialiased) and cut out the central square.

    Args:
        image: grey or RGB.
        resolution: height and width of the result in px.

    Returns:
        Pixels, (H, W, C), 0..255.
    """
    return np.array(crop_centre(resize_shorter_side(image, resolution), resolution)).reshape(
        resolution, resolution, -1
    )


def resize_shorter_side(image: Image.Image, size: int) -> Image.Image:
    """Resize so that the shorter side has ``size`` px, bicubic with antialiasing, proportions kept."""
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def crop_centre(image: Image.Image, size: int) -> Image.Image:
    """The central square of ``size`` px; a side of odd excess loses one pixel more on the right and the bottom."""
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))
