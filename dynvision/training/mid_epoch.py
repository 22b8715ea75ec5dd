"""Checkpoints within an epoch: every few minutes, and when the process is asked to stop by SIGTERM or SIGUSR1.

A scheduler sends one of these when a job's time is over or its node is wanted for another job, and kills it half a minute
later. So the training ends with the update that it is at, saves, and only then does what SIGTERM would have done at once.
During validation it continues until the end of the epoch, which saves anyway. Ctrl-C ends it at once.
"""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultMetric
from torch import Tensor

from dynvision.data.loader import ImageLoader

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class MidEpochCheckpoint(pl.Callback):
    """Saves between two updates of the weights, from where the training resumes as if it had not been stopped.

    It stands after all callbacks that change something when a batch ends, so that their change is saved.

    Args:
        path: the checkpoint.
        run_id: goes before the line that states what was saved.
        minutes: from one checkpoint to the next; 0 saves only when asked to stop.
    """

    def __init__(self, path: Path, run_id: str, minutes: float) -> None:
        self.path, self.run_id, self.minutes = path, run_id, minutes
        self._saved_at = time.monotonic()
        self._told = False
        self._before: Any = None  # who receives SIGTERM otherwise
        # What Lightning leaves out of its checkpoints, or does not take up: sums over the images of an epoch so far, and
        # their number, by what is averaged over the epoch; where the loader is.
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}
        self._loader: dict[str, int] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Continue within the epoch, and take the signals from Lightning, which gives them back at the end.

        Its own handler sends a message to the other processes in the middle of whatever they tell each other just then.
        """
        if self._loader:
            _loader(trainer).load_state_dict(self._loader)
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._told = True  # SLURM sends it twice, itself and by way of srun

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_at = time.monotonic()
        if _any(trainer, self._told):  # since the last update of the epoch before
            self._stop(trainer, f"epoch {trainer.current_epoch}")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._restore_sums(trainer)
        if (batch_idx + 1) % trainer.accumulate_grad_batches or trainer.is_last_batch:
            return
        due = self.minutes > 0 and time.monotonic() - self._saved_at > 60 * self.minutes
        if not _any(trainer, due or self._told):
            return
        self._save(trainer)
        if _any(trainer, self._told):
            n_batches, epoch = trainer.num_training_batches, trainer.current_epoch + 1
            self._stop(trainer, f"{batch_idx + 1} of {n_batches} batches of epoch {epoch}")

    def _save(self, trainer: pl.Trainer) -> None:
        self._sums = {
            key: (
                trainer.strategy.reduce(metric.value.clone(), reduce_op="sum"),
                trainer.strategy.reduce(metric.cumulated_batch_size.clone(), reduce_op="sum"),
            )
            for key, metric in _epoch_means(trainer).items()
        }
        self._loader = _loader(trainer).state_dict()
        trainer.save_checkpoint(self.path)
        self._sums, self._loader = {}, {}
        self._saved_at = time.monotonic()

    def _restore_sums(self, trainer: pl.Trainer) -> None:
        """Add what was summed before the checkpoint to the first batch after it; the first process has all of it."""
        if self._sums and trainer.is_global_zero:
            for key, metric in _epoch_means(trainer).items():
                value, n_images = self._sums[key]
                metric.value = value.to(metric.value.device) + metric.value
                metric.cumulated_batch_size = n_images.to(metric.value.device) + metric.cumulated_batch_size
        self._sums = {}

    def _stop(self, trainer: pl.Trainer, done: str) -> None:
        """Do what the signal would have done. Other processes than the first end quietly: their parent takes anything
        else for an accident, and kills all."""
        if not trainer.is_global_zero:
            raise SystemExit(0)
        print(f"{self.run_id}: asked to stop; saved after {done}", flush=True)
        signal.signal(signal.SIGTERM, self._before)
        signal.raise_signal(signal.SIGTERM)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self._sums, "loader": self._loader}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._sums, self._loader = dict(state_dict["sums"]), dict(state_dict["loader"])


def _any(trainer: pl.Trainer, decision: bool) -> bool:
    """Whether any of the processes that train together states this; all of them must ask."""
    return bool(trainer.strategy.reduce_boolean_decision(decision, all=False))


def _loader(trainer: pl.Trainer) -> ImageLoader:
    loader = trainer.train_dataloader
    assert isinstance(loader, ImageLoader)
    return loader


def _epoch_means(trainer: pl.Trainer) -> dict[str, _ResultMetric]:
    """What is averaged over the images of the running epoch."""
    found = trainer.fit_loop.epoch_loop._results
    return {
        key: metric for key, metric in found.items() if metric.is_tensor and metric.meta.is_mean_reduction
    }
