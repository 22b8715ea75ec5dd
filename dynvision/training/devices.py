"""One process or several: who starts them, what each is shown, and that as many train together as were asked for.

On one node Lightning starts them, unless srun or torchrun has; on several nodes srun must. Lightning left to itself takes
what it finds: in a job of one SLURM task, ``devices: 2`` would train with one process and state nothing.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from dynvision.config.training import ExecutionConfig, TrainingConfig
from dynvision.errors import InputError


def launch_settings(execution: ExecutionConfig, device: torch.device) -> dict[str, Any]:
    """The arguments of a trainer that state which processes train together.

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
    """Who has started the processes, or is to."""
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
    """Checks, once they have met, that as many processes train together as were asked for."""

    def __init__(self, execution: ExecutionConfig) -> None:
        self.execution = execution

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        _check_number(torch.distributed.get_world_size() if together else 1, self.execution)


def end_started_processes(trainer: pl.Trainer) -> None:
    """End the processes that Lightning has started: they would wait for this one, whose error they do not know."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        launcher.kill(signal.SIGTERM)


def images_per_process(batch_size: int, execution: ExecutionConfig) -> int:
    """Images of a batch that each process is shown: a batch is shared out, so that its size means the same everywhere.

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
    """How several processes share the images; empty for one."""
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
