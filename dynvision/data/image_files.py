"""The image files below a folder, in a fixed order, and a sentence on what was left out.

Read are the formats of pictures that Pillow decodes, and HEIC where its plugin is installed. Data that Pillow only
recognises (HDF5, GRIB, ...), films and drawings are no pictures. Folders that links lead to are read like the others,
each once, after those that lie in the folder itself.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from dynvision.errors import InputError

NO_PICTURES = ("BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF")  # names of formats in Pillow
PLUGINS = dict.fromkeys((".heic", ".heics", ".heif", ".heifs", ".hif"), "pillow-heif")

NAMED = 3  # folders that a sentence names


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
    """Return why an entry is no image; an empty text where that needs no word, none for an image."""
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
        ignored: names of folders, and what was ignored there; nothing is said where the text is empty.
    """
    folders: dict[str, list[str]] = {}
    for folder, text in ignored:
        if text:
            folders.setdefault(text, []).append(folder)
    return [f"{_listed(names)}: {text}" for text, names in folders.items()]


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}, in each"
