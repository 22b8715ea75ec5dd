"""A source whose images are files, read when they are asked for; ``folder:<path>`` is one of class folders."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynvision.config.data import FOLDER_PREFIX, ImagesConfig
from dynvision.data.class_folders import list_class_folders
from dynvision.data.images import fit_image, read_image
from dynvision.data.sources.source import ImageSource, register
from dynvision.errors import InputError

FULL_HASH_BYTES = (
    256 * 2**20
)  # up to here the hash covers the files' contents, above it their names and sizes


class FileSource(ImageSource):
    """Shorter side to the stored size, then the central square.

    Args:
        config: size and channels of the images that are given out.
        root: a folder.
        files: the images below it, with ``/``.
        labels: class index of each, (N,).
        class_names: by class index.
        given_splits: image indices by split.
        notes: sentences on what of the folder is not used.
    """

    def __init__(
        self,
        config: ImagesConfig,
        root: Path,
        files: tuple[str, ...],
        labels: NDArray[np.int64],
        class_names: tuple[str, ...],
        given_splits: dict[str, NDArray[np.int64]],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.root = self._folder = root
        self._files = files
        self._size = config.stored_size
        self._n_channels = config.n_channels
        self._ground = config.transparent_ground
        self.labels = labels
        self.class_names = class_names
        self.given_splits = given_splits
        self.notes = notes

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        image = read_image(self.path(index), self._n_channels, self._ground)
        return fit_image(image, self._size), int(self.labels[index])

    def path(self, index: int) -> Path:
        """The file of an image."""
        return self._folder / self._files[index]

    def image_name(self, index: int) -> str:
        return self._files[index]

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


@register("folder")
class FolderSource(FileSource):
    """Classes are the sorted names of the folders."""

    def __init__(self, config: ImagesConfig) -> None:
        listed = list_class_folders(config.name.removeprefix(FOLDER_PREFIX).strip())
        super().__init__(
            config,
            listed.root,
            listed.files,
            listed.labels,
            listed.class_names,
            listed.given_splits,
            listed.notes,
        )
