"""The network that ships stands beside a study that ran the same experiment, and nowhere else."""

from __future__ import annotations

import shutil

import pytest

from dynvision.report import page
from dynvision.report.results import read_results
from dynvision.runs import plan_workflow
from dynvision.trained import CORTICAL, shipped_runs


def chapters(root, run_ids):
    report = page.compose(read_results(root, ["contrast", "duration"], run_ids))
    return [chapter for chapter in report.chapters if chapter.identity.startswith("cortical")]


@pytest.fixture
def shipped(folder, tmp_path, monkeypatch):
    """What ships, with the experiment ``contrast`` as the results of these tests have it."""
    copy = tmp_path / CORTICAL
    shutil.copytree(shipped_runs()[CORTICAL], copy)
    shutil.copy(folder[0] / "experiments" / "contrast" / "config.yaml", copy / "experiments" / "contrast")
    monkeypatch.setattr(page, "shipped_runs", lambda: {CORTICAL: copy})
    return copy


def test_the_same_experiment_is_shown_with_the_scorecard(folder, shipped):
    (chapter,) = chapters(*folder)
    assert "contrast" in chapter.title
    assert [plate.alt for plate in chapter.plates] == ["Responses", "Scorecard"]
    assert all(plate.caption and plate.source.startswith("data:image/svg") for plate in chapter.plates)


def test_another_experiment_is_not(folder):
    assert chapters(*folder) == []


def test_the_network_does_not_stand_beside_itself(folder, shipped):
    own = page.read_run_config(shipped / "config.yaml")
    results = read_results(folder[0], ["contrast"], folder[1])
    for run in results.runs:
        object.__setattr__(run, "config", own)
    assert page._beside(results, results.experiments[0], 1) is None


def test_what_ships_is_the_experiment_of_the_shipped_configuration():
    """Otherwise the demo would not show it: run scripts/ship_experiment.py again."""
    config = plan_workflow("config", {"experiment": "contrast"}).workflow.selected_experiments()["contrast"]
    frozen = shipped_runs()[CORTICAL] / "experiments" / "contrast" / "config.yaml"
    assert page.read_experiment(frozen).config == config
