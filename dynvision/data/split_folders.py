"""Which folders of a data folder are splits: those named so, in any case; what can mean two things is asked about.

A folder of split folders has ``train`` and ``test``, and perhaps ``val``, in one of their spellings, with the same class
folders in each. Every other folder of folders is one set, whose folders are the classes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from dynvision.errors import InputError

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
NAMED = 3  # folders that a message names
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
    listed = [repr(name) for name in names]
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
