"""A film: frames of a folder, of a video file or of an array, at their real rate.

    step at t shows frame floor((t + dt / 2) rate)        t from the onset of the film

A frame is on in the steps in whose middle it is due. A rate thus need not be on the time grid: each frame begins within
dt / 2 of its time, and the error never adds up. Frames are resized to the network's images, and normalised as these are.

The images of a folder are taken in the order of their names, in which numbers count as numbers (``frame2`` comes before
``frame10``); hidden files are left out. A video file is an animated GIF, PNG, WebP or TIFF, or what
PyAV reads where it is installed (``pip install 'dynvision[video]'``): mp4, avi, mov, mkv, webm. An array is a ``.npy``
file, (T, H, W), (T, H, W, C) or (T, C, H, W), uint8 or between 0 and 1.
"""

from __future__ import annotations

import ast
import math
import os
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dynvision.config.section import key
from dynvision.errors import InputError, check_extra, message_of
from dynvision.files import what_it_is
from dynvision.stimuli.stimulus import Span, Stimulus, register
from dynvision.trials.content import Content, View

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff")
ANIMATED = (".gif", ".png", ".apng", ".webp", ".tif", ".tiff")
GREYS = ("1", "L", "LA", "La", "I", "F")  # modes of Pillow
MEAN_GREY = 0.5  # under transparent frames
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True)
class FilmFrame(Content):
    """A film from one of its frames on.

    Attributes:
        source: folder, video file or array.
        rate_hz: frames in a second.
        frame: number of the frame.
    """

    source: str
    rate_hz: float
    frame: int = 0
    shown = "film"
    takes_noise = True

    def picture(self, view: View, contrast: float) -> Tensor:
        """Return ``c f_k``, the same for every image of the batch."""
        import torch
        from torch.nn.functional import interpolate

        n_channels, height, width = view.images.shape[1:]
        pixels = torch.from_numpy(read_frame(self.source, self.frame)).to(view.images)  # (H, W, C)
        frame = pixels.permute(2, 0, 1)[None]
        if frame.shape[1] != n_channels:
            frame = frame.mean(dim=1, keepdim=True).expand(-1, n_channels, -1, -1)
        if frame.shape[-2:] != (height, width):
            frame = interpolate(frame, size=(height, width), mode="bilinear", antialias=True)
        return view.scale.from_pixels(frame).expand_as(view.images) * contrast

    def split(self, n_steps: int, dt: float) -> Iterator[tuple[int, Content]]:
        """Yield each frame with the steps in whose middle it is due."""
        frames = [self.frame + int((step + 0.5) * dt * self.rate_hz / 1000 + 1e-9) for step in range(n_steps)]
        for frame in dict.fromkeys(frames):
            yield frames.count(frame), replace(self, frame=frame)


@register("film")
class FilmStimulus(Stimulus):
    """A film, the same in every trial."""

    type: Literal["film"] = key("film", "frames of a folder, a video file or an array, for duration_ms")
    source: str = key("", "folder of images, video file or .npy array")
    frame_rate_hz: float = key(25.0, "frames in a second", "Hz", gt=0)
    first_frame: int = key(0, "number of the frame that is shown first", ge=0)
    duration_ms: float = key(400.0, "how long the film is on", "ms", gt=0)

    def spans(self) -> tuple[Span, ...]:
        n_frames = count_frames(self.source)
        last = self.first_frame + int((self.duration_ms * self.frame_rate_hz / 1000) - 1e-9)
        if last >= n_frames:
            lasts = max(0, n_frames - self.first_frame) * 1000 / self.frame_rate_hz
            raise InputError(
                f"stimulus.duration_ms={self.duration_ms:g} ms is longer than {self.source}, which lasts {lasts:g} ms from "
                f"frame {self.first_frame} on ({n_frames} frames of {self.frame_rate_hz:g} Hz); lower duration_ms"
            )
        content = FilmFrame(self.source, self.frame_rate_hz, self.first_frame)
        return (Span(self.duration_ms, content, self.contrast, "stimulus.duration_ms"),)

    def describe(self, said: Mapping[str, str]) -> str:
        return (
            f"as the film {Path(self.source).name} from frame {said['first_frame']} on, for {said['duration_ms']} at "
            f"{said['frame_rate_hz']}, at contrast {said['contrast']}"
        )


def count_frames(source: str) -> int:
    """Return the number of frames of a film, without numpy or torch.

    Raises:
        InputError: it is missing, empty, or of a kind that cannot be read.
    """
    path = Path(source)
    if not source or not path.exists():
        raise InputError(
            f"stimulus.source={source!r} does not exist; give a folder of images, a video file or a .npy array"
        )
    n_frames = _count(path)
    if not n_frames:
        raise InputError(f"stimulus.source={source} has no frames; give a folder with images or another file")
    return n_frames


