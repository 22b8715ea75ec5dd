"""The order in which images are shown. It is a function of seed and epoch, and the same for every loader."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray


def training_order(n_images: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Permutation of the positions 0..n_images-1 for one epoch, (n_images,)."""
    return np.random.default_rng([seed, epoch]).permutation(n_images)


def interleaved_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions ordered round robin over the classes: the first image of each class, then the second of each, ...

    Of any two classes that still have images, the counts in any prefix differ by one at most.

    Args:
        labels: class of every image, (N,).

    Returns:
        Permutation of the positions 0..N-1, (N,).
    """
    rank = np.empty(len(labels), dtype=np.int64)  # how many images of the same class come before
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[members] = np.arange(len(members))
    return np.lexsort((labels, rank))


class Order(ABC):
    """Positions within a split, by epoch.

    Attributes:
        epoch: the epoch that the next pass shows.
    """

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass. Lightning calls this before each epoch of training."""
        self.epoch = epoch

    @abstractmethod
    def positions(self) -> NDArray[np.int64]:
        """Positions within the split in the order of the next pass, (N,)."""


class ShuffledOrder(Order):
    """Another permutation in each epoch."""

    def __init__(self, n_images: int, seed: int) -> None:
        super().__init__()
        self._n_images = n_images
        self._seed = seed

    def positions(self) -> NDArray[np.int64]:
        return training_order(self._n_images, self._seed, self.epoch)


class FixedOrder(Order):
    """The same order in each epoch."""

    def __init__(self, positions: NDArray[np.int64]) -> None:
        super().__init__()
        self._positions = positions

    def positions(self) -> NDArray[np.int64]:
        return self._positions
