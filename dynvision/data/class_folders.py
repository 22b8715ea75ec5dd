"""A folder of class folders: which images it holds, of which class, and in which split.

folder/cat/1.png  folder/dog/2.png  ...            one set, to be split
folder/train/cat/1.png  ...  folder/test/dog/2.png   splits as given; folder/val may be there too
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
        given_splits: image indices by split, where the folder has ``train`` and ``test``; otherwise empty.
    """

    root: Path
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    given_splits: dict[str, NDArray[np.int64]]


def list_class_folders(root: str | Path) -> ClassFolders:
    """List a folder of class folders. Hidden files and files that are no images are ignored.

    Raises:
        InputError: the folder is missing or empty, has no class folders, has only one, or one of them has no images.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise InputError(f"data folder {root} {'is not a folder' if root.exists() else 'does not exist'}")
    folders = _subfolders(root)
    if not folders and not any(root.iterdir()):
        raise InputError(f"data folder {root} is empty; put one folder of images for each class into it")
    splits = _given_splits(root, folders)
    parts = {split: root / split for split in splits} or {"": root}
    class_names = tuple(_subfolders(next(iter(parts.values()))))
    if not class_names:
        raise InputError(
            f"data folder {next(iter(parts.values()))} has no class folders; put the images of each class into a folder"
        )
    if len(class_names) == 1:
        raise InputError(
            f"data folder {root} has only one class folder, {class_names[0]!r}; at least two are needed"
        )
    files: list[str] = []
    labels: list[int] = []
    indices: dict[str, NDArray[np.int64]] = {}
    for split, folder in parts.items():
        start = len(files)
        for name in _subfolders(folder):
            if name not in class_names:
                raise InputError(f"class folder {folder / name} has no counterpart in {root / 'train'}")
            found = images_below(folder / name, root)
            if not found:
                raise InputError(f"class folder {folder / name} has no images")
            files += found
            labels += [class_names.index(name)] * len(found)
        indices[split] = np.arange(start, len(files))
    given = {split: indices[split] for split in splits}
    return ClassFolders(root, tuple(files), np.array(labels, dtype=np.int64), class_names, given)


def _given_splits(root: Path, folders: list[str]) -> tuple[str, ...]:
    """The splits that the folder prescribes, ``train`` first."""
    if not ("train" in folders and _subfolders(root / "train")):
        return ()
    if "test" in folders:
        return tuple(split for split in ("train", "val", "test") if split in folders)
    raise InputError(
        f"data folder {root} has a train folder with class folders, but no test folder beside it"
        + (
            "; rename its val folder to test (validation images are then taken from train)"
            if "val" in folders
            else ""
        )
    )


def _subfolders(folder: Path) -> list[str]:
    return sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


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
