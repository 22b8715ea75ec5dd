"""A folder of class folders as a torch Dataset, for use without the workflow."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from dynvision.data.class_folders import ClassFolders, list_class_folders
from dynvision.data.images import read_image
from dynvision.data.presets import Preset, find_preset
from dynvision.errors import InputError


class FolderDataset(Dataset[tuple[Tensor, int]]):
    """Images of a folder of class folders, read when they are asked for.

    Attributes:
        classes: names of the classes, by class index.
        labels: class index of every image, (N,).
    """

    def __init__(self, folders: ClassFolders, preset: Preset) -> None:
        self._folders = folders
        self._preset = preset
        self.classes = folders.class_names
        self.labels = folders.labels

    def __len__(self) -> int:
        return len(self._folders.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self._folders.root / self._folders.files[index]
        return self._preset(read_image(path, self._preset.n_channels)), int(self.labels[index])


def get_dataset(path: str | Path, data_transform: str) -> FolderDataset:
    """A torch Dataset over a folder of class folders: ``(image, class index)`` by index.

    Args:
        path: the folder; ``path/cat/1.png``, ``path/dog/2.png``, ...
        data_transform: name of a preset, e.g. ``"cifar10_train"``.

    Returns:
        Images float32 (C, H, W), normalised; classes in the order of the sorted folder names.

    Raises:
        InputError: the folder cannot be used or the name is not known; on access, an image cannot be read.
    """
    preset = find_preset(data_transform)
    folders = list_class_folders(path)
    if folders.given_splits:
        choices = " or ".join(str(folders.root / split) for split in folders.given_splits)
        raise InputError(f"data folder {folders.root} holds several splits; give one of them: {choices}")
    return FolderDataset(folders, preset)
