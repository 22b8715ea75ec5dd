"""A film as an input: frames, each due at its time, shown in the steps in whose middle it is due.

    step t shows the last frame k with onset_k <= (t + 1/2) dt

A film is a list of images, an array (T, H, W) or (T, H, W, C), a tensor (T, C, H, W), a video file, or an animated GIF,
APNG (``.apng``) or WebP. Files know their own rate; of everything else it must be given.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from dynvision.data.images import LARGEST_PIXELS, UNREADABLE, open_image
from dynvision.errors import InputError
from dynvision.inference.image_input import MOST_BYTES, read_bytes
from dynvision.stimuli.film import VIDEOS

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
            frame_rate is None
            or (isinstance(frame_rate, (int, float)) and math.isfinite(frame_rate) and frame_rate > 0)
        ):
            raise InputError(f"frame_rate={frame_rate!r} must be a number of frames in a second, above 0")
        if hasattr(source, "read"):
            source = read_bytes(source)
        self.source, self.frame_rate, self.max_pixels = source, frame_rate, max_pixels
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
        """Each frame as an image, with its onset in ms; ``duration_ms`` is known when all are there.

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
        try:
            import av
        except ImportError:
            raise InputError(f"{self} needs PyAV to be read: pip install av, or give its frames") from None
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
    """Whether an input is a film by itself: a `Film`, or the path of a video file or of an animation."""
    if isinstance(inputs, Film):
        return True
    if not isinstance(inputs, (str, Path)):
        return False
    suffix = Path(inputs).suffix.lower()
    if suffix in VIDEOS:
        return True
    if suffix not in ANIMATIONS:
        return False
    try:
        with open(inputs, "rb") as file:
            return bool(getattr(open_image(file), "is_animated", False))
    except UNREADABLE:
        return False  # which reading it as an image explains


def frames_due(onsets_ms: Sequence[float], duration_ms: float, dt: float) -> list[int]:
    """The frame of each step of dt ms: the last one that is due in its middle; at least one step.

    Args:
        onsets_ms: when each frame begins, in ms, the first at 0.
        duration_ms: when the last one ends.
        dt: length of a step in ms.
    """
    n_steps = max(1, math.ceil(duration_ms / dt - 1e-6))
    middles = (np.arange(n_steps) + 0.5) * dt
    return (np.searchsorted(np.asarray(onsets_ms), middles + 1e-9, side="right") - 1).tolist()
