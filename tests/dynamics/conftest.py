"""A folder of results with one trained run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dynvision.config.run import read_run_config
from tests.lab import Lab


@pytest.fixture(scope="session")
def results(trained_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the id of the run in it; only to be added to."""
    root = tmp_path_factory.mktemp("dynamics") / "results"
    config = read_run_config(trained_lab.root / "config.yaml")
    shutil.copytree(trained_lab.root / "run", root / "runs" / config.run_id)
    shutil.copy(trained_lab.root / "config.yaml", root / "runs" / config.run_id)
    shutil.copytree(trained_lab.root / "data", root / "data" / config.data_id)
    return root, config.run_id
