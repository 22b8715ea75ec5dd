"""The image files below a folder, and from a file to upright pixels of a given size: 8-bit, grey or RGB.

All picture formats that Pillow decodes are read, and HEIC where its plugin is installed. Data that Pillow only recognises
(HDF5, GRIB, ...), films and drawings are not read as pictures. Linked folders are read like others, each once, after the
folders that lie in the folder itself. `dynvision.functional.pixels` converts transparency, depth and colour;
``docs/data.md`` has the table by format.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from math import ceil, floor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dynvision.config.data import GROUND
from dynvision.errors import InputError
from dynvision.files import what_it_is
from dynvision.functional.pixels import scale_transparency, upright
from dynvision.text import first_few

NO_PICTURES = ("BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF")  # names of formats in Pillow
PLUGINS = dict.fromkeys((".heic", ".heics", ".heif", ".heifs", ".hif"), "pillow-heif")


class FoundImages(NamedTuple):
    """Paths of the images, from a root and with ``/``, and what was ignored; an empty text where nothing was."""

    files: list[str]
    ignored: str


@cache
def readable_formats() -> tuple[str, ...]:
    """Return the formats that are read, by Pillow's names for them. Loads the plugins."""
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(kind for kind in Image.ID if kind not in NO_PICTURES)


@cache
def readable_suffixes() -> frozenset[str]:
    """Return the suffixes of the formats that are read, in lower case with the dot."""
    formats = readable_formats()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in formats)


def is_readable(name: str) -> bool:
    """Return whether a file is read as an image, by its suffix."""
    return os.path.splitext(name)[1].lower() in readable_suffixes()


def images_below(folder: Path, root: Path) -> FoundImages:
    """List the images in a folder and the folders in it: by folder and name, then what links lead to.

    Raises:
        InputError: the folder is a link to one above it, or an image is a link to a file that is not there.
        OSError: a folder may not be read.
    """
    top = Path(os.path.realpath(folder))
    if Path(os.path.realpath(root)).is_relative_to(top):
        raise InputError(f"{folder} is a link to {top}, a folder above it; remove the link")
    files: list[str] = []
    ignored: Counter[str] = Counter()
    seen: set[str] = set()
    links: list[Path] = []
    places = [folder]
    while places or links:
        place = places.pop() if places else links.pop()
        real = os.path.realpath(place)
        if real in seen or (real != str(top) and top.is_relative_to(real)):
            ignored["linked folder, which is read already" if real in seen else "link to a folder above"] += 1
            continue
        seen.add(real)
        with os.scandir(place) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        folders = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        places += [Path(entry) for entry in reversed(folders) if not entry.is_symlink()]
        links = sorted([*links, *(Path(entry) for entry in folders if entry.is_symlink())], reverse=True)
        for entry in entries:
            if entry.is_dir():
                continue
            reason = _why_not(entry)
            if reason is None:
                files.append(Path(entry).relative_to(root).as_posix())
            elif reason:
                ignored[reason] += 1
    return FoundImages(files, _described(ignored))


def _why_not(entry: os.DirEntry[str]) -> str | None:
    """Return why an entry is no image; an empty text where that is not reported, None for an image."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if entry.name.startswith("."):
        return "hidden" if suffix in readable_suffixes() else ""
    if suffix not in readable_suffixes():
        needs = f", which need {PLUGINS[suffix]} (pip install {PLUGINS[suffix]})" if suffix in PLUGINS else ""
        return (suffix or "without a suffix") + needs
    if entry.is_symlink() and not os.path.exists(entry):
        target = os.readlink(entry)
        how = "fetch it with 'git annex get' or 'datalad get'" if ".git/annex" in target else "put it there"
        raise InputError(
            f"image {entry.path} is a link to {target}, which is not there; {how} or remove the link"
        )
    return None if entry.is_file() else "no file but a device or a pipe"


def _described(ignored: Counter[str]) -> str:
    if not ignored:
        return ""
    n_ignored = ignored.total()
    listed = "; ".join(f"{count} {reason}" for reason, count in ignored.most_common())
    return f"{n_ignored} file{'' if n_ignored == 1 else 's'} ignored: {listed}"


def sentences(ignored: Iterable[tuple[str, str]]) -> list[str]:
    """Return what was ignored in each class folder; those in which the same was ignored share a sentence.

    Args:
        ignored: names of folders, and what was ignored there; nothing is stated where the text is empty.
    """
    folders: dict[str, list[str]] = {}
    for folder, text in ignored:
        if text:
            folders.setdefault(text, []).append(folder)
    return [
        f"{names[0] if len(names) == 1 else f'{first_few(names)}, in each'}: {text}"
        for text, names in folders.items()
    ]


# A decoder may raise anything for a damaged file, also RuntimeError and KeyError.
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
        path: file in any format that is read (`readable_formats`).
        n_channels: 1 for grey, 3 for RGB.
        ground: grey on which transparent images are laid, 0..1.

    Raises:
        InputError: the file cannot be read as an image; the message names it and states what it is.
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
    """Decode an open file or bytes in memory, as `read_image` does; raise one of ``UNREADABLE``."""
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
        return f"its header claims more than {LARGEST_PIXELS:,} px"
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
    """Return the central square of ``size`` px; a side of odd excess loses one pixel more on the right and the bottom."""
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
    """Open an image of any size: Pillow's limit is off, and `read_image` checks our own."""
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
