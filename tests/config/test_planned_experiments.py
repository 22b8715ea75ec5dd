"""Experiments as they are planned: merged with others, and refused where no run can do them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dynvision.config.run import changed_in_test
from dynvision.config.workflow import load_workflow_config
from dynvision.errors import InputError
from dynvision.runs import plan_workflow


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        ({"group": [99]}, "experiments.mine: group: digits has no class 99; its 10 classes are 0 to 9"),
        ({"group": {"digits": [3, 10]}}, "experiments.mine: group.digits: digits has no class 10"),
        (
            {"stimulus": {"duration_ms": 2}, "baseline_ms": 0, "recorded_ms": 2},
            "recorded_ms=2 ms is a record of 1 step of dt=2 ms after onset; record at least 4 ms",
        ),
        (
            {"parameter": "sigma", "values": [0.3, 0.5]},
            "experiments.mine: parameter sigma changes nothing in DyRCNNx4: it is of the normalisation; set "
            "divisive_normalization: true or dynamics_solver: organics, or vary another",
        ),
        (
            {"parameter": "t_lesion_start", "values": [0, 60], "model_args": {"lesion": "V1->V4"}},
            "experiments.mine: t_lesion_start=60 ms is not before the record ends; lower it, or raise recorded_ms=60",
        ),
        (
            {"baseline_ms": 4, "model_args": {"lesion": "V1->V4", "t_lesion_end": -44, "t_idle": 40}},
            "t_lesion_end=-44 ms is not after the trial begins at -44 ms; raise it, or baseline_ms=4",
        ),
    ],
    ids=str,
)
def test_what_would_fail_after_hours_is_refused_at_planning(
    config_dir: str, mine: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as error:
        plan_workflow(config_dir, {"experiments": {"mine": mine}, "experiment": "mine"})
    assert said in str(error.value)


@pytest.mark.parametrize(
    "mine",
    [
        {"parameter": "sigma", "values": [0.3, 0.5], "model_args": {"divisive_normalization": True}},
        {"parameter": "t_lesion_start", "values": [-42, 58], "model_args": {"lesion": "V1->V4"}},
        {
            "parameter": "lesion_gain",
            "values": [0, 1],
            "model_args": {"lesion": "V1->V4", "t_idle": 40, "t_lesion_end": -40},
        },
    ],
    ids=str,
)
def test_what_acts_can_vary(config_dir: str, mine: dict[str, Any]) -> None:
    assert (
        "mine" in plan_workflow(config_dir, {"experiments": {"mine": mine}, "experiment": "mine"}).experiments
    )


def test_a_parameter_that_acts_in_one_of_the_networks_can_vary(config_dir: str) -> None:
    mine = {"mine": {"parameter": "t_recurrence", "values": [4, 8]}}
    asked = {"experiments": mine, "experiment": "mine", "model_args": {"recurrence_type": ["full", "none"]}}
    assert len(plan_workflow(config_dir, asked).runs) == 2


def test_a_class_that_the_run_does_not_know_is_refused_at_planning(config_dir: str, tmp_path: Path) -> None:
    mine = {"mine": {"group": [5]}}
    asked = {"experiments": mine, "experiment": "mine", "data": {"group": [0, 1]}}
    with pytest.raises(
        InputError, match=r"class 5 is not among those of digits that the run is trained on .*0, 1"
    ):
        plan_workflow(config_dir, asked)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / name / "1.png")
    for group, said in (
        (["catt"], "unknown class 'catt' .*did you mean 'cat'"),
        ([2], "has no class 2; its 2 classes are 0 to 1"),
    ):
        asked = {
            "experiments": {"mine": {"group": group}},
            "experiment": "mine",
            "data_name": f"folder:{tmp_path}",
        }
        with pytest.raises(InputError, match=said):
            plan_workflow(config_dir, asked)


def test_an_experiment_like_another(config_dir: str) -> None:
    mine = {
        "first": {"stimulus": {"duration_ms": 20}, "values": [0.5], "model_args": {"idle": 4}},
        "second": {"like": "first", "stimulus": {"contrast": 0.5}, "parameter": "duration_ms", "values": [8]},
        "third": {"like": "second", "model_args": {"ffonly": True}},
    }
    made = load_workflow_config(config_dir, {"experiments": mine}).experiments
    assert made["second"].stimulus.model_dump() == {"type": "pulse", "contrast": 0.5, "duration_ms": 20.0}
    assert made["third"].model_args == {"t_idle": 4, "feedforward_only": True}
    assert (made["third"].parameter, made["third"].values, made["third"].like) == (
        "duration_ms",
        (8,),
        "second",
    )
    for wrong, said in (
        (
            {"like": "fiirst"},
            "unknown experiment 'fiirst' (key experiments.other.like); did you mean 'first'?",
        ),
        ({"like": "other"}, "'other' is in turn like 'other'"),
    ):
        with pytest.raises(InputError) as error:
            load_workflow_config(config_dir, {"experiments": {**mine, "other": wrong}})
        assert said in str(error.value)


def test_the_feedforward_only_twin_of_any_experiment(config_dir: str) -> None:
    plan = plan_workflow(config_dir, {"experiment": ["masking", "maskingffonly"]})
    original, twin = plan.experiments.values()
    assert twin == original.model_copy(
        update={"like": "masking", "model_args": {**original.model_args, "feedforward_only": True}}
    )
    with pytest.raises(InputError, match="unknown experiment 'maskngffonly'"):
        plan_workflow(config_dir, {"experiment": "maskngffonly"})


def test_short_names_of_what_varies(config_dir: str) -> None:
    mine = {"mine": {"parameter": "idle", "values": [0, 4]}}
    (made,) = plan_workflow(config_dir, {"experiments": mine, "experiment": "mine"}).experiments.values()
    assert made.parameter == "t_idle"


@pytest.mark.parametrize(
    ("execution", "epochs", "said"),
    [
        ({}, 300, "needs the checkpoints of the epochs 50, 100, 150, 200, 250, 300"),
        (
            {"checkpoint_every": 100},
            300,
            "needs the checkpoints of the epochs 50, 150, 250, which a run of training.epochs=300",
        ),
        ({"checkpoint_every": 10}, 260, "the epochs 300"),
        ({"checkpoint_every": 25}, 300, ""),
    ],
    ids=str,
)
def test_checkpoints_that_no_run_keeps(config_dir: str, execution: Any, epochs: int, said: str) -> None:
    overrides = {"experiment": "responseintermediate", "execution": execution, "training": {"epochs": epochs}}
    if not said:
        assert plan_workflow(config_dir, overrides).experiments
        return
    with pytest.raises(InputError) as error:
        plan_workflow(config_dir, overrides)
    assert said in str(error.value)


def test_loss_settings_do_not_matter_in_a_test(config_dir: str) -> None:
    """20 steps of 1 ms would leave nothing to score after 28 ms, but a test scores no loss."""
    plan_workflow(config_dir, {"experiment": "contrast_ecog", "model_args": {"lossrt": 28}})


def test_an_experiment_does_not_shorten_a_network_s_rest() -> None:
    """CordsNet is trained from 200 ms of spontaneous activity; an experiment with t_idle 40 keeps them."""
    assert changed_in_test({"t_idle": 200.0}, {"t_idle": 40}) == {"t_idle": 200.0}
    assert changed_in_test({"t_idle": 0.0}, {"t_idle": 40}) == {"t_idle": 40.0}
    assert changed_in_test({"t_idle": 200.0}, {"t_idle": 0}, varied="t_idle") == {"t_idle": 0}
    assert changed_in_test({"t_idle": 200.0}, {"feedforward_only": True}) == {"feedforward_only": True}
