"""Checkpoints of a training: the best by validation, the last, every n-th, and within an epoch; each whole or absent.

Each holds the configuration of its run, the version of this package, which weights it has (last update or moving average)
and the identity of the images; the state of torch's random numbers, so that noise resumes where a training stopped; and the
patience of early stopping.

Within an epoch there is one every few minutes, and one when the process receives SIGTERM or SIGUSR1. A scheduler sends one
of these when a job's time is over or its node is needed for another job, and kills the job half a minute later. So the
training finishes its current update, saves, and then ends as SIGTERM would have ended it at once. During validation it
continues until the end of the epoch, which saves anyway. Ctrl-C ends it at once.
"""

from __future__ import annotations

import io
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor

import dynvision
from dynvision.base.epoch_means import means_of_epoch
from dynvision.config.run import RunConfig
from dynvision.config.training import BEST, LAST, TrainingConfig, epoch_file
from dynvision.config.yaml_text import to_yaml
from dynvision.data.loader import ImageLoader
from dynvision.files import atomic_path
from dynvision.models.weights import read_training_checkpoint
from dynvision.text import clear_line

IMAGES = "images"
AVERAGE, LAST_UPDATE = "moving average", "last update"


def kind_of_weights(run: RunConfig) -> str:
    """Return which weights are validated and kept: those of the last update, or their moving average."""
    return AVERAGE if run.training.ema_decay else LAST_UPDATE


def provenance(run: RunConfig) -> dict[str, str]:
    """Return what is written beside weights: run id, configuration, version of this package, and which weights they are."""
    return {
        "run_id": run.run_id,
        "config": to_yaml(run),
        "dynvision": dynvision.__version__,
        "weights": kind_of_weights(run),
    }


class Provenance(pl.Callback):
    """Write `provenance` and the identity of the images into every checkpoint, under the key ``dynvision``."""

    def __init__(self, run: RunConfig, images: str) -> None:
        self._content = {**provenance(run), IMAGES: images}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["dynvision"] = self._content


MODES = {"val_loss": "min", "val_accuracy": "max"}  # the direction in which a value of `best_by` is better


