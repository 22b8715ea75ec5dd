"""A training that is stopped within an epoch goes on within it, and ends as if it had not been stopped."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from dynvision.config.run import read_run_config
from tests.lab import Lab
from tests.processes import BIN
from tests.training.moments import Moment
from tests.training.runs import EVERYTHING, same_result, together
from tests.training.runs import TRAINING as TOGETHER

STOPPED = 128 + signal.SIGTERM
N_BATCHES = 4  # of an epoch: 27 images, 8 at a time


def batches_done(run: Path) -> tuple[int, int]:
    """Epochs and batches of the next one that the last checkpoint has seen."""
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    progress = last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
    return last["epoch"], progress["processed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize(("epoch", "batch", "saved"), [(0, 0, 1), (1, 2, 3)])
def test_told_to_stop_it_saves_and_goes_on(
    lab: Lab, trained_lab: Lab, number: int, epoch: int, batch: int, saved: int
) -> None:
    with Moment(epoch, batch, number).awaited():
        outcome = lab.train()
    assert outcome.status == STOPPED
    run_id = read_run_config(lab.root / "config.yaml").run_id
    assert outcome.said.splitlines()[-2:] == [
        f"{run_id}: asked to stop; saved after {saved} of {N_BATCHES} batches of epoch {epoch + 1}",
        "dynvision train: interrupted; run the same command again to continue",
    ]
    assert batches_done(lab.root / "run") == (epoch, saved)
    outcome = lab.train()
    assert outcome.status == 0 and "resuming from" in outcome.said
    assert ("epoch 1/3" in outcome.said) == (epoch == 0)
    same_result(lab, trained_lab.root / "run")


def test_with_everything_that_has_a_state(lab: Lab, everything: Lab) -> None:  # noqa: F811
    """Warm-up, accumulation, for whose end it waits, moving average, momentum and early stopping."""
    lab.config(training=EVERYTHING)
    with Moment(2, 0, signal.SIGTERM).awaited():
        assert lab.train().status == STOPPED
    assert batches_done(lab.root / "run") == (2, 3)
    assert lab.train().status == 0
    same_result(lab, everything.root / "run")


def test_again_and_again(lab: Lab, trained_lab: Lab) -> None:
    for epoch, batch in [(0, 1), (0, 2), (2, 0), (2, 1)]:
        with Moment(epoch, batch, signal.SIGTERM).awaited():
            assert lab.train().status == STOPPED
        assert batches_done(lab.root / "run") == (epoch, batch + 1)
    assert lab.train().status == 0
    same_result(lab, trained_lab.root / "run")


@pytest.mark.parametrize(
    "moment",
    [
        Moment(1, N_BATCHES - 1, signal.SIGTERM),
        Moment(1, 0, signal.SIGTERM, stage="validation"),
    ],
    ids=["last batch", "validation"],
)
def test_near_its_end_an_epoch_is_ended(lab: Lab, trained_lab: Lab, moment: Moment) -> None:
    with moment.awaited():
        outcome = lab.train()
    assert outcome.status == STOPPED
    assert "epoch 2/3" in outcome.said and "asked to stop; saved after epoch 2" in outcome.said
    outcome = lab.train()
    assert "epoch 2/3" not in outcome.said and "epoch 3/3" in outcome.said
    same_result(lab, trained_lab.root / "run")


def test_told_twice_is_told(lab: Lab, trained_lab: Lab) -> None:
    """As SLURM does, itself and by way of srun."""
    moment = Moment(1, 0, signal.SIGTERM)
    with moment.awaited(), moment.awaited():
        assert lab.train().status == STOPPED
    assert batches_done(lab.root / "run") == (1, 1)
    assert lab.train().status == 0
    same_result(lab, trained_lab.root / "run")


def test_every_few_minutes(lab: Lab, trained_lab: Lab) -> None:
    """So that little is lost where nobody says that the end is near."""
    with Moment(1, 3).awaited():
        assert lab.train(options=("--checkpoint-minutes", "1e-9")).status == -signal.SIGKILL
    assert batches_done(lab.root / "run") == (1, 3)
    assert lab.train().status == 0
    same_result(lab, trained_lab.root / "run")


def test_noise_goes_on_where_it_was(lab: Lab) -> None:
    args = {"drive_noise": 0.5, "n_timesteps": 3, "t_recurrence": 2}
    config = lab.config("noisy", model={"args": args}, training={"epochs": 1})
    assert lab.train(config, "undisturbed").status == 0
    with Moment(0, 1, signal.SIGTERM).awaited():
        assert lab.train(config).status == STOPPED
    assert lab.train(config).status == 0
    same_result(lab, lab.root / "undisturbed")


@pytest.mark.parametrize("ranks", [(0,), (1,), (0, 1)])
def test_processes_that_train_together_stop_together(lab: Lab, ranks: tuple[int, ...]) -> None:
    """Whichever of them is told; the mean over the epoch is that of all images of all processes."""
    config = lab.config(training={**TOGETHER, "epochs": 1, "accumulate_batches": 1})
    assert [outcome.status for outcome in together(lab, config, "undisturbed")] == [0, 0]
    first, second = together(lab, config, "run", stop=Moment(0, 1, signal.SIGTERM, ranks))
    assert (first.status, second.status) == (STOPPED, 0), first.said + second.said
    assert batches_done(lab.root / "run") == (0, 2)
    assert [outcome.status for outcome in together(lab, config, "run")] == [0, 0]
    ours, theirs = (load_file(lab.root / run / "model.safetensors") for run in ("run", "undisturbed"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    logs = [
        pd.read_csv(lab.root / run / "training.csv").drop(columns="seconds") for run in ("run", "undisturbed")
    ]
    pd.testing.assert_frame_equal(*logs, rtol=1e-6)


@pytest.mark.slow
def test_processes_that_lightning_has_started_stop_with_their_parent(lab: Lab) -> None:
    config = lab.config(training={"epochs": 400, "scheduler": "none"})
    arguments = ["--config", config, "--data", lab.root / "data", "--output", lab.root / "run"]
    options = ["--loader", "torch", "--accelerator", "cpu", "--devices", 2]
    command = [str(BIN / "dynvision"), "train", *map(str, [*arguments, *options])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as started:
        assert started.stdout is not None
        said = [next(started.stdout)]
        while "epoch 2/400" not in said[-1]:
            said.append(next(started.stdout))
        started.send_signal(signal.SIGTERM)
        said += started.stdout.readlines()
    assert started.returncode == STOPPED, said
    assert "asked to stop; saved after" in said[-2]
    again = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert again.returncode == 0
    assert pd.read_csv(lab.root / "run" / "training.csv")["epoch"].tolist() == list(range(1, 401))
