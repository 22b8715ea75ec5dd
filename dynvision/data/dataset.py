"""A folder of class folders as a torch Dataset, for use without the workflow, and the presets that it can show."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dynvision.config.data import DATASETS, DataConfig
from dynvision.config.transforms import PRESETS as TRANSFORMS
from dynvision.config.transforms import resolve_transform
from dynvision.data.class_folders import ClassFolders, list_class_folders
from dynvision.data.images import fit_image, read_image
from dynvision.data.transform import Transform
from dynvision.errors import InputError, unknown_name

PRESETS: tuple[str, ...] = tuple(
    name for name in TRANSFORMS if name.rpartition("_")[0] in DATASETS and name.endswith(("_train", "_test"))
)


def find_preset(name: str) -> tuple[DataConfig, Transform]:
    """A preset by name, e.g. ``cifar10_train``: the images that it wants, and what it does to them.

    Raises:
        InputError: the name is not known.
    """
    if name not in PRESETS:
        raise unknown_name("data transform", name, PRESETS, key="data_transform")
    config = DataConfig(name=name.rpartition("_")[0])
    facts = DATASETS[config.name]
    operations = resolve_transform(name, "data_transform")
    return config, Transform(operations, config.resolution, facts.mean, facts.sd)


logger = logging.getLogger(__name__)


class FolderDataset(Dataset[tuple[Tensor, int]]):
    """Images of a folder of class folders, read when they are asked for. Random choices follow torch's seed.

    Attributes:
        classes: names of the classes, by class index.
        labels: class index of every image, (N,).
    """

    def __init__(self, folders: ClassFolders, config: DataConfig, transform: Transform) -> None:
        self._folders = folders
        self._config = config
        self._transform = transform
        self.classes = folders.class_names
        self.labels = folders.labels

    def __len__(self) -> int:
        return len(self._folders.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self._folders.root / self._folders.files[index]
        image = read_image(path, self._config.n_channels, self._config.transparent_ground)
        pixels = torch.from_numpy(fit_image(image, self._config.stored_size))
        draw = int(torch.randint(2**62, ())) if self._transform.operations else 0
        return self._transform(pixels[None], np.array([index]), draw)[0], int(self.labels[index])


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
    config, transform = find_preset(data_transform)
    folders = list_class_folders(path)
    if folders.given_splits:
        first = [folders.files[indices[0]] for indices in folders.given_splits.values()]
        choices = " or ".join(str(folders.root / file.split("/")[0]) for file in first)
        raise InputError(f"data folder {folders.root} holds several splits; give one of them: {choices}")
    for note in folders.notes:
        logger.warning("%s: %s", folders.root, note)
    return FolderDataset(folders, config, transform)
