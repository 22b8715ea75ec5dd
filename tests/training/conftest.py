"""Trainings that several tests compare with."""

from __future__ import annotations

import pytest

from tests.lab import Lab
from tests.training.runs import EVERYTHING


@pytest.fixture(scope="module")
def everything(trained_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Trained without a disturbance, with everything that has a state of its own."""
    lab = Lab(tmp_path_factory.mktemp("everything"), trained_lab.images)
    (lab.root / "data").symlink_to(trained_lab.root / "data")
    lab.config(training=EVERYTHING)
    outcome = lab.train()
    assert outcome.status == 0, outcome.said
    assert "had not become better for 3 epochs" in outcome.said
    return lab
