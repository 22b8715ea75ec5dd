"""Stratified splits: every class gives the same part of its images to each split.

    n_test = round(test_fraction n),    n_val = round(validation_fraction (n - n_test))      for each class of n images

with at least one image of each class in each split. Halves round up. The split depends on the labels, the fractions
and the seed only, so all loaders see the same one.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import ImagesConfig
from dynvision.data.sources.source import ImageSource
from dynvision.errors import InputError

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


def split_source(source: ImageSource, config: ImagesConfig) -> dict[SplitName, NDArray[np.int64]]:
    """Image indices of every split, ascending. Splits that the source prescribes are kept.

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
    """Take a part of the images of each class out.

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
