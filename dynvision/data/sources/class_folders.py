"""A folder of class folders: its images by class and split; as a source, and as a torch Dataset without the workflow.

    folder/cat/1.png  folder/dog/2.png  ...              one set, to be split
    folder/train/cat/1.png  ...  folder/test/dog/2.png   splits as given; folder/val may be there too

A folder of split folders has ``train`` and ``test``, and perhaps ``val``, in one of their spellings in any case, with the
same class folders in each. Every other folder of folders is one set, whose folders are the classes. What can mean two
things is an error that states what to rename.
"""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dynvision.config.data import DATASETS, FOLDER_PREFIX, DataConfig, ImagesConfig
from dynvision.config.transforms import PRESETS as TRANSFORMS
from dynvision.config.transforms import resolve_transform
from dynvision.data.images import images_below, is_readable, sentences
from dynvision.data.sources import ImageSource, register
from dynvision.data.sources.files import ClassFolders, FileSource
from dynvision.data.transform import Transform
from dynvision.errors import InputError, unknown_name
from dynvision.text import first_few

logger = logging.getLogger(__name__)

SPELLINGS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
# Words in names such as train2017, test_set or imagesVal, which look like splits without being known spellings.
WORDS = {
    **{word: split for split, words in SPELLINGS.items() for word in words},
    **{f"{word}set": split for split, words in SPELLINGS.items() for word in words},
    "evaluation": "test", "eval": "test", "holdout": "test", "unlabeled": "test", "unlabelled": "test",
}  # fmt: skip
NO_FOLDERS = ("__MACOSX", "@eaDir")  # of archives and of network storage


def subfolders(folder: Path) -> list[str]:
    """Return the names of the visible folders in a folder, sorted."""
    with os.scandir(folder) as entries:  # which knows folders without asking for each file
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".") and entry.name not in NO_FOLDERS
        )


def given_split_folders(root: Path) -> dict[str, Path]:
    """Return the folders of the splits by ``train``, ``val`` and ``test``, in this order; none where there is one set.

    Raises:
        InputError: a split is there twice or is missing, or a folder may be a split or a class.
    """
    folders = subfolders(root)
    inner = {name: set(subfolders(root / name)) for name in folders}
    split_of = {name: split for name in folders if (split := _split_of(name))}
    others = [name for name in folders if name not in split_of]
    if not any(inner[name] for name in split_of):
        _check_one_set(root, split_of, inner)
        return {}
    others = [name for name in others if _holds_files(root / name)]
    if others:
        raise InputError(
            f"data folder {root} has folders of splits, {_listed(split_of)}, and beside them {_listed(others)}; name a "
            f"split train, val or test, and move what is none elsewhere; if {_listed(split_of)} are classes, rename them"
        )
    for split in SPELLINGS:
        same = [name for name, own in split_of.items() if own == split]
        if len(same) > 1:
            raise InputError(
                f"data folder {root} has {_listed(same)}, all of which stand for {split}; put their images into one of them"
            )
    for name in split_of:
        if not inner[name]:
            holds = "images without class folders" if _holds_files(root / name) else "nothing"
            raise InputError(
                f"the folder {root / name} holds {holds}, where {_listed(n for n in split_of if inner[n])} beside it has "
                f"class folders; sort its images into class folders, or move {name} elsewhere"
            )
    found = {split: name for name, split in split_of.items()}
    if "train" not in found:
        raise InputError(
            f"data folder {root} has {_listed(split_of)}, but no train folder; give folder:{root / next(iter(split_of))} "
            "for the images of one folder, which are then split"
        )
    if "test" not in found:
        raise InputError(
            f"data folder {root} has a train folder with class folders, but no test folder beside it; "
            + (
                f"rename its {found['val']} folder to test (validation images are then taken from train)"
                if "val" in found
                else f"give folder:{root / found['train']}, and its images are split"
            )
        )
    return {split: root / found[split] for split in SPELLINGS if split in found}


