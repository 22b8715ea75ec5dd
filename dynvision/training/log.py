"""``training.csv``: one row for each epoch, complete after every epoch and after resuming; and other loggers."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from dynvision.base import LightningBase
from dynvision.config.run import RunConfig
from dynvision.config.training import TRAINING_COLUMNS, ExecutionConfig
from dynvision.errors import InputError, check_extra, message_of
from dynvision.files import write_text
from dynvision.text import Progress


class TrainingLog(pl.Callback):
    """Write the log, and print progress and a line for each epoch. The rows are saved in the checkpoint.

    Args:
        path: where ``training.csv`` goes.
        run_id: goes before each line that is printed.
        terms: names of the terms of the loss, which have columns of their own after the others.
    """

    def __init__(self, path: Path, run_id: str, terms: Sequence[str] = ()) -> None:
        self.path, self.run_id = path, run_id
        self.columns = (
            *TRAINING_COLUMNS,
            *(f"{stage}_{name}" for name in terms for stage in ("train", "val")),
        )
        self.rows: list[dict[str, float]] = []
        self._begun = time.monotonic()
        self._progress: Progress | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun = time.monotonic()
        what = f"{self.run_id}: epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._progress = Progress(what, int(trainer.num_training_batches), "batches")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero and self._progress is not None:
            self._progress.at(batch_idx + 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop before a checkpoint is written if the validation is not finite."""
        loss = float(trainer.callback_metrics["val_loss"])
        if not math.isfinite(loss):
            found = pl_module.not_finite.said("validation") if isinstance(pl_module, LightningBase) else ""
            because = f" ({found})" if found else ""
            raise InputError(
                f"val_loss is {loss} in epoch {trainer.current_epoch + 1}{because}; lower training.learning_rate"
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        row = {name: float(metrics[name]) for name in self.columns if name in metrics}
        row["epoch"] = trainer.current_epoch + 1
        if not math.isfinite(row["train_loss"]):
            raise InputError(
                f"train_loss is {row['train_loss']} in epoch {row['epoch']}; lower training.learning_rate"
            )
        row["learning_rate"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        row["seconds"] = time.monotonic() - self._begun
        self.rows.append(row)
        if trainer.is_global_zero:
            self.write()
            values = " ".join(f"{name}={row[name]:.4g}" for name in self.columns[1:] if name in row)
            print(f"{self.run_id}: epoch {row['epoch']}/{trainer.max_epochs} {values}", flush=True)

    def write(self) -> None:
        """Write the rows so far."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": time.monotonic() - self._begun}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self._begun = time.monotonic() - state_dict["seconds"]  # if it continues in the middle of an epoch


def make_logger(run: RunConfig, execution: ExecutionConfig, run_folder: Path, resumes: bool) -> Logger | None:
    """Return the logger beside ``training.csv``, which is written in any case; None where none is asked for.

    Args:
        run: the frozen configuration, which is logged too.
        execution: states which logger.
        run_folder: receives its files.
        resumes: whether the training resumes from a checkpoint.

    Raises:
        InputError: the logger is not installed, or is to log online and cannot.
    """
    if execution.logger == "wandb":
        return _wandb(run, execution, run_folder, resumes)
    return _tensorboard(run_folder) if execution.logger == "tensorboard" else None


def _wandb(run: RunConfig, execution: ExecutionConfig, run_folder: Path, resumes: bool) -> Logger:
    """W&B, offline by default. The id of the run is also W&B's, so that a training resumes in the same run."""
    os.environ.setdefault("WANDB_SILENT", "true")  # it is not to ask for an account, either
    check_extra("wandb", "execution.logger=wandb", "wandb", instead="set it to csv")
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    online = execution.wandb_mode == "online"
    settings: dict[str, Any] = {"resume": "allow"} if online and resumes else {}
    logger = WandbLogger(
        project="dynvision",
        name=run.run_id,
        id=run.run_id,
        save_dir=str(run_folder),
        offline=not online,
        config=run.model_dump(mode="json"),
        **settings,
    )
    try:
        assert logger.experiment is not None  # connects now, not in the middle of the training
    except wandb.Error as error:
        reason = message_of(error).rstrip(".")
        raise InputError(
            f"W&B cannot log online ({reason}); set execution.wandb_mode: offline, or run wandb login first"
        ) from None
    return logger


def _tensorboard(run_folder: Path) -> Logger:
    from pytorch_lightning.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(str(run_folder), name="tensorboard", version="")
    except ModuleNotFoundError:
        raise InputError(
            "execution.logger=tensorboard, but tensorboard is not installed; "
            "run 'pip install tensorboard', or set it to csv"
        ) from None
