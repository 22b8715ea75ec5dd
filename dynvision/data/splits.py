"""Which images are in which split, and in which order they are shown. Both are functions of labels, seed and epoch only, so
that all loaders show the same.

Splits are stratified: every class gives the same part of its images to each split, at least one,

    n_test = round(test_fraction n),    n_val = round(validation_fraction (n - n_test))      for each class of n images

where halves round up. Orders of the training images:

    RANDOM         a permutation of the images
    QUASI_RANDOM   a permutation of pages, the images of PAGES_AT_ONCE pages permuted among each other: what is read
                   together lies together, on a slow disk
    SEQUENTIAL     as they lie in the file

With several processes, a batch of all of them is a stretch of this order, of which each takes an equal part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import ImagesConfig
from dynvision.data.sources import ImageSource
from dynvision.errors import InputError

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


def split_source(source: ImageSource, config: ImagesConfig) -> dict[SplitName, NDArray[np.int64]]:
    """Return the image indices of every split, ascending. Splits that the source prescribes are kept.

    Args:
        source: the images.
        config: fractions and seed of the split.

    Returns:
        Indices by split; disjoint, and together all images.

    Raises:
        InputError: a class has too few images, or the configuration has no seed.
    """
    if config.split_seed is None or config.split_seed < 0:
        given = "null" if config.split_seed is None else config.split_seed
        raise InputError(f"data.split_seed={given}: a split needs a seed of 0 or more")
    rest = source.given_splits.get("train", np.arange(len(source)))
    test, val = source.given_splits.get("test"), source.given_splits.get("val")
    _check_class_sizes(source, rest, n_needed=1 + (val is None) + (test is None))
    if test is None:
        keep = 1 if val is not None else 2
        rest, test = hold_out(rest, source.labels, config.test_fraction, keep, (config.split_seed, 0))
    if val is None:
        rest, val = hold_out(rest, source.labels, config.validation_fraction, 1, (config.split_seed, 1))
    return {"train": rest, "val": val, "test": test}


def hold_out(
    indices: NDArray[np.int64], labels: NDArray[np.int64], fraction: float, keep: int, seed: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split off a part of the images of each class.

    Args:
        indices: the images to choose from.
        labels: class of every image of the source, (N,).
        fraction: part to take, 0..1.
        keep: number of images of each class that stay at least.
        seed: of the choice; each class draws from a generator of its own.

    Returns:
        The indices that stay and the indices taken, both ascending.
    """
    taken: list[NDArray[np.int64]] = []
    for label in np.unique(labels[indices]):
        members = indices[labels[indices] == label]
        n_taken = min(max(1, math.floor(fraction * len(members) + 0.5)), len(members) - keep)
        taken.append(np.random.default_rng([*seed, int(label)]).permutation(members)[:n_taken])
    held = np.sort(np.concatenate(taken))
    return np.setdiff1d(indices, held), held


def _check_class_sizes(source: ImageSource, indices: NDArray[np.int64], n_needed: int) -> None:
    counts = np.bincount(source.labels[indices], minlength=len(source.class_names))
    for name, count in zip(source.class_names, counts, strict=True):
        if count < n_needed:
            raise InputError(
                f"class {name!r} has {count} image{'' if count == 1 else 's'} to split into training, "
                f"validation and test; at least {n_needed} are needed"
            )


PAGES_AT_ONCE = 8


def training_order(n_images: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return a permutation of the positions 0..n_images-1 for one epoch, (n_images,)."""
    return np.random.default_rng([seed, epoch]).permutation(n_images)


def quasi_random_order(n_images: int, page_images: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return a permutation of the positions 0..n_images-1 for one epoch that stays within a few pages at a time.

    Args:
        n_images: number of images.
        page_images: images that lie on one page.
        seed, epoch: of the permutation.
    """
    generator = np.random.default_rng([seed, epoch, 1])
    pages = generator.permutation(-(-n_images // page_images))
    near = [
        np.concatenate(
            [
                np.arange(page * page_images, min((page + 1) * page_images, n_images))
                for page in pages[start : start + PAGES_AT_ONCE]
            ]
        )
        for start in range(0, len(pages), PAGES_AT_ONCE)
    ]
    return np.concatenate([generator.permutation(positions) for positions in near])


def share(positions: NDArray[np.int64], batch_size: int, rank: int, n_ranks: int) -> list[NDArray[np.int64]]:
    """Return the batches of one of several processes that train together.

    All of them have as many batches of the same sizes, as their gradients are averaged: where the last batch cannot be
    divided, images from the beginning are shown a second time.

    Args:
        positions: in the order in which they are shown, (N,).
        batch_size: images a batch in each process.
        rank: of this process, 0..n_ranks-1.
        n_ranks: number of processes.
    """
    n_missing = -len(positions) % n_ranks
    positions = np.concatenate([positions, np.resize(positions, n_missing)])
    together = batch_size * n_ranks
    stretches = [positions[start : start + together] for start in range(0, len(positions), together)]
    return [np.split(stretch, n_ranks)[rank] for stretch in stretches]


def interleaved_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions round robin over the classes: the first image of each class, then the second of each, ...

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


class Order:
    """Positions within a split, by epoch.

    Args:
        n_images: number of positions.
        of_epoch: returns the positions of an epoch, (N,).

    Attributes:
        epoch: the epoch that the next pass shows.
    """

    def __init__(self, n_images: int, of_epoch: Callable[[int], NDArray[np.int64]]) -> None:
        self._n_images, self._of_epoch = n_images, of_epoch
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass. Lightning calls this before each epoch of training."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._n_images

    def positions(self) -> NDArray[np.int64]:
        """Return the positions within the split in the order of the next pass, (N,)."""
        return self._of_epoch(self.epoch)
