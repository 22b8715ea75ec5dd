"""From what a user has to a picture: a file (path, bytes or open), a Pillow image, an array (H, W, C), a tensor (C, H, W).

Pictures have 8 bits, as a network's test images do: uint16 is scaled by 1 / 257 and 0..1 by 255, both to the nearest.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from dynvision.config.data import GROUND
from dynvision.data.images import LARGEST_PIXELS, UNREADABLE, decode_image, read_image
from dynvision.errors import InputError
from dynvision.files import kind_of
from dynvision.functional.pixels import upright

CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency
ROUNDING = 1e-6  # by which 0..1 may be missed
MOST_BYTES = 2**26  # of an encoded image that is not in a file


def to_image(inputs: Any, n_channels: int, ground: float = GROUND) -> Image.Image:
    """One picture, upright, 8-bit, of 1 or 3 channels.

    Args:
        inputs: a path; the bytes of an image file, or such a file open for reading bytes; a Pillow image; an array (H, W)
            or (H, W, C); a tensor (H, W) or (C, H, W); C is 1, 3 or 4.
        n_channels: 1 for grey, 3 for RGB.
        ground: grey on which transparent images are laid, 0..1.

    Raises:
        InputError: it is none of these, cannot be read, or holds other values.
    """
    if isinstance(inputs, (str, Path)):
        return read_image(inputs, n_channels, ground)
    if isinstance(inputs, (bytes, bytearray, memoryview)):
        return _decoded(bytes(inputs), n_channels, ground)
    if hasattr(inputs, "read"):
        return _decoded(read_bytes(inputs), n_channels, ground)
    if isinstance(inputs, Image.Image):
        return _checked(inputs, n_channels, ground)
    if isinstance(inputs, (Tensor, np.ndarray)):
        return upright(_picture(_values(inputs)), n_channels, ground)
    raise InputError(
        "an image is a path, bytes or an open file, a Pillow image, an array or a tensor, not an object of type "
        f"{type(inputs).__name__}"
    )


def is_one_image(inputs: Any) -> bool:
    """Whether an array or a tensor can only be, or can also be, one image instead of several along its first axis."""
    if not isinstance(inputs, (Tensor, np.ndarray)):
        return isinstance(inputs, Image.Image)
    channels_at = 0 if isinstance(inputs, Tensor) else -1
    return inputs.ndim < 3 or (inputs.ndim == 3 and inputs.shape[channels_at] in CHANNELS)


def described(inputs: Any) -> str:
    """What was given, in words."""
    shape = f" of shape {tuple(inputs.shape)}" if isinstance(inputs, (Tensor, np.ndarray)) else ""
    return f"an object of type {type(inputs).__name__}{shape}"


def _decoded(data: bytes, n_channels: int, ground: float) -> Image.Image:
    if len(data) > MOST_BYTES:
        raise InputError(f"an image of {len(data)} bytes is too large; at most {MOST_BYTES} are read")
    try:
        return decode_image(io.BytesIO(data), n_channels, ground)
    except UNREADABLE as error:
        unknown = isinstance(error, UnidentifiedImageError)
        reason = f"it is {kind_of(data)}" if unknown else str(error)
        raise InputError(
            f"an image of {len(data)} bytes cannot be read: {reason or type(error).__name__}"
        ) from None


def read_bytes(file: Any) -> bytes:
    """The bytes of an open file, at most one more than ``MOST_BYTES``.

    Raises:
        InputError: it cannot be read, or is open for text.
    """
    try:
        data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # closed, or not open for reading
        raise InputError(f"the image file cannot be read: {error}") from None
    if not isinstance(data, bytes):
        raise InputError("the image file is open for text; open it with mode 'rb'")
    return data


def _checked(image: Image.Image, n_channels: int, ground: float) -> Image.Image:
    """A Pillow image, whose pixels may not have been read yet."""
    if not all(image.size):
        raise InputError(f"an image of {image.size[0]} x {image.size[1]} px has no pixels")
    try:
        return upright(image, n_channels, ground)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"the image cannot be read: {error}") from None


def _values(inputs: NDArray[Any] | Tensor) -> NDArray[Any]:
    """An array or tensor as an array (H, W) or (H, W, C), if it is as large as its axes say.

    Raises:
        InputError: its values are not all there, or it is no image.
    """
    shape = tuple(inputs.shape)
    if len(shape) == 4:
        raise InputError(
            f"an input of shape {shape} is a batch of {shape[0]} images; predict_batch answers batches"
        )
    is_tensor = isinstance(inputs, Tensor)
    channels = shape[0 if is_tensor else 2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or channels not in CHANNELS or 0 in shape:
        wanted = "(C, H, W)" if is_tensor else "(H, W, C)"
        raise InputError(f"an input of shape {shape} is not (H, W) or {wanted} with 1, 3 or 4 channels")
    if int(np.prod(shape, dtype=object)) > LARGEST_PIXELS * channels:
        raise InputError(f"an input of shape {shape} is too large; at most {LARGEST_PIXELS} px are read")
    if isinstance(inputs, Tensor):
        if inputs.layout != torch.strided or inputs.is_meta or inputs.is_quantized:
            raise InputError(
                f"images are dense tensors with values, not of layout {inputs.layout} on {inputs.device}; use to_dense()"
            )
        values = inputs.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values  # of which NumPy has none
        return (values.permute(1, 2, 0) if len(shape) == 3 else values).resolve_conj().numpy()
    if np.ma.is_masked(inputs):
        raise InputError("pixels of the image are masked; fill them first, with .filled(value)")
    return np.asarray(inputs)


def _picture(values: NDArray[Any]) -> Image.Image:
    """An array (H, W) or (H, W, C) as a picture."""
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
