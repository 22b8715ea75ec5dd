"""The data of one run, for Lightning and for experiments."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch

from dynvision.config.data import DataConfig
from dynvision.config.training import LoaderName
from dynvision.config.transforms import Classes
from dynvision.data.loader import ImageLoader, MemoryLoader, Reading, TorchLoader
from dynvision.data.manifest import Manifest, read_manifest, remedy
from dynvision.data.sources import ImageSource, open_source
from dynvision.data.splits import SPLITS, SplitName
from dynvision.data.storage import check_betons, check_ffcv, ffcv_failure
from dynvision.errors import InputError

logger = logging.getLogger(__name__)
MEMORY_BYTES = 512 * 2**20  # data of up to this size are kept in memory: CIFAR takes 176 MiB


class DataModule(pl.LightningDataModule):
    """Loaders of a data folder. What they read is checked against the manifest here, before any training starts.

    Under a trainer, batches come on its device, and its processes share the training images.

    Args:
        folder: the data folder that `convert_dataset` wrote.
        config: what the data must be, and how they are shown; None takes what is there.
        batch_size: images per batch, of every split.
        loader: ``ffcv``, ``torch``, ``memory``, or ``auto`` for memory where the data are small, else FFCV where it is
            installed and the data was written for it, else torch.
        num_workers: threads that read ahead, for the torch loader; 0 reads when an image is asked for.
        seed: of the order of the training images, where epoch k shows the permutation of (seed, k), and of their
            augmentation.

    Raises:
        InputError: the data folder is incomplete, damaged or of other data, the source has changed, or FFCV is asked
            for and cannot be imported.
    """

    def __init__(
        self,
        folder: str | Path,
        config: DataConfig | None = None,
        batch_size: int = 32,
        loader: LoaderName = "auto",
        num_workers: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size} must be at least 1")
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(folder, config)
        self.config = config
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.loader: Literal["ffcv", "torch", "memory"] = self._choose(loader)
        self._loaders: dict[SplitName, ImageLoader] = {}
        # Memory reads FFCV files where they are: the source is then neither opened nor hashed, and need not be there.
        reads_betons = self.loader == "ffcv" or (self.loader == "memory" and self._has_betons)
        if reads_betons:
            check_betons(folder, self.manifest)
        self._source = None if reads_betons else self._checked_source()

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {split}" for split, count in self.manifest.counts.items())
        return (
            f"{self.manifest.source} ({counts} images of {self.n_classes} classes), read with {self.loader}"
        )

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.manifest.n_classes

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image, (C, H, W)."""
        return self.manifest.input_shape

    def train_dataloader(self) -> ImageLoader:
        """Return the training images, in another order in each epoch; each of several processes has its own part."""
        return self._split_loader("train")

    def val_dataloader(self) -> ImageLoader:
        """Return the validation images, in the order of their indices."""
        return self._split_loader("val")

    def test_dataloader(self, classes: Classes = ()) -> ImageLoader:
        """Return the test images, round robin over the classes; their indices are the loader's ``image_indices``.

        Args:
            classes: of these classes only, by name or by index in the data set; labels stay those of the training.

        Raises:
            InputError: there is no such class.
        """
        if not classes:
            return self._split_loader("test")
        return self._make_loader("test", replace(self._reading(), classes=classes))

    def _split_loader(self, split: SplitName) -> ImageLoader:
        if split not in self._loaders:  # once, since FFCV compiles for each loader
            self._loaders[split] = self._make_loader(split, self._reading())
        return self._loaders[split]

    def _make_loader(self, split: SplitName, reading: Reading) -> ImageLoader:
        if self.loader == "ffcv":
            from dynvision.data.ffcv_files import FFCVLoader

            return FFCVLoader(self.manifest, self.folder, split, reading)
        if self.loader == "memory":
            return MemoryLoader(self.manifest, self._source, split, reading, self.folder)
        assert self._source is not None
        return TorchLoader(self.manifest, self._source, split, reading, self.num_workers)

    def _reading(self) -> Reading:
        if self.trainer is None:
            return Reading(self.batch_size, self.seed, config=self.config)
        return Reading(
            self.batch_size,
            self.seed,
            torch.device(self.trainer.strategy.root_device),
            self.trainer.global_rank,
            self.trainer.world_size,
            self.config,
        )

    @property
    def _has_betons(self) -> bool:
        return any(self.manifest.split(split).beton is not None for split in SPLITS)

    def _choose(self, loader: LoaderName) -> Literal["ffcv", "torch", "memory"]:
        if loader == "ffcv":
            check_ffcv()
        if loader != "auto":
            return loader
        if sum(self.manifest.counts.values()) * self.manifest.config.image_bytes <= MEMORY_BYTES:
            return "memory"
        if self._has_betons and ffcv_failure() is None:
            return "ffcv"
        reason = (
            f"FFCV cannot be imported here ({ffcv_failure()})"
            if self._has_betons
            else "it was converted without FFCV"
        )
        logger.warning("%s is read with the torch loader, since %s", self.folder, reason)
        return "torch"

    def _checked_source(self) -> ImageSource:
        source = open_source(self.manifest.config)
        if source.sha256() != self.manifest.source_sha256:
            raise InputError(
                f"the images of {self.manifest.source} have changed since conversion; {remedy(self.folder)}"
            )
        return source
