"""A source whose images are one array in memory, as those of MNIST and CIFAR are."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynvision.config.data import ImagesConfig
from dynvision.data.images import fit_image
from dynvision.data.sources.source import ImageSource
from dynvision.functional.pixels import MODES


class ArraySource(ImageSource):
    """Training images first, then test images.

    Args:
        config: size and channels of the images that are given out.
        train, test: pixels, (N, H, W) or (N, H, W, 3), and labels, (N,), of each.
        class_names: by class index.
    """

    def __init__(
        self,
        config: ImagesConfig,
        train: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        test: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        class_names: tuple[str, ...],
    ) -> None:
        self._pixels = np.concatenate([train[0], test[0]])
        self._size = config.stored_size
        self._n_channels = config.n_channels
        self.labels = np.concatenate([train[1], test[1]]).astype(np.int64)
        self.class_names = class_names
        n_train, n_all = len(train[1]), len(self.labels)
        self.given_splits = {"train": np.arange(n_train), "test": np.arange(n_train, n_all)}

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        pixels, label = self._pixels[index], int(self.labels[index])
        as_asked_for = (self._size, self._size, self._n_channels)
        if pixels.shape in (as_asked_for, as_asked_for[: 3 - (self._n_channels == 1)]):
            return pixels.reshape(as_asked_for).copy(), label
        image = Image.fromarray(pixels).convert(MODES[self._n_channels])
        return fit_image(image, self._size), label

    def sha256(self) -> str:
        return hashlib.sha256(self._pixels.tobytes() + self.labels.tobytes()).hexdigest()
