"""Means over the images of an epoch, which Lightning sums batch by batch.

Lightning checks at every call of ``log`` what is logged and under which name, which takes a millisecond a batch. Here that
is done for the first batch of an epoch; those after it are added to the sums that it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultMetric
from torch import Tensor


def log_means(
    module: pl.LightningModule, values: Mapping[str, Tensor], n_images: int, prog_bar: bool = False
) -> None:
    """Log values of a batch, within a step of a module.

    Args:
        module: the module whose step it is.
        values: by name, without axes and gradient.
        n_images: images of the batch.
        prog_bar: whether a progress bar shows them.
    """
    trainer: Any = module._trainer
    own_log = type(module).log is not pl.LightningModule.log
    sums = None if own_log or trainer is None or trainer.barebones else trainer._results
    for name, value in values.items():
        begun = None if sums is None else sums.get(f"{module._current_fx_name}.{name}")
        if begun is None or begun.has_reset or not _is_mean(begun):
            settings: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": True}
            module.log(name, value, prog_bar=prog_bar, batch_size=n_images, **settings)
        else:
            begun.forward(value, n_images)


def means_of_epoch(trainer: pl.Trainer) -> dict[str, _ResultMetric]:
    """The means of the epoch that is being trained, by the name of the step and their own."""
    found = trainer.fit_loop.epoch_loop._results
    return {
        key: metric for key, metric in found.items() if metric.is_tensor and metric.meta.is_mean_reduction
    }


def _is_mean(metric: _ResultMetric) -> bool:
    """Whether it is what is logged here, and nothing that somebody else logs under the name, which Lightning refuses."""
    return bool(metric.is_tensor and metric.meta.is_mean_reduction and not metric.meta.on_step)
