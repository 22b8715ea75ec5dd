"""A folder of class folders: which images it holds, of which class, and in which split.

folder/cat/1.png  folder/dog/2.png  ...            one set, to be split
folder/train/cat/1.png  ...  folder/test/dog/2.png   splits as given; folder/val may be there too (`split_folders`)
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynvision.data.image_files import images_below, is_readable, sentences
from dynvision.data.split_folders import given_split_folders, subfolders
from dynvision.errors import InputError


@dataclass(frozen=True)
class ClassFolders:
    """The images below a folder, in a fixed order: by split, class and name.

    Attributes:
        root: the folder.
        files: path of every image below ``root``, with ``/``.
        labels: class index of every image, (N,).
        class_names: names of the class folders, sorted.
        given_splits: image indices by split, where the folder has folders of splits; otherwise empty.
        notes: sentences on what was ignored, by class folder.
    """

    root: Path
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    given_splits: dict[str, NDArray[np.int64]]
    notes: tuple[str, ...] = ()


def list_class_folders(root: str | Path) -> ClassFolders:
    """List a folder of class folders. Files that are no images are ignored, and `notes` says which.

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
    left_out: list[tuple[str, str]] = []
    notes = [note for folder in {root, *parts.values()} if (note := _beside_classes(folder))]
    for split, folder in parts.items():
        start = len(files)
        for name in subfolders(folder):
            if _same_name(name) not in index_of:
                raise InputError(f"class folder {folder / name} has no counterpart in {first}")
            found, ignored = images_below(folder / name, root)
            if not found:
                raise InputError(
                    f"class folder {folder / name} has no images" + (f" ({ignored})" if ignored else "")
                )
            left_out.append(((folder / name).relative_to(root).as_posix(), ignored))
            files += found
            labels += [index_of[_same_name(name)]] * len(found)
        indices[split] = np.arange(start, len(files))
        if absent := sorted(set(range(len(class_names))) - set(labels[start:])):
            notes.append(
                f"{folder.name} has no images of {', '.join(class_names[index] for index in absent)}"
            )
    given = {split: indices[split] for split in splits}
    return ClassFolders(
        root,
        tuple(files),
        np.array(labels, dtype=np.int64),
        class_names,
        given,
        (*notes, *sentences(left_out)),
    )


def _beside_classes(folder: Path) -> str:
    """Return a sentence on images that lie beside class folders, in none of them."""
    with os.scandir(folder) as entries:
        n_images = sum(is_readable(entry.name) and entry.is_file() for entry in entries)
    return f"{n_images} images right in {folder}, in no class folder, are ignored" if n_images else ""


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
