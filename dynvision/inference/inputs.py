"""Pictures and films from any form of input.

A picture is a file (path, bytes or open), a Pillow image, an array (H, W, C) or a tensor (C, H, W). It has 8 bits, as
a network's test images do: uint16 is scaled by 1 / 257 and 0..1 by 255, both to the nearest.

A film is a list of pictures, an array (T, H, W) or (T, H, W, C), a tensor (T, C, H, W), a video file, or an animated GIF,
APNG (``.apng``) or WebP. Files know their own frame rate; of everything else it must be given.

    step t shows the last frame k with onset_k <= (t + 1/2) dt
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from dynvision.config.data import GROUND
from dynvision.data.images import LARGEST_PIXELS, UNREADABLE, decode_image, open_image, read_image
from dynvision.errors import InputError, check_extra
from dynvision.files import kind_of
from dynvision.functional.pixels import upright
from dynvision.stimuli.film import VIDEOS

CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency
ROUNDING = 1e-6  # by which 0..1 may be missed
MOST_BYTES = 2**26  # of an encoded image that is not in a file


def to_image(inputs: Any, n_channels: int, ground: float = GROUND) -> Image.Image:
    """Return one picture, upright, 8-bit, of 1 or 3 channels.

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


def check_several(inputs: Any) -> None:
    """Check that an input is not one image, where several are needed.

    Raises:
        InputError: it is a picture, or an array or a tensor that can be one image instead of several along its first axis.
    """
    if isinstance(inputs, (Tensor, np.ndarray)):
        channels_at = 0 if isinstance(inputs, Tensor) else -1
        is_one = inputs.ndim < 3 or (inputs.ndim == 3 and inputs.shape[channels_at] in CHANNELS)
        shape = f" of shape {tuple(inputs.shape)}"
    else:
        is_one, shape = isinstance(inputs, Image.Image), ""
    if is_one:
        raise InputError(
            f"predict_batch takes several images, and an object of type {type(inputs).__name__}{shape} is one; give it to "
            "predict, or in a list"
        )


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
    """Return the bytes of an open file, at most one more than ``MOST_BYTES``.

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
    """Convert a Pillow image, whose pixels may not have been read yet."""
    if not all(image.size):
        raise InputError(f"an image of {image.size[0]} x {image.size[1]} px has no pixels")
    try:
        return upright(image, n_channels, ground)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"the image cannot be read: {error}") from None


def _values(inputs: NDArray[Any] | Tensor) -> NDArray[Any]:
    """Return an array or tensor as an array (H, W) or (H, W, C), if its shape has these axes.

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
    if math.prod(shape) > LARGEST_PIXELS * channels:
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
    """Return an array (H, W) or (H, W, C) as a picture."""
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


ANIMATIONS = (".gif", ".apng", ".webp")
MOST_FRAMES = 10_000
MOST_VALUES = 2**28  # of a film as it is shown: 1 GiB in single precision
BROWSER_MS = 100.0  # what a frame of an animation without a duration lasts