class Patience(EarlyStopping):
    """Stop when the validation has not become better for a number of epochs."""

    def __init__(self, training: TrainingConfig) -> None:
        super().__init__(
            monitor=training.best_by,
            mode=MODES[training.best_by],
            patience=training.early_stopping_patience,
            min_delta=training.early_stopping_min_delta,
        )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A training that was killed between its decision to stop and its end must not continue for another epoch."""
        trainer.should_stop = self.wait_count >= self.patience


class RandomState(pl.Callback):
    """Save the random generators with every checkpoint, and set them when a training resumes from one."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._loaded is not None:
            torch.set_rng_state(self._loaded["cpu"].cpu())
            if len(self._loaded["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all([state.cpu() for state in self._loaded["cuda"]])
        if trainer.global_rank:  # the checkpoint is of the first process; each has a noise of its own
            drawn = [int(torch.randint(2**31, ())), trainer.global_rank]
            torch.manual_seed(int(np.random.SeedSequence(drawn).generate_state(1)[0]))


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write beside the final name and rename.

    Lightning writes to the folder for temporary files and copies from there if that is another disk: a training that is
    killed meanwhile leaves half a file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint, whole or not at all."""
        content = io.BytesIO()  # torch hides why it could not write to a file, e.g. that the disk is full
        torch.save(checkpoint, content)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getbuffer())


class MovableCheckpoint(ModelCheckpoint):
    """Resume also after the results folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of a checkpoint, with its paths in the present folder."""
        paths = {name: self._here(state_dict[name]) for name in state_dict if name.endswith("_path")}
        ranked = {self._here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": ranked, "dirpath": self.dirpath})

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else path


class NumberedCheckpoint(MovableCheckpoint):
    """Name a checkpoint after its epoch, counted from 1."""

    def format_checkpoint_name(
        self,
        metrics: dict[str, Any],
        filename: str | None = None,
        ver: int | None = None,
        prefix: str | None = None,
    ) -> str:
        """Return the path of the checkpoint of an epoch."""
        return str(Path(self.dirpath or "") / epoch_file(int(metrics["epoch"]) + 1))


def keep_best(folder: Path, best_by: str) -> ModelCheckpoint:
    """Return what keeps ``best.ckpt``; of equals the first."""
    return MovableCheckpoint(
        dirpath=folder,
        filename=Path(BEST).stem,
        monitor=best_by,
        mode=MODES[best_by],
        enable_version_counter=False,
    )


def keep_last(folder: Path) -> ModelCheckpoint:
    """Return what keeps ``last.ckpt``, of every epoch; ``save_last=True`` would leave out those that are not the best."""
    return MovableCheckpoint(dirpath=folder, filename=Path(LAST).stem, enable_version_counter=False)


def keep_every(folder: Path, n_epochs: int) -> ModelCheckpoint:
    """Return what keeps ``epoch-0005.ckpt``, ``epoch-0010.ckpt``, ... for 5 epochs."""
    return NumberedCheckpoint(
        dirpath=folder, every_n_epochs=n_epochs, save_top_k=-1, enable_version_counter=False
    )


def last_checkpoint(folder: Path, run_id: str, images: str) -> Path | None:
    """Return the checkpoint to resume from; None begins from the start.

    Checkpoints of a training on other images are removed, since images that are now for the test may have been trained on.

    Args:
        folder: of the checkpoints.
        run_id: the run.
        images: identity of its images.

    Raises:
        InputError: there is one that cannot be read, or that is of another run.
    """
    path = folder / LAST
    try:
        content = read_training_checkpoint(path, run_id)
    except (
        FileNotFoundError
    ):  # there is none, or another process of this training has just removed it, as below
        return None
    if content["dynvision"].get(IMAGES, images) != images:
        print(
            f"{run_id}: the images are not those of the checkpoint; the training begins from the start",
            flush=True,
        )
        for checkpoint in folder.glob("*.ckpt"):
            checkpoint.unlink(missing_ok=True)
        return None
    return path


SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class MidEpochCheckpoint(pl.Callback):
    """Save between two updates of the weights; a training resumes from there as if it had not been stopped.

    It stands after all callbacks that change something when a batch ends, so that their change is saved.

    Args:
        path: the checkpoint.
        run_id: goes before the line that states what was saved.
        minutes: from one checkpoint to the next; 0 saves only when asked to stop.
    """

    def __init__(self, path: Path, run_id: str, minutes: float) -> None:
        self.path, self.run_id, self.minutes = path, run_id, minutes
        self._saved_at = time.monotonic()
        self._asked_to_stop = False
        self._before: Any = None  # the handler of SIGTERM before the training
        # What Lightning does not save or load: the sums over the images of an epoch so far and their number, by the name
        # of the mean; and the position of the loader.
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}
        self._loader: dict[str, int] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Resume within the epoch, and replace Lightning's signal handlers, which it restores at the end.

        They send a message to the other processes, possibly in the middle of another exchange.
        """
        if self._loader:
            _loader(trainer).load_state_dict(self._loader)
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_stop = True  # SLURM sends the signal twice, itself and through srun

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_at = time.monotonic()
        if _any(trainer, self._asked_to_stop):  # since the last update of the epoch before
            self._stop(trainer, f"epoch {trainer.current_epoch}")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._restore_sums(trainer)
        if (batch_idx + 1) % trainer.accumulate_grad_batches or trainer.is_last_batch:
            return
        due = self.minutes > 0 and time.monotonic() - self._saved_at > 60 * self.minutes
        if not _any(trainer, due or self._asked_to_stop):
            return
        self._save(trainer)
        if _any(trainer, self._asked_to_stop):
            n_batches, epoch = trainer.num_training_batches, trainer.current_epoch + 1
            self._stop(trainer, f"{batch_idx + 1} of {n_batches} batches of epoch {epoch}")

    def _save(self, trainer: pl.Trainer) -> None:
        self._sums = {
            key: (
                trainer.strategy.reduce(metric.value.clone(), reduce_op="sum"),
                trainer.strategy.reduce(metric.cumulated_batch_size.clone(), reduce_op="sum"),
            )
            for key, metric in means_of_epoch(trainer).items()
        }
        self._loader = _loader(trainer).state_dict()
        trainer.save_checkpoint(self.path)
        self._sums, self._loader = {}, {}
        self._saved_at = time.monotonic()

    def _restore_sums(self, trainer: pl.Trainer) -> None:
        """Add what was summed before the checkpoint to the first batch after it; the first process has all of it."""
        if self._sums and trainer.is_global_zero:
            for key, metric in means_of_epoch(trainer).items():
                value, n_images = self._sums[key]
                metric.value = value.to(metric.value.device) + metric.value
                metric.cumulated_batch_size = n_images.to(metric.value.device) + metric.cumulated_batch_size
        self._sums = {}

    def _stop(self, trainer: pl.Trainer, done: str) -> None:
        """End as the signal would have ended it. Processes other than the first end with status 0, since at any other
        their parent kills all."""
        if not trainer.is_global_zero:
            raise SystemExit(0)
        clear_line()
        print(f"{self.run_id}: asked to stop; saved after {done}", flush=True)
        signal.signal(signal.SIGTERM, self._before)
        signal.raise_signal(signal.SIGTERM)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self._sums, "loader": self._loader}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._sums, self._loader = dict(state_dict["sums"]), dict(state_dict["loader"])


def _any(trainer: pl.Trainer, decision: bool) -> bool:
    """Return whether the decision is true in any of the processes that train together; all of them must call this."""
    return bool(trainer.strategy.reduce_boolean_decision(decision, all=False))


def _loader(trainer: pl.Trainer) -> ImageLoader:
    loader = trainer.train_dataloader
    assert isinstance(loader, ImageLoader)
    return loader
