"""What every source of images offers, and the registry of sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import ImagesConfig
from dynvision.errors import taken_name


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
        """Pixels (H, W, C) in 0..255, and the class index.

        Raises:
            InputError: the image cannot be read.
        """

    def image_name(self, index: int) -> str:
        """What to call an image in a message."""
        return f"image {index}"

    @abstractmethod
    def sha256(self) -> str:
        """A hash of what the source holds: it changes when an image is added, removed, renamed or edited."""


SOURCES: dict[str, Callable[[ImagesConfig], ImageSource]] = {}


def register(
    *names: str,
) -> Callable[[Callable[[ImagesConfig], ImageSource]], Callable[[ImagesConfig], ImageSource]]:
    """Register a source under one or several names: a class or function that makes it from an `ImagesConfig`.

    Raises:
        InputError: a name is taken.
    """

    def add(make: Callable[[ImagesConfig], ImageSource]) -> Callable[[ImagesConfig], ImageSource]:
        for name in names:
            if name in SOURCES:
                raise taken_name("data set", name)
            SOURCES[name] = make
        return make

    return add
