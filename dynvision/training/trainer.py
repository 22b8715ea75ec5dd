"""The trainer of a run: Lightning, with everything that the configuration asks for.

As many processes train together as were asked for. On one node Lightning starts them, unless srun or torchrun has; on
several nodes srun must. By itself Lightning takes what it finds: in a job of one SLURM task, ``devices: 2`` would train
with one process and without a message.
"""

from __future__ import annotations

import logging
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from dynvision.config.run import RunConfig
from dynvision.config.training import LAST, ExecutionConfig, TrainingConfig
from dynvision.errors import InputError
from dynvision.training.checkpoints import (
    AtomicCheckpointIO,
    MidEpochCheckpoint,
    Patience,
    Provenance,
    RandomState,
    keep_best,
    keep_every,
    keep_last,
)
from dynvision.training.log import TrainingLog, make_logger
from dynvision.training.pretrained import FrozenStatistics


def make_trainer(
    run: RunConfig,
    execution: ExecutionConfig,
    device: torch.device,
    run_folder: Path,
    checkpoints: Path,
    log: TrainingLog,
    resumes: bool,
    images: str,
) -> pl.Trainer:
    """Return the trainer of a run.

    Args:
        run: the frozen configuration.
        execution: devices, logger and checkpoints.
        device: where to compute.
        run_folder: receives the files of loggers.
        checkpoints: receives checkpoints.
        log: writes ``training.csv``.
        resumes: whether the training resumes from a checkpoint.
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
        logger=make_logger(run, execution, run_folder, resumes) or False,
        deterministic=device.type == "cpu",
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the loaders share the images out themselves
        enable_progress_bar=False,  # TrainingLog prints how far an epoch is, as all long work is printed
        enable_model_summary=False,
    )


def describe_learning_rate(training: TrainingConfig) -> str:
    """Return a sentence on the scaled learning rate; empty where it is not scaled."""
    if training.learning_rate_scaling == "none":
        return ""
    return (
        f"learning rate {training.scaled_learning_rate:.6g} = {training.learning_rate:g}, scaled "
        f"({training.learning_rate_scaling}) from {training.reference_batch_size} to {training.images_per_update} images "
        "per update"
    )


def quiet_lightning() -> None:
    """Silence advice about settings that are chosen here on purpose, and warnings of libraries about each other."""
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


def launch_settings(execution: ExecutionConfig, device: torch.device) -> dict[str, Any]:
    """Return the arguments of a trainer that state which processes train together.

    Raises:
        InputError: other processes have been started than were asked for, or there are too few GPUs.
    """
    if device.type == "cuda" and execution.devices > torch.cuda.device_count():
        raise InputError(
            f"execution.devices={execution.devices}, but torch finds {torch.cuda.device_count()} GPUs here; lower it"
        )
    strategy: str = execution.strategy
    if strategy == "auto" and execution.n_processes > 1:
        strategy = "ddp_find_unused_parameters_true"
    return {
        "accelerator": "gpu" if device.type == "cuda" else "cpu",
        "devices": execution.devices,
        "num_nodes": execution.num_nodes,
        "strategy": strategy,
        "plugins": [_environment(execution)],
    }


def _environment(execution: ExecutionConfig) -> ClusterEnvironment:
    """Return what has started the processes, or is to start them."""
    by_torchrun = TorchElasticEnvironment.detect()
    started = int(os.environ.get("WORLD_SIZE" if by_torchrun else "SLURM_STEP_NUM_TASKS", 1))
    if started > 1 or by_torchrun:
        _check_number(started, execution)
    if by_torchrun:
        return TorchElasticEnvironment()
    if started > 1:
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(execution.devices))  # Lightning wants to be given
        return SLURMEnvironment()
    if execution.num_nodes > 1:
        _check_number(started, execution)
    return LightningEnvironment()


def _check_number(n_processes: int, execution: ExecutionConfig) -> None:
    if n_processes != execution.n_processes:
        raise InputError(
            f"{n_processes} of the {execution.n_processes} processes that train together have been started "
            f"(execution.devices={execution.devices} on each of execution.num_nodes={execution.num_nodes}); start the "
            f"command with srun --nodes={execution.num_nodes} --ntasks-per-node={execution.devices}, or change the two keys"
        )


class WorldSize(pl.Callback):
    """Check, when all have begun, that as many processes train together as were asked for."""

    def __init__(self, execution: ExecutionConfig) -> None:
        self.execution = execution

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        _check_number(torch.distributed.get_world_size() if together else 1, self.execution)


def end_started_processes(trainer: pl.Trainer) -> None:
    """End the processes that Lightning has started: they would wait for this one, which has failed."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        launcher.kill(signal.SIGTERM)


def images_per_process(batch_size: int, execution: ExecutionConfig) -> int:
    """Return how many images of a batch each process is shown: `batch_size` counts those of all processes.

    Raises:
        InputError: it cannot be shared out equally.
    """
    n = execution.n_processes
    if batch_size % n:
        nearest = [size for size in (batch_size - batch_size % n, batch_size - batch_size % n + n) if size]
        raise InputError(
            f"training.batch_size={batch_size} images cannot be shared equally by {n} processes (execution.devices x "
            f"execution.num_nodes); nearest valid values: {' and '.join(map(str, nearest))}"
        )
    return batch_size // n


def describe_processes(training: TrainingConfig, execution: ExecutionConfig) -> str:
    """Return a sentence on how several processes share the images; empty for one."""
    n = execution.n_processes
    if n == 1:
        return ""
    nodes = f"{execution.num_nodes} node{'s' if execution.num_nodes > 1 else ''}"
    each = images_per_process(training.batch_size, execution)
    return (
        f"{n} processes on {nodes} train together: each is shown its own {each} of the {training.batch_size} images of a "
        f"batch, in the order of the seed; {training.images_per_update} images per update, learning rate "
        f"{training.scaled_learning_rate:.6g}"
    )
