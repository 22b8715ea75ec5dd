"""The short names of scientists: each is the same run as its long name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.run import RunConfig, resolve_model_args
from dynvision.config.training import TrainingConfig
from dynvision.config.workflow import load_workflow_config
from dynvision.errors import InputError
from dynvision.parameter_names import MODEL_ALIASES, TRAINING_ALIASES, expand_aliases
from dynvision.runs import expand_runs
from tests.config.other_values import MODEL_VALUES, TRAINING_VALUES


@pytest.mark.parametrize(("short", "long"), MODEL_ALIASES.items())
def test_short_name_of_a_model_argument(short: str, long: str) -> None:
    value = MODEL_VALUES[long]
    by_short, by_long = (resolve_model_args("DyRCNNx4", {name: value}) for name in (short, long))
    assert by_short == by_long
    assert getattr(by_short, long) != getattr(DyRCNNArgs(), long)


@pytest.mark.parametrize(("short", "long"), TRAINING_ALIASES.items())
def test_short_name_of_a_training_key(short: str, long: str, config_dir: str) -> None:
    value = TRAINING_VALUES[long]
    by_short, by_long = (
        next(iter(expand_runs(load_workflow_config(config_dir, {"training": {name: value}})).values()))
        for name in (short, long)
    )
    assert by_short.run_id == by_long.run_id
    assert getattr(by_short.training, long) != getattr(TrainingConfig(), long)


def test_short_names_are_no_keys_themselves() -> None:
    assert not set(MODEL_ALIASES) & set(DyRCNNArgs.model_fields)
    assert set(MODEL_ALIASES.values()) <= set(DyRCNNArgs.model_fields)
    assert not set(TRAINING_ALIASES) & set(TrainingConfig.model_fields)
    assert set(TRAINING_ALIASES.values()) <= set(TrainingConfig.model_fields)


def test_the_table_of_the_published_names() -> None:
    assert {
        name: MODEL_ALIASES[name] for name in ("rctype", "trc", "tff", "tfb", "tsk", "lossrt", "pattern")
    } == {
        "rctype": "recurrence_type",
        "trc": "t_recurrence",
        "tff": "t_feedforward",
        "tfb": "t_feedback",
        "tsk": "t_skip",
        "lossrt": "loss_reaction_time",
        "pattern": "data_presentation_pattern",
    }
    assert (MODEL_ALIASES["idle"], MODEL_ALIASES["ffonly"]) == ("t_idle", "feedforward_only")


def test_short_and_long_in_one_place_contradict() -> None:
    with pytest.raises(InputError, match="'t_recurrence' is given twice, once by its short name"):
        expand_aliases({"trc": 4, "t_recurrence": 6}, MODEL_ALIASES, "model_args")


@pytest.mark.parametrize("on_top", [{"trc": 4}, {"t_recurrence": 4}])
def test_command_line_overrules_a_file_under_either_name(on_top: dict[str, Any], tmp_path: Path) -> None:
    for in_file in ("trc: 8", "t_recurrence: 8"):
        (tmp_path / "config_workflow.yaml").write_text(f"model_args: {{{in_file}}}\n")
        workflow = load_workflow_config(tmp_path, {"model_args": on_top})
        assert workflow.model_args == {"t_recurrence": 4}


def test_command_line_overrules_an_experiment_under_either_name(config_dir: str) -> None:
    changed = {"experiments": {"contrast": {"model_args": {"idle": 10}}}}
    workflow = load_workflow_config(config_dir, changed)
    assert workflow.experiments["contrast"].model_args == {"t_idle": 10}
    assert workflow.experiments["duration"].model_args == {"t_idle": 40}


def test_short_names_in_a_frozen_run() -> None:
    run = RunConfig.model_validate({"model": {"name": "DyRCNNx2", "args": {"rctype": "self", "trc": 4}}})
    assert (run.model.args["recurrence_type"], run.model.args["t_recurrence"]) == ("self", 4.0)
    assert "rctype" not in run.model.args
