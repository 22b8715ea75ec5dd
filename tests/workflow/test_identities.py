"""What figures and scorecards are made from: also tables of cortex, and the code that compares with it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dynvision import extend
from dynvision.cli import scorecard
from dynvision.config.experiment import ExperimentConfig, frozen_experiment
from dynvision.config.measures import TARGET_TABLES, ScorecardConfig
from dynvision.config.visualization import VisualizationConfig
from dynvision.config.yaml_text import read_yaml
from dynvision.runs import made_from


def look() -> str:
    return made_from.look_identity(VisualizationConfig(), ScorecardConfig())


def test_a_table_of_targets_is_part_of_how_figures_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        TARGET_TABLES, "_entries", dict(vars(TARGET_TABLES).get("_entries", {})), raising=False
    )
    plain = look()
    assert look() == plain
    table = tmp_path / "mine.csv"
    table.write_text("area,value\nV1,1\n")
    extend.targets(table)
    try:
        first = look()
        table.write_text("area,value\nV1,2\n")
        assert len({plain, first, look()}) == 3
    finally:
        TARGET_TABLES.remove(str(table))


def test_the_code_of_the_scorecard_is_part_of_a_scorecard(monkeypatch: pytest.MonkeyPatch) -> None:
    before = made_from.of_scorecard(ScorecardConfig(), {}, "look")
    monkeypatch.setattr(made_from, "code_of", lambda room: f"changed {room}")
    after = made_from.of_scorecard(ScorecardConfig(), {}, "look")
    assert before != after and after["code"] == "changed analysis/scorecard"


class StopHere(BaseException):
    """Ends a command once the experiment is frozen."""


def test_the_scorecard_freezes_experiments_with_their_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise StopHere

    monkeypatch.setattr("dynvision.config.experiment.plugins_of_experiment", lambda *_: ("my_study.py",))
    monkeypatch.setattr("dynvision.data.manifest.read_manifest", stop)
    experiment = ExperimentConfig()
    images = SimpleNamespace(images=None, name="digits")
    finished: Any = SimpleNamespace(config=SimpleNamespace(run_id="a", data=images), data=tmp_path)
    with pytest.raises(StopHere):
        scorecard._shown(finished, "mine", experiment, tmp_path, None)  # type: ignore[arg-type]
    frozen = read_yaml(tmp_path / "experiments" / "mine" / "config.yaml")
    assert frozen["plugins"] == ["my_study.py"] and frozen == frozen_experiment("mine", experiment)
