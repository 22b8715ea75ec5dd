"""Processes that train together: the same course as one process, and never fewer of them than were asked for."""

from __future__ import annotations

import signal
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig, TrainingConfig
from dynvision.errors import InputError
from dynvision.training.trainer import WorldSize, describe_processes, images_per_process, launch_settings
from tests.lab import Lab
from tests.processes import Outcome, run_program
from tests.training.moments import Moment
from tests.training.runs import TRAINING, together


@pytest.fixture(scope="module")
def pair(trained_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, list[Outcome]]:
    """The same training by one process, in ``one``, and by two, in ``two``."""
    lab = Lab(tmp_path_factory.mktemp("pair"), trained_lab.images)
    (lab.root / "data").symlink_to(trained_lab.root / "data")
    config = lab.config(training={**TRAINING, "limit_batches": 4})
    assert lab.train(config, "one").status == 0
    return lab, together(lab, config, "two")


def test_two_processes_have_the_course_of_one(pair: tuple[Lab, list[Outcome]]) -> None:
    lab, outcomes = pair
    for outcome in outcomes:
        assert outcome.status == 0, outcome.said
    one, two = (
        pd.read_csv(lab.root / run / "training.csv").drop(columns="seconds") for run in ("one", "two")
    )
    pd.testing.assert_frame_equal(one, two, rtol=1e-5)
    assert one["train_loss"].nunique() == 3
    ours, theirs = (load_file(lab.root / run / "model.safetensors") for run in ("one", "two"))
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_the_first_process_alone_writes_and_speaks(pair: tuple[Lab, list[Outcome]]) -> None:
    lab, (first, second) = pair
    assert second.said == ""
    assert len(first.said.splitlines()) == 5  # how a batch is shared, three epochs, the test
    assert {path.name for path in (lab.root / "two").rglob("*") if path.is_file()} == {
        "best.ckpt",
        "model.safetensors",
        "test.json",
        "trained.json",
        "training.csv",
    }


def test_killed_processes_go_on_together(pair: tuple[Lab, list[Outcome]]) -> None:
    lab, _ = pair
    config = lab.root / "config.yaml"
    for outcome in together(lab, config, "killed", stop=Moment(epoch=1, batch=1)):
        assert outcome.status == -signal.SIGKILL
    outcomes = together(lab, config, "killed")
    assert [outcome.status for outcome in outcomes] == [0, 0]
    assert "resuming from" in outcomes[0].said and "epoch 1/3" not in outcomes[0].said
    ours, theirs = (load_file(lab.root / run / "model.safetensors") for run in ("two", "killed"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_odd_number_of_images_is_made_even(lab: Lab) -> None:
    """The last batch of 3 becomes one of 4 by its epoch's first image; the loss stays close to that of one process."""
    config = lab.config(training={**TRAINING, "epochs": 1})
    assert lab.train(config, "one").status == 0
    assert [outcome.status for outcome in together(lab, config, "two")] == [0, 0]
    one, two = (pd.read_csv(lab.root / run / "training.csv") for run in ("one", "two"))
    assert two["val_loss"].item() == pytest.approx(one["val_loss"].item(), rel=0.02)


@pytest.mark.slow
def test_lightning_starts_the_processes_itself(pair: tuple[Lab, list[Outcome]]) -> None:
    lab, _ = pair
    folders = (
        "--config",
        lab.root / "config.yaml",
        "--data",
        lab.root / "data",
        "--output",
        lab.root / "started",
    )
    outcome = run_program(
        "dynvision", "train", *folders, "--loader", "torch", "--accelerator", "cpu", "--devices", 2
    )
    assert outcome.status == 0, outcome.said
    assert outcome.said.count("test accuracy") == 1
    ours, theirs = (load_file(lab.root / run / "model.safetensors") for run in ("two", "started"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


# --- as many as were asked for ---------------------------------------------------------------------------------------


def settings(**execution: Any) -> dict[str, Any]:
    return launch_settings(validate(ExecutionConfig, execution, "execution"), torch.device("cpu"))


@pytest.mark.parametrize(
    ("execution", "environment", "said"),
    [
        (
            {"devices": 4},
            {"SLURM_STEP_NUM_TASKS": "2"},
            "2 of the 4 processes that train together have been started",
        ),
        ({"devices": 2, "num_nodes": 2}, {"SLURM_STEP_NUM_TASKS": "2"}, "srun --nodes=2 --ntasks-per-node=2"),
        ({"num_nodes": 2}, {}, "1 of the 2 processes"),
        ({"num_nodes": 2}, {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1"}, "1 of the 2 processes"),
        ({}, {"SLURM_STEP_NUM_TASKS": "2"}, "2 of the 1 processes"),
        ({}, {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2"}, "2 of the 1 processes"),
    ],
)
def test_other_processes_than_asked_for_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, execution: dict[str, Any], environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as error:
        settings(**execution)
    assert said in str(error.value)


def test_a_job_of_one_task_does_not_make_one_of_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning left to itself would train with one process and say nothing."""
    for name in ("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.setenv(name, "1")
    (environment,) = settings(devices=2)["plugins"]
    assert not environment.creates_processes_externally


def test_the_world_is_counted_when_it_has_met() -> None:
    with pytest.raises(InputError, match="1 of the 2 processes"):
        WorldSize(validate(ExecutionConfig, {"devices": 2}, "")).on_fit_start(None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("batch_size", "said"), [(7, "nearest valid values: 6 and 8"), (1, "nearest valid values: 2")]
)
def test_a_batch_is_shared_equally(batch_size: int, said: str) -> None:
    execution = validate(ExecutionConfig, {"devices": 2}, "")
    assert images_per_process(16, execution) == 8
    with pytest.raises(InputError) as error:
        images_per_process(batch_size, execution)
    assert said in str(error.value)


def test_the_log_says_how_images_are_shared() -> None:
    training = TrainingConfig(batch_size=16, accumulate_batches=2, learning_rate=0.002)
    assert describe_processes(training, ExecutionConfig()) == ""
    assert describe_processes(training, ExecutionConfig(devices=4, num_nodes=2)) == (
        "8 processes on 2 nodes train together: each is shown its own 2 of the 16 images of a batch, in the order of the "
        "seed; 32 images per update, learning rate 0.002"
    )
