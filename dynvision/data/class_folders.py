"""A folder of class folders: which images it holds, of which class, and in which split.

folder/cat/1.png  folder/dog/2.png  ...            one set, to be split
folder/train/cat/1.png  ...  folder/test/dog/2.png   splits as given; folder/val may be there too (`split_folders`)
"""

from __future__ import annotations

import logging
import os
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynvision.data.split_folders import given_split_folders, subfolders
from dynvision.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassFolders:
    """The images below a folder, in a fixed order: by split, class and name.

    Attributes:
        root: the folder.
        files: path of every image below ``root``, with ``/``.
        labels: class index of every image, (N,).
        class_names: names of the class folders, sorted.
        given_splits: image indices by split, where the folder has folders of splits; otherwise empty.
    """

    root: Path
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    given_splits: dict[str, NDArray[np.int64]]


def list_class_folders(root: str | Path) -> ClassFolders:
    """List a folder of class folders. Hidden files and files that are no images are ignored.

    Raises:
        InputError: the folder is missing or empty, has no class folders, has only one, one of them has no images, or what
            its folders stand for cannot be told.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise InputError(f"data folder {root} {'is not a folder' if root.exists() else 'does not exist'}")
    if not any(root.iterdir()):
        raise InputError(f"data folder {root} is empty; put one folder of images for each class into it")
    splits = given_split_folders(root)
    parts = splits or {"": root}
    first = next(iter(parts.values()))
    class_names = tuple(subfolders(first))
    _check_classes(root, first, class_names)
    index_of = {_same_name(name): index for index, name in enumerate(class_names)}
    files: list[str] = []
    labels: list[int] = []
    indices: dict[str, NDArray[np.int64]] = {}
    for split, folder in parts.items():
        start = len(files)
        for name in subfolders(folder):
            if _same_name(name) not in index_of:
                raise InputError(f"class folder {folder / name} has no counterpart in {first}")
            found = images_below(folder / name, root)
            if not found:
                raise InputError(f"class folder {folder / name} has no images")
            files += found
            labels += [index_of[_same_name(name)]] * len(found)
        indices[split] = np.arange(start, len(files))
    given = {split: indices[split] for split in splits}
    return ClassFolders(root, tuple(files), np.array(labels, dtype=np.int64), class_names, given)


def _check_classes(root: Path, folder: Path, class_names: tuple[str, ...]) -> None:
    if not class_names:
        raise InputError(
            f"data folder {folder} has no class folders; put the images of each class into a folder"
        )
    if len(class_names) == 1:
        inner = root / class_names[0]
        wrapped = folder == root and len(subfolders(inner)) > 1
        raise InputError(
            f"data folder {root} has only one class folder, {class_names[0]!r}; at least two are needed"
            + (f"; if the classes are the folders in it, give folder:{inner}" if wrapped else "")
        )
    seen: dict[str, str] = {}
    for name in class_names:
        if (same := _same_name(name)) in seen:
            raise InputError(
                f"data folder {folder} has two class folders whose names read the same, {ascii(seen[same])} and "
                f"{ascii(name)}; rename one of them"
            )
        seen[same] = name


def _same_name(name: str) -> str:
    """Return a name in the form that does not depend on how a file system writes letters with accents."""
    return unicodedata.normalize("NFC", name)


def images_below(folder: Path, root: Path) -> list[str]:
    """Paths of the images in a folder and the folders in it, from a root, sorted; other files are ignored."""
    found: list[str] = []
    n_other = 0
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            if Path(name).suffix.lower() in readable_suffixes():
                found.append((Path(place) / name).relative_to(root).as_posix())
            else:
                n_other += 1
    if n_other:
        logger.info("class folder %s: %d files that are no images are ignored", folder, n_other)
    return found


@cache
def readable_suffixes() -> frozenset[str]:
    """Suffixes of the image formats that Pillow reads, in lower case with the dot."""
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN)
