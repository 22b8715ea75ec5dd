"""What a conversion learns of the pixels of all images: mean and standard deviation per channel, and copies among them.

    mean = S1 / (255 N),    sd = sqrt(S2 / (255^2 N) - mean^2)        S1, S2: sums of p and p^2 over N pixels

The sums are integers, so the result does not depend on the order of the images.

Two images are copies if their stored pixels are equal. So a file that was copied is found, and one that was saved anew in
another format without loss; nearly equal images are not. An image in two splits measures nothing, one in two classes
teaches nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dynvision.data.splits import SPLITS, SplitName
from dynvision.text import first_few


class PixelStatistics:
    """Sums over the pixels seen so far."""

    def __init__(self, n_channels: int) -> None:
        self._n_pixels = 0
        self._sum = [0] * n_channels
        self._sum_of_squares = [0] * n_channels

    def add(self, image: NDArray[np.uint8]) -> None:
        """Take in one image, (H, W, C)."""
        self._n_pixels += image.shape[0] * image.shape[1]
        for channel in range(image.shape[2]):
            counts = np.bincount(image[:, :, channel].ravel(), minlength=256)
            self._sum[channel] += int(counts @ _VALUES)
            self._sum_of_squares[channel] += int(counts @ _VALUES**2)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean per channel, pixels in 0..1."""
        return tuple(total / (255 * self._n_pixels) for total in self._sum)

    @property
    def sd(self) -> tuple[float, ...]:
        """Standard deviation per channel, pixels in 0..1. Exactly 0 for a channel that never changes."""
        n = self._n_pixels
        return tuple(
            (n * squares - total**2) ** 0.5 / (255 * n)
            for total, squares in zip(self._sum, self._sum_of_squares, strict=True)
        )


_VALUES = np.arange(256, dtype=np.int64)


DIGEST_BYTES = 8  # a chance of one in ten million that two of a million images agree
SETS = {"train": "training", "val": "validation", "test": "test"}


class Copies:
    """Hashes of the images seen so far, by split."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._splits: list[int] = []
        self._indices: list[int] = []
        self._labels: list[int] = []

    def add(self, split: SplitName, index: int, label: int, image: NDArray[np.uint8]) -> None:
        """Take in one image, (H, W, C), with its index in the source and its class."""
        self._digests += hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest()
        self._splits.append(SPLITS.index(split))
        self._indices.append(index)
        self._labels.append(label)

    def n_distinct(self, split: SplitName) -> int:
        """Return the number of different images of a split."""
        return len(np.unique(self._hashes()[np.array(self._splits) == SPLITS.index(split)]))

    def sentences(self, name_of: Callable[[int], str]) -> list[str]:
        """Return a sentence for each pair of splits that share images, and one for images in several classes.

        Args:
            name_of: what to call an image, by its index in the source.
        """
        hashes, splits, labels = self._hashes(), np.array(self._splits), np.array(self._labels)
        order = np.lexsort((splits, hashes))
        starts = np.flatnonzero(np.append(True, hashes[order][1:] != hashes[order][:-1]))
        groups = [group for group in np.split(order, starts[1:]) if len(group) > 1]
        said = []
        for one, other in combinations(range(len(SPLITS)), 2):
            pairs = [
                (group[splits[group] == one][0], copy)
                for group in groups
                if one in splits[group]
                for copy in group[splits[group] == other]
            ]
            if pairs:
                sets = f"the {SETS[SPLITS[one]]} and the {SETS[SPLITS[other]]} set"
                said.append(f"{_count(len(pairs))} in {sets}: {self._named(pairs, name_of)}")
        pairs = [
            (first, copy)
            for group in groups
            for first in group[:1]
            for copy in group[labels[group] != labels[first]]
        ]
        if pairs:
            said.append(f"{_count(len(pairs))} in several classes: {self._named(pairs, name_of)}")
        return said

    def _hashes(self) -> NDArray[np.uint64]:
        return np.frombuffer(bytes(self._digests), np.uint64)

    def _named(self, pairs: list[tuple[np.int64, np.int64]], name_of: Callable[[int], str]) -> str:
        listed = [" = ".join(name_of(self._indices[position]) for position in pair) for pair in sorted(pairs)]
        return first_few(listed)


def _count(number: int) -> str:
    return f"{number:,} image{' is' if number == 1 else 's are'}"
