"""The data of one run, for Lightning and for experiments."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl

from dynvision.config.data import DataConfig
from dynvision.data.beton_check import check_betons
from dynvision.data.ffcv_import import use_ffcv
from dynvision.data.loader import ImageLoader
from dynvision.data.manifest import Manifest, anew, read_manifest
from dynvision.data.sources import ImageSource, open_source
from dynvision.data.splits import SPLITS, SplitName
from dynvision.data.torch_loader import TorchLoader
from dynvision.errors import InputError

logger = logging.getLogger(__name__)


class DataModule(pl.LightningDataModule):
    """Loaders of a data folder. What they read is checked against the manifest here, before any training starts.

    Args:
        folder: the data folder that `convert_dataset` wrote.
        config: what the data must be; None takes what is there.
        batch_size: images per batch, of every split.
        loader: ``ffcv``, ``torch``, or ``auto`` for FFCV where it is installed and the data was written for it.
        num_workers: processes that read, for the torch loader where a split does not fit in memory.
        seed: of the order of the training images; epoch k shows the permutation of (seed, k).

    Raises:
        InputError: the data folder is incomplete, damaged or of other data, the source has changed, or FFCV is asked
            for and cannot be imported.
    """

    def __init__(
        self,
        folder: str | Path,
        config: DataConfig | None = None,
        batch_size: int = 32,
        loader: Literal["auto", "ffcv", "torch"] = "auto",
        num_workers: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size} must be at least 1")
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(folder, config)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self._loaders: dict[SplitName, ImageLoader] = {}
        self._source: ImageSource | None = None
        if self._choose_ffcv(loader):
            check_betons(folder, self.manifest)
        else:
            self._source = self._checked_source()

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {split}" for split, count in self.manifest.counts.items())
        return (
            f"{self.manifest.source} ({counts} images of {self.n_classes} classes), read with {self.loader}"
        )

    @property
    def loader(self) -> Literal["ffcv", "torch"]:
        """The loader in use."""
        return "ffcv" if self._source is None else "torch"

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.manifest.n_classes

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image, (C, H, W)."""
        return self.manifest.input_shape

    def train_dataloader(self) -> ImageLoader:
        """Training images, shuffled anew in each epoch.

        Raises:
            InputError: training runs in several processes, which would all be shown the same images.
        """
        if self.trainer is not None and self.trainer.world_size > 1:
            raise InputError(
                f"training on {self.trainer.world_size} devices is not possible; use one (devices=1)"
            )
        return self._split_loader("train")

    def val_dataloader(self) -> ImageLoader:
        """Validation images, in the order of their indices."""
        return self._split_loader("val")

    def test_dataloader(self) -> ImageLoader:
        """Test images, round robin over the classes; ``image_indices`` of the loader tells which image is which."""
        return self._split_loader("test")

    def _split_loader(self, split: SplitName) -> ImageLoader:
        if split not in self._loaders:  # once, since FFCV compiles for each loader
            if self._source is not None:
                self._loaders[split] = TorchLoader(
                    self.manifest, self._source, split, self.batch_size, self.num_workers, self.seed
                )
            else:
                from dynvision.data.ffcv_loader import FFCVLoader

                self._loaders[split] = FFCVLoader(
                    self.manifest, self.folder, split, self.batch_size, self.seed
                )
        return self._loaders[split]

    def _choose_ffcv(self, loader: Literal["auto", "ffcv", "torch"]) -> bool:
        if not use_ffcv(loader):
            return False
        if loader == "auto" and all(self.manifest.split(split).beton is None for split in SPLITS):
            logger.warning(
                "%s was converted without FFCV: images are read with the torch loader", self.folder
            )
            return False
        return True

    def _checked_source(self) -> ImageSource:
        source = open_source(self.manifest.config)
        if source.sha256() != self.manifest.source_sha256:
            raise InputError(
                f"the images of {self.manifest.source} have changed since conversion; {anew(self.folder)}"
            )
        return source
