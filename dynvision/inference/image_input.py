"""From what a user has to a picture: a file, a Pillow image, an array (H, W, C), a tensor (C, H, W); uint8, uint16 or 0..1.

Pictures have 8 bits, as a network's test images do: uint16 is scaled by 1 / 257 and 0..1 by 255, both to the nearest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dynvision.data.images import read_image, upright
from dynvision.errors import InputError

CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency, which is dropped
ROUNDING = 1e-6  # by which 0..1 may be missed


def to_image(inputs: Any, n_channels: int) -> Image.Image:
    """One picture, upright, 8-bit, of 1 or 3 channels.

    Args:
        inputs: a path; a Pillow image; an array (H, W) or (H, W, C); a tensor (H, W) or (C, H, W); C is 1, 3 or 4.
        n_channels: 1 for grey, 3 for RGB.

    Raises:
        InputError: it is none of these, cannot be read, or holds other values.
    """
    if isinstance(inputs, (str, Path)):
        return read_image(inputs, n_channels)
    if isinstance(inputs, Image.Image):
        return upright(inputs, n_channels)
    if isinstance(inputs, Tensor):
        values = inputs.detach().cpu()
        return upright(
            _picture((values.permute(1, 2, 0) if values.dim() == 3 else values).numpy(), inputs), n_channels
        )
    if isinstance(inputs, np.ndarray):
        return upright(_picture(inputs, inputs), n_channels)
    raise InputError(
        f"an image is a path, a Pillow image, an array or a tensor, not an object of type {type(inputs).__name__}"
    )


def _picture(values: NDArray[Any], given: NDArray[Any] | Tensor) -> Image.Image:
    """An array (H, W) or (H, W, C) as a picture."""
    if values.ndim == 4:
        raise InputError(
            f"an input of shape {tuple(given.shape)} is a batch of {len(values)} images; predict_batch answers batches"
        )
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in CHANNELS) or not values.size:
        wanted = "(C, H, W)" if isinstance(given, Tensor) else "(H, W, C)"
        raise InputError(
            f"an input of shape {tuple(given.shape)} is not (H, W) or {wanted} with 1, 3 or 4 channels"
        )
    pixels = _eight_bits(values)
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype == np.uint16:
        return np.rint(values / 257).astype(np.uint8)
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"images of type {values.dtype} are not understood; give uint8 in 0..255 or floats in 0..1"
        )
    if not (values.min() >= -ROUNDING and values.max() <= 1 + ROUNDING):  # false for NaN, too
        raise InputError(
            f"images of type {values.dtype} hold 0..1, not {values.min():g}..{values.max():g}; give 0..255 as uint8, and "
            "no normalised images, since the network's own normalisation is applied"
        )
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
