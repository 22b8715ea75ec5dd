"""Sources of images: what each offers, the registry, and a source of which only some classes are seen.

    label = rank of the class' index among the chosen indices

so that labels do not depend on the names of folders or on the order in which the classes are listed. The files of this
folder register their sources; the registry imports them at the first look-up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import FOLDER_PREFIX, ImagesConfig
from dynvision.config.transforms import Classes
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry
from dynvision.text import first_few


class ImageSource(ABC):
    """Images of one size with their classes, by index. Threads may read from it at once.

    Attributes:
        labels: class index of every image, (N,).
        class_names: name of every class, in the order of the class indices.
        given_splits: image indices of splits that the source itself prescribes, by ``train``, ``val``, ``test``;
            empty where it prescribes none.
        notes: sentences on what of it is not used, for the user.
        root: the folder with its images, where they are files.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    given_splits: dict[str, NDArray[np.int64]]
    notes: tuple[str, ...] = ()
    root: Path | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """Return the pixels, (H, W, C) in 0..255, and the class index.

        Raises:
            InputError: the image cannot be read.
        """

    def image_name(self, index: int) -> str:
        """Return the name of an image in messages."""
        return f"image {index}"

    @abstractmethod
    def sha256(self) -> str:
        """Return a hash of the source, which changes when an image is added, removed, renamed or edited."""


SOURCES: Registry[Callable[[ImagesConfig], ImageSource]] = Registry(
    "data set", key="data_name", package="dynvision.data.sources"
)


def register(
    *names: str,
) -> Callable[[Callable[[ImagesConfig], ImageSource]], Callable[[ImagesConfig], ImageSource]]:
    """Register a source under one or several names: a class or function that makes it from an `ImagesConfig`.

    Raises:
        InputError: a name is taken.
    """

    def add(make: Callable[[ImagesConfig], ImageSource]) -> Callable[[ImagesConfig], ImageSource]:
        for name in names:
            SOURCES.add(name, make)
        return make

    return add


NAMED = 20  # classes that a sentence names


def class_indices(classes: Classes, class_names: tuple[str, ...], where: str) -> NDArray[np.int64]:
    """Return the ascending indices of classes that are given by index or by name.

    Raises:
        InputError: there is no such class, or one is given twice.
    """
    indices = []
    for name in classes:
        if isinstance(name, int) and name >= len(class_names):
            raise InputError(f"{where}: there is no class {name}; the last one is {len(class_names) - 1}")
        if isinstance(name, str) and name not in class_names:
            raise unknown_name("class", name, class_names, key=where)
        indices.append(name if isinstance(name, int) else class_names.index(name))
    if len(set(indices)) < len(indices):
        twice = next(index for index in indices if indices.count(index) > 1)
        raise InputError(
            f"{where}: class {class_names[twice]!r} is given twice, by its name and by its index"
        )
    return np.array(sorted(indices), dtype=np.int64)


def check_numbers(classes: Classes, class_names: tuple[str, ...], where: str) -> None:
    """Check that no number is the index of one class and the name of another.

    Raises:
        InputError: it is both.
    """
    for name in classes:
        if isinstance(name, int) and str(name) in class_names and class_names.index(str(name)) != name:
            other = f", named {class_names[name]!r}" if name < len(class_names) else ", which is not there"
            raise InputError(
                f"{where}: {name} may be the class named {str(name)!r} or the class of index {name}{other}; write the name "
                f'in quotes, "{name}"' + (f' or "{class_names[name]}"' if name < len(class_names) else "")
            )


def taken_classes(chosen: NDArray[np.int64], class_names: tuple[str, ...]) -> str:
    """Return how many classes are chosen, and which, by index and name."""
    listed = first_few((f"{index} {class_names[index]}" for index in chosen), NAMED)
    return f"{len(chosen)} of {len(class_names)} classes, by index and name: {listed}"


class SelectedClasses(ImageSource):
    """The images of some classes of a source, in its order.

    Args:
        source: all images.
        classes: the chosen ones, by index or name.

    Raises:
        InputError: there is no such class.
    """

    def __init__(self, source: ImageSource, classes: Classes) -> None:
        check_numbers(classes, source.class_names, "data.group")
        chosen = class_indices(classes, source.class_names, "data.group")
        self._source = source
        self.notes = (*source.notes, f"data.group takes {taken_classes(chosen, source.class_names)}")
        self.root = source.root
        self._positions = np.flatnonzero(np.isin(source.labels, chosen))
        self.labels = np.searchsorted(chosen, source.labels[self._positions]).astype(np.int64)
        self.class_names = tuple(source.class_names[index] for index in chosen)
        self.given_splits = {
            split: np.flatnonzero(np.isin(self._positions, indices))
            for split, indices in source.given_splits.items()
        }

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        image, _ = self._source[int(self._positions[index])]
        return image, int(self.labels[index])

    def image_name(self, index: int) -> str:
        return self._source.image_name(int(self._positions[index]))

    def sha256(self) -> str:
        return self._source.sha256()


def open_source(config: ImagesConfig) -> ImageSource:
    """Open the source that a configuration names: the classes of its group, at its stored size and number of channels.

    Raises:
        InputError: the name is unknown, there is nothing usable in the folder, or a class is not there.
    """
    name = FOLDER_PREFIX.rstrip(":") if config.name.startswith(FOLDER_PREFIX) else config.name
    source = SOURCES[name](config)
    return SelectedClasses(source, config.group) if config.group else source
