"""Whether a folder of images is as it was when it was converted: cheap enough to be asked at every planning.

Compared are the names of the image files, and up to `MANY` files their sizes; where these are as they were but a time of
change is not, and the files have up to `READ_BYTES` together, their contents. Times alone change nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from dynvision.runs.made_from import short_hash

MANY = (
    50_000  # more files are known by their names: on a network's file system each look at one takes its time
)
READ_BYTES = 256 * 2**20


def describe_folder(root: Path, suffixes: Collection[str]) -> dict[str, Any]:
    """Describe the image files below a folder, hidden ones left out.

    Args:
        root: the folder.
        suffixes: of images, in lower case with the dot.

    Returns:
        ``root`` and ``suffixes``; ``files``, which changes when an image is added, removed, renamed or resized; for up to
        `MANY` files ``times``, a hash of their times of change; and ``contents``, where they are small enough.
    """
    found = sorted(_image_files(root, frozenset(suffixes)))
    described = {"root": str(root), "suffixes": sorted(suffixes), "n_files": len(found)}
    if len(found) > MANY:
        return {**described, "files": short_hash(found)}
    states = [os.stat(root / name) for name in found]
    sizes = [state.st_size for state in states]
    described["files"] = short_hash([found, sizes])
    described["times"] = short_hash([state.st_mtime_ns for state in states])
    if sum(sizes) <= READ_BYTES:
        described["contents"] = _contents(root, found)
    return described


def has_changed(then: Mapping[str, Any] | None) -> bool:
    """Return whether a folder of images is another now.

    One that is no longer there has not changed: what was made from it remains as it is.

    Args:
        then: what `describe_folder` stated; None of images that are not from a folder.
    """
    if then is None or not Path(then["root"]).is_dir():
        return False
    root = Path(then["root"])
    found = sorted(_image_files(root, frozenset(then["suffixes"])))
    if len(found) != then["n_files"] or len(found) > MANY:
        return len(found) != then["n_files"] or short_hash(found) != then["files"]
    states = [os.stat(root / name) for name in found]
    if short_hash([found, [state.st_size for state in states]]) != then["files"]:
        return True
    if "contents" not in then or short_hash([state.st_mtime_ns for state in states]) == then["times"]:
        return False
    return _contents(root, found) != then["contents"]


def _image_files(root: Path, suffixes: frozenset[str]) -> Iterator[str]:
    """Paths below the root, links followed, each folder once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        if real in seen:
            continue
        seen.add(real)
        below = os.path.relpath(place, root)
        for name in names:
            path = os.path.join(place, name)
            if (
                not name.startswith(".")
                and os.path.splitext(name)[1].lower() in suffixes
                and os.path.isfile(path)  # and no pipe, which would be waited for
            ):
                yield name if below == "." else os.path.join(below, name)


def _contents(root: Path, names: Collection[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode(errors="surrogateescape") + b"\0" + (root / name).read_bytes())
    return digest.hexdigest()[:16]
