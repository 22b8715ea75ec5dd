"""What the job of a run requests: memory, time and accelerators, by model, image size and number of the attempt.

    memory    libraries + bytes x batch x steps x side^2, on each node (all of it twice for two processes, and so on)
    time      hours for a small image, times (side / 64 px)^2 x steps / 20 x size of the model, between bounds

`bytes` is what a training keeps for the backward pass: 346 to 746 B were measured for each image, step and pixel of
DyRCNNx2, x4 and x8 at 32 and 64 px in 32 bits (forward and backward, peak resident memory). Times are estimates: a job
that needs more fails, its second attempt asks for more of both, and a training resumes where it stopped.

Nothing here knows what runs the jobs. `DYNVISION_LAUNCHER`, where it is set, names the program that starts the
processes of a training which has several, e.g. srun; otherwise Lightning starts them, on one machine. `DYNVISION_IMAGE`
names an Apptainer image in which commands run, and `DYNVISION_CONFIG` a folder to read the configuration from: submitted
jobs read it again, possibly after it was edited for another sweep.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dynvision.config.model import TemporalArgs
from dynvision.config.run import RunConfig
from dynvision.config.training import ExecutionConfig
from dynvision.errors import InputError
from dynvision.gpus import visible_gpus

LAUNCHER, IMAGE, CONFIG = "DYNVISION_LAUNCHER", "DYNVISION_IMAGE", "DYNVISION_CONFIG"

LIBRARIES_MB = 3000  # training and the two Snakemakes around it: 780 MB measured on a CPU; CUDA brings libraries of its own
KEPT_BYTES, SHOWN_BYTES = 800, 150  # for each image, step and pixel, with and without a backward pass
STEP_MB = 500
THREADS = 8
SHORTEST_MIN, LONGEST_MIN = 60, 24 * 60
# Relative to DyRCNNx4; an unknown model counts as large.
SIZES = {"DyRCNNx2": 0.5, "DyRCNNx4": 1.0, "DyRCNNx8": 1.5}
LARGE = 3.0


@dataclass(frozen=True)
class Request:
    """What a job asks for at its first attempt.

    Attributes:
        mem_mb: memory on each node, MB.
        runtime: minutes.
        gpu: GPUs on all nodes together; None asks for none.
    """

    mem_mb: int
    runtime: int
    gpu: int | None


def commands_folder() -> Path:
    """Return the folder of the commands that rules call: beside the interpreter, or those that enter the image."""
    return Path("cluster", "bin").absolute() if os.environ.get(IMAGE) else Path(sys.executable).parent


def config_folder() -> Path:
    """Return the folder of the configuration files."""
    return Path(os.environ.get(CONFIG) or "config")


@dataclass(frozen=True)
class Requests:
    """What the jobs of a workflow ask for.

    Args:
        runs: the runs by id.
        execution: the section ``execution``.

    Raises:
        InputError: jobs are to share a GPU, and each is submitted with a GPU of its own.
    """

    runs: Mapping[str, RunConfig]
    execution: ExecutionConfig

    def __post_init__(self) -> None:
        if self.execution.pack > 1 and os.environ.get(LAUNCHER):
            raise InputError(
                f"execution.pack={self.execution.pack} jobs share a GPU, and each job that is submitted here has its own; "
                "set it to 1, or run the workflow whole in one job with a GPU (docs/cluster.md)"
            )

    def training(self, run_id: str) -> Request:
        """Return what the training of a run asks for."""
        run, execution = self.runs[run_id], self.execution
        shown = _shown(run) * run.training.batch_size
        one = LIBRARIES_MB + shown * KEPT_BYTES / 1e6
        minutes = 4 * 60 * relative_work(run) * max(1.0, run.training.epochs / 100)
        return Request(
            _round_up(one * execution.devices),
            _bounded(minutes),
            self._gpus(execution.devices * execution.num_nodes),
        )

    def experiment(self, run_id: str) -> Request:
        """Return what an experiment on a run asks for."""
        run = self.runs[run_id]
        shown = _shown(run) * self.execution.test_batch_size
        memory = _round_up(LIBRARIES_MB + shown * SHOWN_BYTES / 1e6)
        return Request(memory, _bounded(60 * relative_work(run)), self._gpus(1))

    def _gpus(self, n: int) -> int | None:
        return None if self.execution.accelerator == "cpu" else n

    @cached_property
    def threads(self) -> int:
        """CPUs of a training or an experiment; one where a GPU computes, so that ``-j 4`` is four jobs on four GPUs."""
        return 1 if self.execution.accelerator != "cpu" and visible_gpus() else THREADS

    @property
    def launcher(self) -> str | None:
        """The program that starts the processes of a training; None where it is one, or Lightning starts them."""
        several = self.execution.devices * self.execution.num_nodes > 1
        return os.environ.get(LAUNCHER) or None if several else None

    @property
    def nodes(self) -> int | None:
        """Machines of a training with a launcher."""
        return self.execution.num_nodes if self.launcher else None

    @property
    def tasks_per_node(self) -> int | None:
        """Processes on each of these machines, where they are several; one each is stated by `tasks`."""
        return self.execution.devices if self.launcher and self.execution.devices > 1 else None

    @property
    def tasks(self) -> int | None:
        """Processes of a training with a launcher and one process on each machine."""
        return self.execution.num_nodes if self.launcher and self.execution.devices == 1 else None

    @property
    def tasks_per_gpu(self) -> int | None:
        """Beside `tasks`, so that it is not taken for the number on each GPU."""
        return 1 if self.tasks else None

    @property
    def launch(self) -> str:
        """What stands before the command of a training; ``{threads}`` is for Snakemake to fill in."""
        if not self.launcher:
            return ""
        shape = f"--nodes={self.execution.num_nodes} --ntasks-per-node={self.execution.devices}"
        return f"{self.launcher} {shape} --cpus-per-task={{threads}} "


def _shown(run: RunConfig) -> float:
    """Return steps times pixels of one trial."""
    return float(_steps(run) * run.data.resolution**2)


def _steps(run: RunConfig) -> int:
    default = TemporalArgs.model_fields["n_timesteps"].default
    return int(run.model.args.get("n_timesteps", default))


def relative_work(run: RunConfig, n_steps: float | None = None) -> float:
    """Return the work of one trial of a run, against 20 steps of DyRCNNx4 at 64 px.

    Args:
        run: the run.
        n_steps: steps of the trial; None takes those of the training.
    """
    size = SIZES.get(run.model.name, LARGE)
    steps = _steps(run) if n_steps is None else n_steps
    return float(size * steps * run.data.resolution**2 / (20 * 64**2))


def _round_up(mem_mb: float) -> int:
    return STEP_MB * -int(-mem_mb // STEP_MB)


def _bounded(minutes: float) -> int:
    return round(min(max(minutes, SHORTEST_MIN), LONGEST_MIN))
