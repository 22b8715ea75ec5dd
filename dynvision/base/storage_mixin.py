"""Storage in training: a stage's responses begin anew with its epoch, and labels come with the batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import WandbLogger

from dynvision.base.lightning_base import LightningBase
from dynvision.base.recording import NOT_SCORED
from dynvision.base.storage_buffer import StorageBuffer

if TYPE_CHECKING:
    import pandas as pd


class StorageBufferMixin(StorageBuffer, pl.LightningModule):
    """Storage with PyTorch Lightning hooks: train, val and test are kept apart, each for its current epoch."""

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self._begin_epoch("train")

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._begin_epoch("val")

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self._begin_epoch("test")

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        self._begin_batch("train", batch)
        return super().on_train_batch_start(batch, batch_idx)

    def on_validation_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._begin_batch("val", batch)
        super().on_validation_batch_start(batch, batch_idx, dataloader_idx)

    def on_test_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._begin_batch("test", batch)
        super().on_test_batch_start(batch, batch_idx, dataloader_idx)

    def log_table(self, key: str, dataframe: pd.DataFrame) -> None:
        """Give a table to the trainer's loggers: W&B takes it as it is, others get ``{key}.csv`` in their folder."""
        for logger in self.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_table(key, dataframe=dataframe)
            elif logger.log_dir is not None:
                Path(logger.log_dir).mkdir(parents=True, exist_ok=True)
                dataframe.to_csv(Path(logger.log_dir) / f"{key}.csv", index=False)

    def _begin_epoch(self, stage: str) -> None:
        self._stage = stage
        self.clear_responses()

    def _begin_batch(self, stage: str, batch: Any) -> None:
        """Where responses go, and the labels of a batch (images, labels) as :class:`LightningBase` scores them."""
        self._stage = stage
        pair = isinstance(batch, (tuple, list)) and len(batch) == 2
        if self.store_responses and pair and isinstance(self, LightningBase):
            labels = self.presentation((batch[0], batch[1]), shuffle=stage == "train").labels
            self.expect_labels(torch.where(labels == self.non_label_index, NOT_SCORED, labels))
