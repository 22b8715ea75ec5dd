"""The 1,797 handwritten digits of scikit-learn: 8 x 8 pixels with values 0..16, bilinearly enlarged.

    p = round(255 / 16 * v)        v: value at the new resolution, interpolated before rounding

Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynvision.config.data import ImagesConfig
from dynvision.data.sources.source import ImageSource, register

LARGEST_VALUE = 16.0


@register("digits")
class DigitsSource(ImageSource):
    """Ten classes, 174 to 183 images each; white on black."""

    def __init__(self, config: ImagesConfig) -> None:
        from sklearn.datasets import load_digits

        bundled = load_digits()
        self._values = np.ascontiguousarray(bundled.images, dtype=np.float32)  # (N, 8, 8), 0..16
        self._size = config.stored_size
        self._n_channels = config.n_channels
        self.labels = bundled.target.astype(np.int64)
        self.class_names = tuple(str(name) for name in bundled.target_names)
        self.given_splits = {}

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        size = (self._size, self._size)
        enlarged = Image.fromarray(self._values[index]).resize(size, Image.Resampling.BILINEAR)
        pixels = np.rint(np.asarray(enlarged) * (255 / LARGEST_VALUE)).astype(np.uint8)
        return np.repeat(pixels[:, :, None], self._n_channels, axis=2), int(self.labels[index])

    def sha256(self) -> str:
        return hashlib.sha256(self._values.tobytes() + self.labels.tobytes()).hexdigest()
