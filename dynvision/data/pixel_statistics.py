"""Mean and standard deviation of pixels, per channel, accumulated image by image.

    mean = S1 / (255 N),    sd = sqrt(S2 / (255^2 N) - mean^2)        S1, S2: sums of p and p^2 over N pixels

The sums are integers, so the result does not depend on the order of the images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
