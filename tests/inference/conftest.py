"""A run that was trained on the bundled digits, where the workflow would put it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import dynvision
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.yaml_text import to_yaml
from dynvision.inference import Predictor
from dynvision.runs import ResultPaths
from tests.lab import forked_command

SECTIONS: dict[str, Any] = {
    "model": {
        "name": "DyRCNNx2",
        "args": {"n_timesteps": 5, "t_recurrence": 2, "t_idle": 6, "rctype": "full"},
    },
    "data": {"name": "digits", "resolution": 8},
    "training": {"epochs": 1, "limit_batches": 20, "batch_size": 32, "learning_rate": 0.02},
    "seed": 3,
}


def train(results: Path, **changes: object) -> Path:
    """Convert and train below a folder of results; the run's folder."""
    sections = {**SECTIONS, **changes}
    run = validate(RunConfig, sections, "")
    paths = ResultPaths(results)
    folder = paths.run(run.run_id)
    folder.mkdir(parents=True)
    config = folder / "config.yaml"
    config.write_text(to_yaml(run))
    data = paths.data(run.data_id)
    reading = ("--config", config, "--data", data, "--accelerator", "cpu", "--loader", "memory")
    for command in (
        ("convert", "--config", config, "--output", data, "--loader", "torch"),  # without FFCV's files
        ("train", *reading, "--output", folder),
    ):
        outcome = forked_command(*command, log=results / "log")
        assert outcome.status == 0, outcome.said
    return folder


BRIEF = {"epochs": 1, "limit_batches": 3, "batch_size": 32}
VARIANTS: dict[str, dict[str, object]] = {
    "64": {"training": {**BRIEF, "precision": "64"}},
    "bf16-mixed": {"training": {**BRIEF, "precision": "bf16-mixed"}},
    "jpg": {"training": BRIEF, "data": {**SECTIONS["data"], "write_mode": "jpg"}},
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a run, "plain", and of its variants, all trained before this process has computed much."""
    import pytorch_lightning  # noqa: F401  # once, before all forks
    import sklearn  # noqa: F401

    folder = tmp_path_factory.mktemp("lab")
    return {name: train(folder / name, **changes) for name, changes in {"plain": {}, **VARIANTS}.items()}


@pytest.fixture(scope="session")
def digits_run(runs: dict[str, Path]) -> Path:
    """The folder of the run; only to be read."""
    return runs["plain"]


@pytest.fixture
def own_run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of it and of its data."""
    shutil.copytree(digits_run.parents[1], tmp_path / "results")
    return tmp_path / "results" / "runs" / digits_run.name


@pytest.fixture(scope="module")
def predictor(runs: dict[str, Path]) -> Predictor:
    """The run, loaded; with the settings that it has at first."""
    return dynvision.load(runs["plain"], device="cpu")
