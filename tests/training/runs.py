"""Trainings that several tests compare with."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file

from dynvision.cli import main
from tests.lab import Lab
from tests.processes import Kill, Outcome, run_forked
from tests.training.moments import Moment


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def together(
    lab: Lab, config: Path, run: str, *options: object, n: int = 2, stop: Moment | None = None
) -> list[Outcome]:
    """Train with several processes, as torchrun starts them.

    Args:
        lab, config, run, options: what is trained.
        n: how many.
        stop: when they get a signal.
    """
    port = free_port()
    arguments = ["train", "--config", config, "--data", lab.root / "data", "--output", lab.root / run]
    arguments += ["--loader", "torch", "--accelerator", "cpu", "--devices", n, *options]
    outcomes: list[Outcome] = []

    def start(rank: int) -> Callable[[], int]:
        def action() -> int:
            os.environ |= {
                "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                "WORLD_SIZE": str(n), "RANK": str(rank), "LOCAL_RANK": str(rank),
            }  # fmt: skip
            with nullcontext() if stop is None else stop.awaited(rank):
                return main([str(argument) for argument in arguments])

        return action

    def run_from(rank: int) -> None:
        others = (lambda _: run_from(rank + 1)) if rank + 1 < n else None
        outcomes.append(run_forked(start(rank), lab.root / f"log-{rank}", meanwhile=others))

    run_from(0)
    return outcomes[::-1]


TRAINING = {
    "epochs": 3,
    "batch_size": 6,  # 27 images: 4 batches and one of 3, of which the first image is shown twice to make it 4
    "optimizer": "SGD",
    "learning_rate": 0.2,
    "accumulate_batches": 2,
    "loss": {"CrossEntropyLoss": 1, "ActivityLoss": 0.1},
}


def stop_after(lab: Lab, epoch: int, config: Path | None = None, run: str = "run") -> None:
    """Train, and be killed in the moment in which the next epoch's last checkpoint would get its name."""
    assert lab.train(config, run, kill=Kill(epoch, "last.ckpt")).status == -signal.SIGKILL
    last = torch.load(lab.root / run / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] + 1 == epoch


def same_result(lab: Lab, other: Path, run: str = "run") -> None:
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (lab.root / run, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    logs = [
        pd.read_csv(folder / "training.csv").drop(columns="seconds") for folder in (lab.root / run, other)
    ]
    pd.testing.assert_frame_equal(*logs, check_exact=True)


EVERYTHING = {
    "epochs": 8,
    "learning_rate": 0.05,
    "scheduler": "CosineAnnealingLR",
    "warmup_epochs": 1.5,
    "accumulate_batches": 3,
    "ema_decay": 0.7,
    "early_stopping_patience": 3,
    "best_by": "val_accuracy",
    "label_smoothing": 0.1,
    "optimizer": "SGD",
    "optimizer_args": {"momentum": 0.9},
    "loss": {"CrossEntropyLoss": 1, "ActivityLoss": {"weight": 0.1, "monitor": "drive"}},
}
