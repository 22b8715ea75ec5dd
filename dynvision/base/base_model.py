"""Storage, monitoring and coordination with the hooks of PyTorch Lightning, and the models that are composed of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import WandbLogger

from dynvision.base.core_model import CALL, DtypeDeviceCoordinator, StorageBuffer
from dynvision.base.lightning_base import LightningBase
from dynvision.base.monitoring import Monitoring, parameter_statistics
from dynvision.base.observers import NOT_SCORED, TrialRecorder, TrialShape
from dynvision.base.temporal_base import TemporalBase

if TYPE_CHECKING:
    import pandas as pd


class StorageBufferMixin(StorageBuffer, pl.LightningModule):
    """Storage with PyTorch Lightning hooks: train, val, test and predict are kept apart, each for its current epoch.

    What is recorded outside of a trainer's loops is of the stage ``call``, which begins anew after every one of them.
    """

    def open_recording(self, trial: TrialShape, store_responses: bool) -> TrialRecorder | None:
        stored = bool(store_responses or self.store_responses)
        in_a_loop = self._trainer is not None and self._trainer.state.stage is not None
        if stored and self._stage != CALL and not in_a_loop:
            self._begin_epoch(CALL)
            self.expect_labels(None)
        return super().open_recording(trial, store_responses)

    def on_predict_start(self) -> None:
        super().on_predict_start()
        self._begin_epoch("predict")

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
        """Set the stage, and the labels of a batch (images, labels) as :class:`LightningBase` scores them."""
        self._stage = stage
        pair = isinstance(batch, (tuple, list)) and len(batch) == 2
        if self.store_responses and pair and isinstance(self, LightningBase):
            labels = self.presentation((batch[0], batch[1]), shuffle=stage == "train").labels
            self.expect_labels(torch.where(labels == self.non_label_index, NOT_SCORED, labels))


class MonitoringMixin(Monitoring, pl.LightningModule):
    """Monitoring with PyTorch Lightning hooks.

    A loss that is not finite stops the training in :class:`dynvision.base.LightningBase`, with the place in words.
    """

    def log_param_stats(
        self, section: str = "params", metrics: Sequence[str] = ("min", "max", "norm")
    ) -> dict[str, float]:
        """Statistics of every parameter, to the trainer's loggers; printed where there are none."""
        if not self.loggers:
            return super().log_param_stats(section, metrics)
        stats = parameter_statistics(self, section, metrics)
        for logger in self.loggers:  # self.log would repeat them at every step of the trainer's own interval
            logger.log_metrics(stats, step=self.global_step)
        return stats

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self._check_weights(raise_error=True)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        if (
            self.loggers
            and isinstance(self, LightningBase)
            and self.global_step % self.log_every_n_steps == 0
        ):
            self.log_param_stats()


class DtypeDeviceCoordinatorMixin(DtypeDeviceCoordinator, pl.LightningModule):
    """Coordination with PyTorch Lightning hooks."""

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.propagate_dtype_sync()

    def on_validation_start(self) -> None:
        super().on_validation_start()
        self.propagate_dtype_sync()

    def on_test_start(self) -> None:
        super().on_test_start()
        self.propagate_dtype_sync()


class BaseModel(
    TemporalBase, LightningBase, StorageBufferMixin, MonitoringMixin, DtypeDeviceCoordinatorMixin
):
    """The class to derive a model from: implement ``_define_architecture``.

    It runs in time (:class:`TemporalBase`), trains (:class:`LightningBase`), keeps responses
    (:class:`StorageBufferMixin`), is monitored (:class:`MonitoringMixin`) and holds one dtype and device
    (:class:`DtypeDeviceCoordinatorMixin`). Each class documents its own arguments.
    """


class LightningOnlyModel(TemporalBase, LightningBase, MonitoringMixin):
    """Training framework without automatic storage."""
