"""``folder:<path>``: a folder of class folders with images in any format that Pillow reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import FOLDER_PREFIX, DataConfig
from dynvision.data.class_folders import list_class_folders
from dynvision.data.images import fit_image, read_image
from dynvision.data.sources.source import ImageSource, register
from dynvision.errors import InputError

FULL_HASH_BYTES = (
    256 * 2**20
)  # up to here the hash covers the files' contents, above it their names and sizes


@register("folder")
class FolderSource(ImageSource):
    """Images are read when they are asked for: shorter side to the resolution, then the central square."""

    def __init__(self, config: DataConfig) -> None:
        listed = list_class_folders(config.name.removeprefix(FOLDER_PREFIX).strip())
        self._root = listed.root
        self._files = listed.files
        self._resolution = config.resolution
        self._n_channels = config.n_channels
        self.labels = listed.labels
        self.class_names = listed.class_names
        self.given_splits = listed.given_splits

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        image = read_image(self.path(index), self._n_channels)
        return fit_image(image, self._resolution), int(self.labels[index])

    def path(self, index: int) -> Path:
        """The file of an image."""
        return self._root / self._files[index]

    def sha256(self) -> str:
        paths = [self.path(index) for index in range(len(self))]
        try:
            sizes = [path.stat().st_size for path in paths]
            in_full = sum(sizes) <= FULL_HASH_BYTES
            digest = hashlib.sha256()
            for name, path, size in zip(self._files, paths, sizes, strict=True):
                digest.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
                if in_full:
                    digest.update(path.read_bytes())
        except FileNotFoundError as error:
            raise InputError(f"image {error.filename} disappeared while it was being read") from None
        return digest.hexdigest()
