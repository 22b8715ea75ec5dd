"""Settings of all tests, and a small laboratory for those that train.

Tests compute on the CPU, on a machine with a GPU as well: many compare bits, and many train in a fork, which cannot use a
GPU that its parent has used. ``pytest -m gpu`` (``make test-gpu``) runs those that are about a GPU, in one call: there
commands run in interpreters of their own instead of forks.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

# Two threads of torch on a machine with two busy cores wait for each other; sums depend on the number of threads, too.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # as the command line has it
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asking whether there is a GPU leaves forks able to use it

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from tests.lab import Lab, write_digits  # noqa: E402

# An example that takes long says that the machine is busy, and nothing about the code.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure(config: pytest.Config) -> None:
    """Hide the GPUs, unless the tests that need one are asked for."""
    if not re.search(r"(?<!not )\bgpu\b", config.option.markexpr):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of small handwritten digits."""
    return write_digits(tmp_path_factory.mktemp("images") / "small digits")


@pytest.fixture(scope="session")
def trained_lab(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Lab:
    """A laboratory with converted images and a trained run; only to be read."""
    import pytorch_lightning  # noqa: F401  # once, before all forks
    import sklearn  # noqa: F401

    lab = Lab(tmp_path_factory.mktemp("lab"), digits)
    lab.config()
    for outcome in (lab.convert(), lab.train()):
        assert outcome.status == 0, outcome.said
    shutil.copy(lab.root / "log", lab.root / "training.log")  # later commands write a log of their own
    return lab


@pytest.fixture
def lab(trained_lab: Lab, tmp_path: Path) -> Lab:
    """A laboratory of one's own, with converted images and nothing trained."""
    (tmp_path / "data").mkdir()
    shutil.copy(trained_lab.root / "data" / "manifest.json", tmp_path / "data")
    shutil.copy(trained_lab.root / "config.yaml", tmp_path)
    return Lab(tmp_path, trained_lab.images)


@pytest.fixture
def lab_with_run(lab: Lab, trained_lab: Lab) -> Lab:
    """A laboratory of one's own, with a trained run."""
    shutil.copytree(trained_lab.root / "run", lab.root / "run")
    return lab
