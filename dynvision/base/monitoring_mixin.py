"""Monitoring in training: weights are checked before it begins, statistics of parameters go to the logger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl

from dynvision.base.lightning_base import LightningBase
from dynvision.base.monitoring import Monitoring, parameter_statistics


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
