"""What cannot be is said in one sentence before any job is planned: what was given, what is allowed, which key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynvision.config.run import RunConfig, read_run_config
from dynvision.config.section import validate
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError, unknown_name
from dynvision.runs import plan_workflow

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    # names, with the nearest valid one
    "model": (
        {"model_name": "DyRCNx4"},
        "unknown model 'DyRCNx4' (key model_name); did you mean 'DyRCNNx4'?",
    ),
    "own model": (
        {"model_name": "my_labb.nets:MyNet"},
        "model_name 'my_labb.nets:MyNet': there is no module 'my_labb'",
    ),
    "one model of a list": ({"model_name": ["DyRCNNx4", "CordsNet9"]}, "unknown model 'CordsNet9'"),
    "experiment": (
        {"experiment": "contrst"},
        "unknown experiment 'contrst' (key experiment); did you mean 'contrast'?",
    ),
    "data set": ({"data_name": "digit"}, "unknown data set 'digit' (key data_name); did you mean 'digits'?"),
    "key of the workflow": (
        {"modelname": "x"},
        "unknown key 'modelname' (key modelname); did you mean 'model_name'?",
    ),
    "key of the model": ({"model_args": {"rctyp": "full"}}, "unknown key 'rctyp' (key model_args.rctyp)"),
    "key of training": (
        {"training": {"epoch": 3}},
        "unknown key 'epoch' (key training.epoch); did you mean 'epochs'?",
    ),
    "key of data": ({"data": {"resolutions": 3}}, "(key data.resolutions); did you mean 'resolution'?"),
    "key of execution": (
        {"execution": {"workers": 3}},
        "(key execution.workers); did you mean 'num_workers'?",
    ),
    "key of looks": (
        {"visualization": {"palete": {}}},
        "(key visualization.palete); did you mean 'palette'?",
    ),
    "key of an experiment": (
        {"experiments": {"contrast": {"baseline": 2}}},
        "(key experiments.contrast.baseline); did you mean 'baseline_ms'?",
    ),
    "key of a stimulus": (
        {"experiments": {"contrast": {"stimulus": {"contrst": 1}}}},
        "(key experiments.contrast.stimulus.contrst); did you mean 'contrast'?",
    ),
    "key of model": (
        {"model": {"nam": "DyRCNNx4"}},
        "unknown key 'nam' (key model.nam); did you mean 'name'?",
    ),
    "family": (
        {"model_defaults": {"DyRCN": {}}},
        "unknown model or family of models 'DyRCN' (key model_defaults)",
    ),
    "key without a space": (
        {"model_args": {"rctype:full": ""}},
        "put a space after the colon: rctype: full",
    ),
    # values
    "recurrence type": (
        {"model_args": {"rctype": "ful"}},
        "unknown value 'ful' (key model_args.recurrence_type); did you mean 'full'?",
    ),
    "loader": (
        {"execution": {"loader": "trch"}},
        "unknown value 'trch' (key execution.loader); did you mean 'torch'?",
    ),
    "optimizer": ({"training": {"optimizer": "Adamm"}}, "(key training.optimizer); did you mean 'Adam'?"),
    "schedule": ({"training": {"scheduler": "StepLr"}}, "(key training.scheduler); did you mean 'StepLR'?"),
    "loss": ({"training": {"loss": "CrossEntropy"}}, "(key training.loss); did you mean 'CrossEntropyLoss'?"),
    "weight of a loss": ({"training": {"loss": {"ActivityLoss": {"weigth": 1}}}}, "did you mean 'weight'?"),
    "form of a loss": ({"training": {"loss": 5}}, "training.loss=5 is not valid"),
    "no loss": ({"training": {"loss": []}}, "training.loss is empty"),
    "no weight": ({"training": {"loss": {"ActivityLoss": 0}}}, "no term has a weight above 0"),
    "measure": ({"experiments": {"contrast": {"measures": ["pek"]}}}, "did you mean 'peak'?"),
    "parameter": ({"experiments": {"contrast": {"parameter": "durations"}}}, "did you mean 'duration_ms'?"),
    "text for a number": ({"model_args": {"tau": "fast"}}, "model_args.tau='fast' is not valid"),
    "infinite": (
        {"model_args": {"tau": "inf"}},
        "model_args.tau=inf is not valid: it must be a number",
    ),
    "larger than any float": (
        {"model_args": {"n_timesteps": 10**400}},
        "model_args.n_timesteps is a whole number of about 401",
    ),
    "the same in a list": (
        {"experiments": {"contrast": {"values": [10**400]}}},
        "contrast.values is a whole number of about 401",
    ),
    "fraction of a step": ({"model_args": {"n_timesteps": 2.5}}, "model_args.n_timesteps=2.5 is not valid"),
    "negative": ({"model_args": {"tau": -5}}, "model_args.tau=-5 is not valid"),
    "seed": ({"seed": "one"}, "seed.0='one' is not valid"),
    "negative seed": ({"seed": -1}, "seed=-1 is not valid"),
    "resolution": ({"data": {"resolution": "large"}}, "data.resolution='large' is not valid"),
    "small resolution": ({"data": {"resolution": 2}}, "the smallest value allowed is 4 px"),
    "channels": ({"data": {"n_channels": 2}}, "n_channels=2 is not possible; allowed: 1 (grey), 3 (colour)"),
    "contrast": ({"experiments": {"contrast": {"values": [0.5, 1.5]}}}, "values.contrast=1.5 is not valid"),
    "folder": ({"data_name": "folder:"}, "names no folder"),
    "no number as a value": (
        {"experiments": {"contrast": {"values": [1, float("nan")]}}},
        "experiments.contrast: values: nan is not finite",
    ),
    "a space after folder:": (
        {"data_name": {"folder": "my/images"}},
        "data_name is a key 'folder'; write folder:<path>",
    ),
    "one of several": ({"data_name": ["digits", {"folder": "a"}]}, "without a space after the colon"),
    "results": ({"results_dir": ""}, "results_dir='' is not valid"),
    "name of an experiment": ({"experiments": {"a/b": {}}}, "'a/b' cannot be the name of an experiment"),
    "reserved name": ({"experiments": {"training": {}}}, "'training' cannot be the name of an experiment"),
    # forms
    **{
        f"{section} is a number": ({section: 5}, f"{section}")
        for section in (
            "model",
            "model_args",
            "model_defaults",
            "training",
            "data",
            "execution",
            "experiments",
        )
    },
    "experiment is a number": (
        {"experiments": {"contrast": 5}},
        "experiments.contrast must hold keys and values",
    ),
    "family is a number": (
        {"model_defaults": {"DyRCNN": 5}},
        "model_defaults.DyRCNN must hold keys and values",
    ),
    **{
        f"no {name}": ({name: []}, f"{name} is an empty list")
        for name in ("model_name", "data_name", "experiment", "seed")
    },
    "nothing to sweep": ({"model_args": {"tau": []}}, "model_args.tau is an empty list"),
    "twice": ({"model_args": {"trc": 4, "t_recurrence": 4}}, "'t_recurrence' is given twice"),
    "two forms": ({"model": {"name": "DyRCNNx4"}, "model_name": "DyRCNNx4"}, "are the same key"),
    "input dims": ({"model_args": {"input_dims": [3, 24, 24]}}, "write [steps, channels, height, width]"),
    "oblong input": ({"model_args": {"input_dims": [20, 3, 24, 32]}}, "with equal height and width"),
    "two resolutions": (
        {"model_args": {"input_dims": [20, 3, 24, 24]}, "data": {"resolution": 32}},
        "model_args.input_dims=[20, 3, 24, 24] and data.resolution=32 contradict",
    ),
    # time
    "delay off the grid": (
        {"model_args": {"trc": 5}},
        "t_recurrence=5 ms is not a multiple of dt=2 ms; nearest valid values: 4 ms and 6 ms",
    ),
    "delay below a step": (
        {"model_args": {"trc": 1}},
        "t_recurrence=1 ms is too small; the smallest value allowed is 2 ms",
    ),
    "tau below dt": ({"model_args": {"tau": 1}}, "dt=2 ms is larger than tau=1 ms"),
    "adaptation below dt": ({"model_args": {"tau_input_adaptation": 1}}, "must not be smaller than dt=2 ms"),
    "one value of a sweep": ({"model_args": {"trc": [4, 6, 7]}}, "t_recurrence=7 ms is not a multiple"),
    "stimulus off the grid": (
        {"experiments": {"contrast": {"stimulus": {"duration_ms": 41}}}},
        "experiments.contrast.stimulus.duration_ms=41 ms is not a multiple of dt=2 ms",
    ),
    "baseline off the grid": (
        {"experiments": {"contrast": {"baseline_ms": 3}}},
        "experiments.contrast.baseline_ms=3 ms",
    ),
    "duration off the grid": (
        {"experiment": "duration", "experiments": {"duration": {"values": [2, 5]}}},
        "experiments.duration.stimulus.duration_ms=5 ms is not a multiple of dt=2 ms",
    ),
    "grid of the test": (
        {"experiments": {"contrast": {"model_args": {"dt": 3, "trc": 3, "tfb": 30, "t_idle": 30}}}},
        "experiments.contrast.baseline_ms=2 ms is not a multiple of dt=3 ms",
    ),
    "idle off the grid": (
        {"experiments": {"contrast": {"model_args": {"idle": 3}}}},
        "experiments.contrast: model_args: t_idle=3",
    ),
    "key of a test": ({"experiments": {"contrast": {"model_args": {"t_idl": 4}}}}, "did you mean 't_idle'?"),
    "recording too short": (
        {"experiments": {"contrast": {"recorded_ms": 20}}},
        "recorded_ms=20 ms ends before",
    ),
    "pattern without a stimulus": ({"model_args": {"pattern": "00"}}, "does not show the stimulus"),
    "pattern that may be cut": (
        {"model_args": {"pattern": "0001", "shufflepattern": True, "n_timesteps": 3}},
        "does not show the stimulus in every presentation of 3 steps",
    ),
    "no pattern": (
        {"model_args": {"pattern": "012"}},
        "model_args.data_presentation_pattern='012' is not valid",
    ),
    "layer that no model has": (
        {"experiments": {"contrast": {"focus_layer": "V9"}}},
        "unknown layer 'V9' (key experiments.contrast.focus_layer); did you mean 'V4'?",
    ),
    "colour by name": (
        {"visualization": {"palette": {"V1": "blau"}}},
        "visualization.palette.V1='blau' is no colour; give a hex code in quotes",
    ),
    "hex code too long": (
        {"visualization": {"palette": {"V1": "#0044888"}}},
        "palette.V1='#0044888' is no colour",
    ),
    "one name for a list": (
        {"experiments": {"contrast": {"measures": "peak"}}},
        "measures='peak' is not valid: input should be a list, e.g. [a, b]",
    ),
    "reaction too late": (
        {"model_args": {"lossrt": 20, "pattern": "10"}},
        "leaves nothing to score of a stimulus of 20 ms",
    ),
}


@pytest.mark.parametrize(("overrides", "said"), WRONG.values(), ids=WRONG)
def test_one_sentence(config_dir: str, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        plan_workflow(config_dir, overrides)
    sentence = str(error.value)
    assert said in sentence
    assert "\n" not in sentence and len(sentence) < 400


POSSIBLE: list[dict[str, Any]] = [
    {"model_args": {"tau": 1, "solver": "exponential_euler"}},
    {"model_args": {"lossrt": 18, "pattern": "10"}},
    {"model_args": {"pattern": "0001", "shufflepattern": True, "n_timesteps": 4}},
    {"model_args": {"dt": 0.1, "tau": 0.3, "trc": 0.3, "tff": 0.7}},
    {"experiments": {"contrast": {"values": 0.5}}},
    {"experiments": {"blink-2.0": {"values": [1]}}, "experiment": "blink-2.0"},
    {"data": {"split_seed": 0}},
    {"model_name": "DyRCNNx2", "experiments": {"contrast": {"focus_layer": "IT"}}},  # which others have
    {"visualization": {"palette": {"V1": "#048"}}},
]


@pytest.mark.parametrize("overrides", POSSIBLE, ids=str)
def test_what_is_possible_is_planned(config_dir: str, overrides: dict[str, Any]) -> None:
    assert len(plan_workflow(config_dir, overrides).runs) == 1


def test_all_mistakes_of_a_section_are_told(config_dir: str) -> None:
    with pytest.raises(InputError) as error:
        plan_workflow(config_dir, {"training": {"epoch": 3, "batch_size": 0}})
    assert "unknown key 'epoch'" in str(error.value) and "training.batch_size=0" in str(error.value)


def test_a_long_list_does_not_hide_the_nearest_name() -> None:
    names = [f"name{number}" for number in range(30)]
    assert str(unknown_name("key", "nam3", names)) == "unknown key 'nam3'; did you mean 'name3'?"
    assert str(unknown_name("key", "zzz", names)).endswith("name8, name9")
    assert str(unknown_name("key", "one", ["two", "three"])) == "unknown key 'one'; allowed: three, two"
    assert str(unknown_name("model", "dyrcnnX4", ["DyRCNNx4"], "model_name")) == (
        "unknown model 'dyrcnnX4' (key model_name); did you mean 'DyRCNNx4'? allowed: DyRCNNx4"
    )


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; call in a clone"):
        load_workflow_config(tmp_path / "config")
    path = tmp_path / "config_workflow.yaml"
    for content, said in {
        b"model_name: [DyRCNNx4": f"{path} is not valid YAML",
        b"- DyRCNNx4": f"{path} must hold keys and values, not a list",
        b"\xff\xfe\x00": f"{path} cannot be read as text",
        b"model: DyRCNNx4": f"{path}: model must have the keys name and args",
    }.items():
        path.write_bytes(content)
        with pytest.raises(InputError) as error:
            load_workflow_config(tmp_path)
        assert said in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="none.yaml does not exist"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("config_workflow.yml", "config_workflow.yaml"),
        ("config_experiment.yaml", "config_experiments.yaml"),
        ("Config-Data.yaml", "config_data.yaml"),
    ],
)
def test_a_file_that_is_nearly_named_as_one_that_is_read(tmp_path: Path, name: str, meant: str) -> None:
    (tmp_path / name).write_text("seed: 3")
    (tmp_path / "config_mine.yaml").write_text("seed: 4")  # for --configfile
    (tmp_path / f"{meant}.bak").write_text("seed: 5")
    with pytest.raises(InputError) as error:
        load_workflow_config(tmp_path)
    assert f"{name} is not read; name it {meant}" in str(error.value)
    assert load_workflow_config(tmp_path, {}, [tmp_path / name]).seed == (3,)
    (tmp_path / name).rename(tmp_path / meant)
    assert load_workflow_config(tmp_path).seed == (3,)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "config_workflow.yaml").write_text("# nothing yet\n")
    assert load_workflow_config(tmp_path).model_name == ("DyRCNNx4",)


def test_a_frozen_run_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model: {name: DyRCNNx4, args: {tua: 5}}\n")
    with pytest.raises(InputError) as error:
        read_run_config(path)
    assert str(error.value).startswith(f"{path}: unknown key 'tua'")
    path.write_text("model: 5\n")
    with pytest.raises(InputError, match="model=5 is not valid"):
        read_run_config(path)


def test_sections_cannot_be_changed() -> None:
    run = validate(RunConfig, {}, "")
    with pytest.raises(ValueError, match="frozen"):
        run.seed = 3  # type: ignore[misc]


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    """Sparse, so that it takes no place on the disk; to read it would take 20 GB of memory."""
    path = tmp_path / "config.yaml"
    with open(path, "wb") as file:
        file.truncate(20 * 2**30)
    with pytest.raises(InputError, match=r"config.yaml has more than 16,777,216 bytes"):
        read_yaml(path)
