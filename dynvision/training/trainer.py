"""The trainer of a run: Lightning, with everything that the configuration asks for."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging

from dynvision.config.run import RunConfig
from dynvision.config.training import LAST, ExecutionConfig, TrainingConfig
from dynvision.errors import InputError
from dynvision.training.checkpoints import (
    AtomicCheckpointIO,
    Patience,
    Provenance,
    RandomState,
    keep_best,
    keep_every,
    keep_last,
)
from dynvision.training.devices import WorldSize, launch_settings
from dynvision.training.log import TrainingLog, make_logger
from dynvision.training.mid_epoch import MidEpochCheckpoint
from dynvision.training.pretrained import FrozenStatistics


def make_trainer(
    run: RunConfig,
    execution: ExecutionConfig,
    device: torch.device,
    run_folder: Path,
    checkpoints: Path,
    log: TrainingLog,
    goes_on: bool,
    images: str,
) -> pl.Trainer:
    """The trainer of a run.

    Args:
        run: the frozen configuration.
        execution: devices, logger and checkpoints.
        device: where to compute.
        run_folder: receives the files of loggers.
        checkpoints: receives checkpoints.
        log: writes ``training.csv``.
        goes_on: whether the training resumes from a checkpoint.
        images: identity of the images, for the checkpoints.

    Raises:
        InputError: devices, precision or logger are not possible here.
    """
    training = run.training
    if training.precision == "16-mixed" and device.type == "cpu":
        raise InputError("training.precision=16-mixed needs a GPU; on a CPU set it to 32, bf16-mixed or 64")
    quiet_lightning()
    launch = launch_settings(execution, device)
    callbacks: list[pl.Callback] = [
        WorldSize(execution),
        log,
        RandomState(),
        Provenance(run, images),
        FrozenStatistics(),
    ]
    if training.early_stopping_patience:
        callbacks.append(Patience(training))
    if training.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=training.ema_decay))
    callbacks.append(MidEpochCheckpoint(checkpoints / LAST, run.run_id, execution.checkpoint_minutes))
    callbacks += [keep_best(checkpoints, training.best_by), keep_last(checkpoints)]
    if execution.checkpoint_every:
        callbacks.append(keep_every(checkpoints, execution.checkpoint_every))
    return pl.Trainer(
        **{**launch, "plugins": [*launch["plugins"], AtomicCheckpointIO()]},
        max_epochs=training.epochs,
        limit_train_batches=training.limit_batches or 1.0,
        limit_val_batches=training.limit_batches or 1.0,
        precision=training.precision,  # type: ignore[arg-type]
        gradient_clip_val=training.gradient_clip or None,
        accumulate_grad_batches=training.accumulate_batches,
        callbacks=callbacks,
        logger=make_logger(run, execution, run_folder, goes_on) or False,
        deterministic=device.type == "cpu",
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the loaders share the images out themselves
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
    )


def describe_learning_rate(training: TrainingConfig) -> str:
    """What has become of the learning rate, where it is scaled; empty where it is not."""
    if training.learning_rate_scaling == "none":
        return ""
    return (
        f"learning rate {training.scaled_learning_rate:.6g} = {training.learning_rate:g}, scaled "
        f"({training.learning_rate_scaling}) from {training.reference_batch_size} to {training.images_per_update} images "
        "per update"
    )


def quiet_lightning() -> None:
    """Silence advice about settings that are chosen here on purpose, and what libraries tell each other."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*is smaller than the logging interval.*",
        ".*Checkpoint dir.*",
        ".*LeafSpec.*is deprecated.*",
        ".*srun. command is available.*",
        ".*find_unused_parameters=True was specified.*",
        ".*AccumulateGrad node's stream does not match.*",
        ".*Grad strides do not match bucket view strides.*",
    ):
        warnings.filterwarnings("ignore", message)
