"""What every source of images offers, and the registry of sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import FOLDER_PREFIX, DataConfig
from dynvision.errors import unknown_name


class ImageSource(ABC):
    """Images of one size with their classes, by index. Picklable, so that worker processes can read from it.

    Attributes:
        labels: class index of every image, (N,).
        class_names: name of every class, in the order of the class indices.
        given_splits: image indices of splits that the source itself prescribes, by ``train``, ``val``, ``test``;
            empty where it prescribes none.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    given_splits: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """Pixels (H, W, C) in 0..255, and the class index.

        Raises:
            InputError: the image cannot be read.
        """

    @abstractmethod
    def sha256(self) -> str:
        """A hash of what the source holds: it changes when an image is added, removed, renamed or edited."""


SOURCES: dict[str, Callable[[DataConfig], ImageSource]] = {}


def register(
    name: str,
) -> Callable[[Callable[[DataConfig], ImageSource]], Callable[[DataConfig], ImageSource]]:
    """Register a source: a class or function that makes an `ImageSource` from a `DataConfig`."""

    def add(make: Callable[[DataConfig], ImageSource]) -> Callable[[DataConfig], ImageSource]:
        if name in SOURCES:
            raise ValueError(f"source {name!r} is registered twice")
        SOURCES[name] = make
        return make

    return add


def open_source(config: DataConfig) -> ImageSource:
    """The source that a configuration names, at its resolution and number of channels.

    Raises:
        InputError: the name is unknown, or there is nothing usable in the folder.
    """
    name = FOLDER_PREFIX.rstrip(":") if config.name.startswith(FOLDER_PREFIX) else config.name
    if name not in SOURCES:
        raise unknown_name("data set", name, SOURCES, key="data_name")
    return SOURCES[name](config)