def _check_one_set(root: Path, split_of: dict[str, str], inner: dict[str, set[str]]) -> None:
    """Check that folders are classes: that they do not look like splits."""
    if split_of and len(split_of) == len(inner):
        raise InputError(
            f"the folder{'s' if len(inner) > 1 else ''} {_listed(inner)} of {root} hold{'' if len(inner) > 1 else 's'} no "
            "class folders; put the images of each class into a folder"
        )
    looks = {name: split for name in inner if (split := _looks_like(name))}
    # A single folder `train` among others is the class of trains; any other spelling of a split is no name of a thing.
    asked = [name for name in split_of if name.casefold() != "train"]
    if asked or len(set(looks.values())) > 1:
        raise InputError(
            f"data folder {root}: {_listed(asked or looks)} may be splits or classes; name splits train, val and test, "
            "with the same class folders in each, and give classes other names"
        )
    owner: dict[str, str] = {}
    for name in inner:
        one = next((owner[folder] for folder in sorted(inner[name]) if folder in owner), None)
        if one is not None and max(len(inner[one]), len(inner[name])) > 1:
            raise InputError(
                f"data folder {root}: {one} and {name} both hold {_listed(sorted(inner[one] & inner[name]))}, so they "
                f"may be splits or classes; name splits train, val and test, or, if {one} and {name} are classes, put "
                "their images right into them"
            )
        owner.update({folder: name for folder in inner[name] if folder not in owner})


def _split_of(name: str) -> str | None:
    """Return the split that a folder's name stands for, in any case."""
    return next((split for split, words in SPELLINGS.items() if name.casefold() in words), None)


def _looks_like(name: str) -> str | None:
    """Return the split that a word in a folder's name stands for."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
    return next((WORDS[word] for word in words if word in WORDS), None)


def _holds_files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))


def _listed(names: Iterable[str]) -> str:
    return first_few(map(repr, names))


def list_class_folders(root: str | Path) -> ClassFolders:
    """List a folder of class folders. Files that are no images are ignored, and `notes` states which.

    Raises:
        InputError: the folder is missing or empty, has no class folders, has only one, one of them has no images, or what
            its folders stand for cannot be given.
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
    notes = [note for folder in dict.fromkeys([root, *parts.values()]) if (note := _beside_classes(folder))]
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
    count = "1 image" if n_images == 1 else f"{n_images} images"
    are = "is" if n_images == 1 else "are"
    return f"{count} right in {folder}, in no class folder, {are} ignored" if n_images else ""


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


@register("folder")
class FolderSource(FileSource):
    """``folder:<path>``; classes are the sorted names of the folders."""

    def __init__(self, config: ImagesConfig) -> None:
        super().__init__(config, list_class_folders(config.name.removeprefix(FOLDER_PREFIX).strip()))


PRESETS: tuple[str, ...] = tuple(
    name for name in TRANSFORMS if name.rpartition("_")[0] in DATASETS and name.endswith(("_train", "_test"))
)


def find_preset(name: str) -> tuple[DataConfig, Transform]:
    """Return a preset by name, e.g. ``cifar10_train``: the images that it wants, and what it does to them.

    Raises:
        InputError: the name is not known.
    """
    if name not in PRESETS:
        raise unknown_name("data transform", name, PRESETS, key="data_transform")
    config = DataConfig(name=name.rpartition("_")[0])
    facts = DATASETS[config.name]
    operations = resolve_transform(name, "data_transform")
    return config, Transform(operations, config.resolution, facts.mean, facts.sd)


class FolderDataset(Dataset[tuple[Tensor, int]]):
    """Images of a source, read when they are asked for. Random choices follow torch's seed.

    Attributes:
        classes: names of the classes, by class index.
        labels: class index of every image, (N,).
    """

    def __init__(self, source: ImageSource, transform: Transform) -> None:
        self._source = source
        self._transform = transform
        self.classes = source.class_names
        self.labels = source.labels

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels, label = self._source[index]
        draw = int(torch.randint(2**62, ())) if self._transform.operations else 0
        return self._transform(torch.from_numpy(pixels)[None], np.array([index]), draw)[0], label


def get_dataset(path: str | Path, data_transform: str) -> FolderDataset:
    """Return a torch Dataset over a folder of class folders: ``(image, class index)`` by index.

    Args:
        path: the folder; ``path/cat/1.png``, ``path/dog/2.png``, ...
        data_transform: name of a preset, e.g. ``"cifar10_train"``.

    Returns:
        Images float32 (C, H, W), normalised; classes in the order of the sorted folder names.

    Raises:
        InputError: the folder cannot be used or the name is not known; on access, an image cannot be read.
    """
    config, transform = find_preset(data_transform)
    folders = list_class_folders(path)
    if folders.given_splits:
        first = [folders.files[indices[0]] for indices in folders.given_splits.values()]
        choices = " or ".join(str(folders.root / file.split("/")[0]) for file in first)
        raise InputError(f"data folder {folders.root} holds several splits; give one of them: {choices}")
    for note in folders.notes:
        logger.warning("%s: %s", folders.root, note)
    return FolderDataset(FileSource(config, folders), transform)