def _count(path: Path) -> int:
    if path.is_dir():
        return len(_pictures(path))
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _array_shape(path)[0]
    if suffix in ANIMATED:
        with _readable(path), _opened(path) as image:
            return int(getattr(image, "n_frames", 1))
    if suffix in VIDEOS:
        av = _pyav(path)
        with _readable(path), av.open(str(path)) as video:
            stream = video.streams.video[0]
            return stream.frames or sum(1 for _ in video.decode(stream))
    allowed = ", ".join([".npy", *ANIMATED, *VIDEOS])
    raise InputError(
        f"stimulus.source={path} is no film; allowed: a folder, or a file that ends in {allowed}"
    )


def _pictures(folder: Path) -> list[Path]:
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURES and path.name[0] != "." and path.is_file()
    ]
    # Text and digits alternate in the parts, so that each part meets one of its kind.
    parts = {
        path: [int(p) if p.isdecimal() else p for p in re.split(r"([0-9]+)", path.name)] for path in found
    }
    return sorted(found, key=lambda path: (parts[path], path.name))


def _array_shape(path: Path) -> tuple[int, ...]:
    """Return the shape in the header of a ``.npy`` file.

    Raises:
        InputError: it is no film, or the file is not whole.
    """
    with path.open("rb") as file:
        head = file.read(8)
        if head[:6] != b"\x93NUMPY":
            raise InputError(f"stimulus.source={path} is no .npy array")
        with _readable(path):
            length = struct.unpack("<H", file.read(2)) if head[6] == 1 else struct.unpack("<I", file.read(4))
            header = ast.literal_eval(file.read(length[0]).decode("latin1"))
            shape: tuple[int, ...] = header["shape"]
            kind = str(header["descr"]).lstrip("<>|=")
            n_bytes = os.fstat(file.fileno()).st_size - file.tell()
    if len(shape) not in (3, 4) or not math.prod(shape):
        raise InputError(
            f"stimulus.source={path} has the shape {shape}, not (T, H, W), (T, H, W, C) or (T, C, H, W)"
        )
    if len(shape) == 4 and not {shape[1], shape[3]} & {1, 3}:
        raise InputError(
            f"stimulus.source={path} has the shape {shape} without 1 or 3 channels; leave out the others"
        )
    if not re.fullmatch("[buif][0-9]+", kind):
        raise InputError(f"stimulus.source={path} holds {kind}, not numbers; save it as uint8 or float32")
    if n_bytes < math.prod(shape) * int(kind[1:]):
        raise InputError(f"stimulus.source={path} ends before its {shape[0]} frames do; copy it again")
    return shape


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an image by its content: Pillow garbles turned TIFFs that it maps into memory by their name."""
    from PIL import Image

    with path.open("rb") as file, Image.open(file) as image:
        yield image


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """State what a file is that cannot be decoded; a decoder raises whatever the damage leads it to."""
    try:
        yield
    except InputError as error:
        raise InputError(f"stimulus.source: {path} cannot be read: {error}") from None
    except Exception as error:
        words = _OWN_WORDS.get(type(error).__name__, message_of(error))
        raise InputError(
            f"stimulus.source: {path} cannot be read ({words}); it is {what_it_is(path)}"
        ) from None


# What is stated in place of Pillow's words for two of its errors.
_OWN_WORDS = {
    "UnidentifiedImageError": "no known format",
    "DecompressionBombError": "its frames have more than 179 million pixels",
}


def _pyav(path: Path) -> Any:
    check_extra("video", f"stimulus.source={path}", "av", instead="give its frames as a folder")
    import av

    return av


@lru_cache(maxsize=256)
def read_frame(source: str, frame: int) -> np.ndarray:
    """Return the pixels of a frame, (H, W, C) float32 between 0 and 1.

    Raises:
        InputError: it cannot be decoded, or an array has other pixels.
    """
    import numpy as np

    from dynvision.functional.pixels import upright

    path = Path(source)
    if path.suffix.lower() == ".npy":
        array = np.load(path, mmap_mode="r")[frame]
        if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
            array = np.moveaxis(array, 0, 2)
        pixels = np.array(array, np.float32) / (255 if array.dtype == np.uint8 else 1)
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise InputError(
                f"stimulus.source={source} has pixels from {pixels.min():g} to {pixels.max():g} in frame {frame}; save it "
                "as uint8, or as numbers between 0 and 1"
            )
    elif path.is_dir() or path.suffix.lower() in ANIMATED:
        place = _pictures(path)[frame] if path.is_dir() else path
        with _readable(place), _opened(place) as image:
            if not path.is_dir():
                image.seek(frame)
            n_channels = 1 if image.mode in GREYS or image.mode.startswith("I;16") else 3
            pixels = np.asarray(upright(image, n_channels, MEAN_GREY), np.float32) / 255
    else:
        pixels = _decoded(source)[frame].astype(np.float32) / 255
    return pixels[..., None] if pixels.ndim == 2 else pixels


@lru_cache(maxsize=1)
def _decoded(source: str) -> list[np.ndarray]:
    """Return all frames of a video, (H, W, 3) uint8: a video can only be decoded from its beginning."""
    av = _pyav(Path(source))
    with _readable(Path(source)), av.open(source) as video:
        return [picture.to_ndarray(format="rgb24") for picture in video.decode(video=0)]