class Film:
    """Frames and when they are due.

    Args:
        source: a path, bytes or an open file; a list of images in any form; an array (T, H, W) or (T, H, W, C); a tensor
            (T, C, H, W).
        frame_rate: frames in a second; by default that of the file.
        max_pixels: of a frame of a file, at most.

    Raises:
        InputError: there is no rate, no frame, or no film.
    """

    def __init__(
        self, source: Any, frame_rate: float | None = None, max_pixels: int = LARGEST_PIXELS
    ) -> None:
        if isinstance(frame_rate, bool) or not (
            frame_rate is None or (isinstance(frame_rate, Real) and 0 < frame_rate < math.inf)
        ):
            raise InputError(f"frame_rate={frame_rate!r} must be a number of frames in a second, above 0")
        if hasattr(source, "read"):
            source = read_bytes(source)
        self.source, self.max_pixels = source, max_pixels
        self.frame_rate = None if frame_rate is None else float(frame_rate)  # may be a fraction, 30000/1001
        self.duration_ms = 0.0
        self._is_file = isinstance(source, (str, Path, bytes, bytearray))
        if not self._is_file:
            if frame_rate is None:
                raise InputError(f"{self} does not know its rate; give frame_rate=, in frames in a second")
            if not isinstance(source, (list, tuple, np.ndarray, Tensor)) or getattr(source, "ndim", 3) < 3:
                raise InputError(
                    "a film is a file, a list of images, an array (T, H, W, C) or a tensor (T, C, H, W), not an object of "
                    f"type {type(source).__name__}"
                )

    def __str__(self) -> str:
        return f"film {self.source}" if isinstance(self.source, (str, Path)) else "the film"

    def frames(self) -> Iterator[tuple[Any, float]]:
        """Yield each frame as an image, with its onset in ms; ``duration_ms`` is known after the last one.

        Raises:
            InputError: a frame cannot be read, or there is none, or there are too many.
        """
        onset_ms = n_frames = 0.0
        for image, lasts_ms in self._file_frames() if self._is_file else ((f, None) for f in self.source):
            n_frames += 1
            if n_frames > MOST_FRAMES:
                raise InputError(
                    f"{self} has more than {MOST_FRAMES} frames; show a part of it, or use stream()"
                )
            yield image, onset_ms
            # Onsets are counted, not added up, so that errors do not grow.
            onset_ms = (
                n_frames * 1000 / self.frame_rate if self.frame_rate else onset_ms + (lasts_ms or BROWSER_MS)
            )
        if not n_frames:
            raise InputError(f"{self} has no frames")
        self.duration_ms = onset_ms

    def _file_frames(self) -> Iterator[tuple[Image.Image, float | None]]:
        source = self.source
        if isinstance(source, (str, Path)):
            if not Path(source).is_file():
                raise InputError(f"film {source} does not exist; give a video file, or frames")
            if Path(source).suffix.lower() in VIDEOS:
                yield from self._video_frames(str(source))
                return
        if isinstance(source, (bytes, bytearray)):
            if len(source) > MOST_BYTES:
                raise InputError(f"a film of more than {MOST_BYTES} bytes must be in a file")
            source = io.BytesIO(source)
        with source if isinstance(source, io.BytesIO) else open(source, "rb") as file:
            try:
                animation = open_image(file)
            except UNREADABLE as error:
                if not isinstance(source, io.BytesIO):
                    raise InputError(f"{self} cannot be read: {error}") from None
                file.seek(0)
                yield from self._video_frames(file)
                return
            self._check_size(*animation.size)
            k = 0  # counting the frames may fail, too
            try:
                for k in range(getattr(animation, "n_frames", 1)):
                    animation.seek(k)
                    yield animation.convert("RGBA"), animation.info.get("duration")
            except UNREADABLE as error:
                raise InputError(f"{self} is damaged from frame {k} on: {error}") from None

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise InputError(
                f"{self} has frames of {width} x {height} px, more than {self.max_pixels} px; make it smaller"
            )

    def _video_frames(self, file: Any) -> Iterator[tuple[Image.Image, float]]:
        check_extra("video", str(self), "av", instead="give its frames")
        import av

        try:
            with av.open(file) as video:
                if not video.streams.video:
                    raise InputError(f"{self} has no pictures")
                rate = float(video.streams.video[0].average_rate or 0)
                if not rate and not self.frame_rate:
                    raise InputError(
                        f"{self} does not know its rate; give frame_rate=, in frames in a second"
                    )
                for n, picture in enumerate(video.decode(video=0)):
                    # By count, so that rounding does not add up.
                    self._check_size(picture.width, picture.height)
                    lasts_ms = (n + 1) * 1000 / rate - n * 1000 / rate if rate else 0.0
                    yield picture.to_image(), lasts_ms
        except (av.FFmpegError, ValueError, MemoryError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self} cannot be read as a video: {error}") from None


def is_film(inputs: Any) -> bool:
    """Return whether an input is a film by itself: a `Film`, or the path of a video file or of an animation."""
    if isinstance(inputs, Film):
        return True
    if not isinstance(inputs, (str, Path)):
        return False
    suffix = Path(inputs).suffix.lower()
    if suffix in VIDEOS:
        return True
    if suffix not in ANIMATIONS or not Path(inputs).is_file():  # a pipe would be waited for
        return False
    try:
        with open(inputs, "rb") as file:
            return bool(getattr(open_image(file), "is_animated", False))
    except UNREADABLE:
        return False  # reading it as an image raises the error


def frames_due(onsets_ms: Sequence[float], duration_ms: float, dt: float) -> list[int]:
    """Return the frame of each step of dt ms: the last one that is due in its middle; at least one step.

    Args:
        onsets_ms: when each frame begins, in ms, the first at 0.
        duration_ms: when the last one ends.
        dt: length of a step in ms.
    """
    n_steps = max(1, math.ceil(duration_ms / dt - 1e-6))
    middles = (np.arange(n_steps) + 0.5) * dt
    return (np.searchsorted(np.asarray(onsets_ms), middles + 1e-9, side="right") - 1).tolist()


def check_pixels(body: bytes, most: int) -> None:
    """Look at the size in the header of an image before anything is decoded.

    Raises:
        InputError: it is larger than allowed.
    """
    try:
        with open_image(io.BytesIO(body)) as image:
            width, height = image.size
    except UNREADABLE:
        return  # reading it raises the error
    if width * height > most:
        raise InputError(f"the image has {width} x {height} px, more than {most} px; make it smaller")
