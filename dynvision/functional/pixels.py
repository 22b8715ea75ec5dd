"""From a picture as Pillow decodes it to upright, opaque pixels of 8 bits, grey or RGB.

transparency    laid on a grey ground, alpha p + (1 - alpha) ground, before anything is resized
depth           16-bit grey: round(v / 257); 12-bit grey: round(v 255 / 4095); colour of 16 bits: its upper byte
colour          RGB as stored, without its profile; CMYK, YCbCr and LAB as Pillow converts them
grey            luma of ITU-R 601, 0.299 R + 0.587 G + 0.114 B
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from dynvision.errors import InputError

MODES = {1: "L", 3: "RGB"}
STRIP_PIXELS = 2**22
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags


def upright(image: Image.Image, n_channels: int, ground: float) -> Image.Image:
    """Turn a picture upright by its EXIF orientation, and make it opaque, 8-bit, grey or RGB.

    Args:
        image: as Pillow decodes it.
        n_channels: 1 for grey, 3 for RGB.
        ground: grey on which it is laid where it is transparent, 0..1.

    Raises:
        InputError: its pixels have more than 16 bits.
    """
    white, inverted = _white(image), _is_inverted(image)
    turned = ImageOps.exif_transpose(image)
    level = round(255 * ground)
    if white is not None:
        turned = _eight_bits(turned, white, inverted, level)
    elif turned.mode in ("I", "F"):
        numbers = "whole numbers of 32 bits" if turned.mode == "I" else "floating-point numbers of 32 bits"
        raise InputError(f"its pixels are {numbers}, where 8 or 16 bits are allowed")
    if turned.has_transparency_data:
        turned = _on_ground(turned, level)
    return turned if turned.mode == MODES[n_channels] else turned.convert(MODES[n_channels])


def _white(image: Image.Image) -> int | None:
    """Return the value of white in 16-bit grey; none for all other pixels."""
    if image.mode.startswith("I;16"):
        bits = int(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0])
        return 2**bits - 1
    return 65535 if image.mode == "I" and image.format in ("PNG", "PPM") else None


def _is_inverted(image: Image.Image) -> bool:
    """Return whether 0 is white in 16-bit grey, which Pillow leaves as it is."""
    return image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0


def _eight_bits(image: Image.Image, white: int, inverted: bool, level: int) -> Image.Image:
    # Pillow's own conversion of 16-bit grey to 8 bits clips at 255 instead of scaling.
    table = np.minimum(np.rint(np.arange(2**16) * (255 / white)), 255).astype(np.uint8)
    if inverted:
        table = 255 - table
    if isinstance(transparent := image.info.get("transparency"), int):
        table[transparent] = level
    return Image.fromarray(table[np.asarray(image)])


def scale_transparency(image: Image.Image) -> None:
    """Scale the transparent grey of a PNG of 2 or 4 bits, as Pillow scales its pixels."""
    transparent, tiles = image.info.get("transparency"), getattr(image, "tile", [])
    if image.format == "PNG" and isinstance(transparent, int) and tiles and tiles[0].args in ("L;2", "L;4"):
        image.info["transparency"] = transparent * {"L;2": 85, "L;4": 17}[tiles[0].args]


def _on_ground(image: Image.Image, level: int) -> Image.Image:
    """Lay an image with transparency on a grey ground, some lines at a time to spare memory."""
    laid = Image.new("RGB", image.size, (level, level, level))
    n_lines = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, n_lines):
        lines = image.crop((0, top, image.width, min(top + n_lines, image.height))).convert("RGBA")
        laid.paste(lines, (0, top), lines)
    return laid
