"""Names of DynVision 0.1 whose unit, place or meaning is another one here: one sentence, wherever they are given."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from dynvision.cli import main
from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.run import resolve_model_args
from dynvision.config.training import TrainingConfig
from dynvision.errors import InputError
from dynvision.parameter_names import CHANGED, FORMER, MODEL_ALIASES, TRAINING_ALIASES, ChangedMeaning
from dynvision.runs import plan_workflow

CASES = [
    ("model_args", "idle_timesteps", 20, "counted steps of dt; write t_idle in ms, 40 at a dt of 2 ms"),
    ("model_args", "activityloss", 0.02, r"write training: \{loss: \{CrossEntropyLoss: 1, ActivityLoss: 0.02\}\}"),
    ("model_args", "fbmode", "mul", "was the merge of the feedback; write feedback: additive or multiplicative"),
    ("data", "train_ratio", 0.75, r"trained on; write data: \{validation_fraction: 0.25\}"),
    ("training", "gradient_clip_val", 1, r"write training: \{gradient_clip: 1\}"),
    ("experiments", "dsteps", 30, "write the experiment's recorded_ms .* in ms, 60 at a dt of 2 ms"),
    ("experiments", "stim", [1, 5], r"write stimulus: \{duration_ms: ...\} in ms, \[2, 10\] at a dt of 2 ms"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "name", "value", "sentence"), CASES)
def test_a_key_that_does_not_exist_here_is_answered(
    section: str, name: str, value: Any, sentence: str, config_dir: str, tmp_path: Path
) -> None:
    block: Any = {"contrast": {name: value}} if section == "experiments" else {name: value}
    (tmp_path / "mine.yaml").write_text(f"{section}: {block!r}\n")
    for given, files in (({section: block}, []), ({}, [tmp_path / "mine.yaml"])):
        with pytest.raises(InputError, match=f"{name}: '{name}' is a key of DynVision 0.1, .*{sentence}"):
            plan_workflow(config_dir, given, files)


def test_keys_of_the_whole_workflow(config_dir: str) -> None:
    with pytest.raises(InputError, match="unknown key use_debug_mode: .* write mode: debug"):
        plan_workflow(config_dir, {"use_debug_mode": True})
    with pytest.raises(InputError, match="unknown experiment parameter: 'stim' is a key of DynVision 0.1"):
        plan_workflow(config_dir, {"experiments": {"contrast": {"parameter": "stim"}}})


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("epochs", 300, "training: {epochs: 300}"),
        ("lr", 0.1, "training: {lr: 0.1}"),
        ("rctype", "full", "model_args: {rctype: full}"),
        ("tau", 5, "model_args: {tau: 5}"),
        ("resolution", 64, "data: {resolution: 64}"),
        ("devices", 2, "execution: {devices: 2}"),
    ],
)
def test_a_key_outside_of_its_section(name: str, value: Any, where: str, config_dir: str) -> None:
    with pytest.raises(InputError) as caught:
        plan_workflow(config_dir, {name: value})
    assert str(caught.value).endswith(f"; write {where}")


def test_no_key_of_here_is_refused_as_one_of_there() -> None:
    here = {*DyRCNNArgs.model_fields, *TrainingConfig.model_fields, *MODEL_ALIASES, *TRAINING_ALIASES}
    assert not here & set(FORMER)
    assert set(CHANGED) <= set(MODEL_ALIASES)


NOTES = [
    ("idle", 20, "idle=20 is a time in ms here, and was a number of steps in DynVision 0.1; write t_idle: 40 for 20 steps"),
    ("ffonly", True, "ffonly=true removes recurrence and feedback and keeps skip connections here, and DynVision 0.1"),
    ("inadapt", 0.5, "inadapt=0.5 is the strength of a gain that adapts here"),
]  # fmt: skip
PLACES: list[Any] = [
    lambda name, value: {"model_args": {name: value}},
    lambda name, value: {"model": {"args": {name: value}}},
    lambda name, value: {"experiments": {"contrast": {"model_args": {name: value}}}},
    lambda name, value: {"data_defaults": {"digits": {"model_args": {name: value}}}},
    lambda name, value: {"model_defaults": {"DyRCNN": {name: value}}},
]


@pytest.mark.parametrize(("name", "value", "sentence"), NOTES)
def test_a_short_name_that_means_something_else_is_taken_with_a_word(
    name: str, value: Any, sentence: str, config_dir: str, tmp_path: Path
) -> None:
    for place in PLACES:
        (tmp_path / "mine.yaml").write_text(f"{place(name, value)!r}\n")
        for given, files in ((place(name, value), []), ({}, [tmp_path / "mine.yaml"])):
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                plan_workflow(config_dir, given, files)
            (one,) = [str(note.message) for note in found if note.category is ChangedMeaning]
            assert one.startswith(sentence)
    with pytest.warns(ChangedMeaning, match="DynVision 0.1"):
        assert resolve_model_args("DyRCNNx4", {name: value})
    long = {MODEL_ALIASES[name]: value}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ChangedMeaning)
        resolve_model_args("DyRCNNx4", long)
        plan_workflow(config_dir, {"model_args": long, "category": name if name != "inadapt" else "trc"})


def test_a_sweep_and_an_experiment_over_such_a_name(config_dir: str) -> None:
    with pytest.warns(ChangedMeaning, match=r"write t_idle: \[0, 40\] for \[0, 20\] steps of 2 ms"):
        plan_workflow(config_dir, {"category": {"idle": [0, 20]}})
    with pytest.warns(ChangedMeaning, match=r"write t_idle: \[0, 40\] for \[0, 20\] steps"):
        plan_workflow(config_dir, {"experiments": {"contrast": {"parameter": "idle", "values": [0, 20]}}})


def test_the_command_line_says_it_once_in_one_line(
    config_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["config", "show", "model_args={idle: 20}", "--config-dir", config_dir]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert (
        captured.err.startswith("dynvision: idle=20 is a time in ms here") and captured.err.count("\n") == 1
    )
    assert main([*arguments[:2], "model_args={t_idle: 20}", *arguments[3:]]) == 0
    assert capsys.readouterr().err == ""


def test_what_is_shipped_uses_no_such_name(config_dir: str) -> None:
    code = (
        "import warnings; warnings.simplefilter('error'); from dynvision.runs import plan_workflow; "
        f"plan_workflow({config_dir!r}, {{'experiment': 'all'}})"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
