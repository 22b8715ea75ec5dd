"""Layers of a configuration: defaults < data set < mode < user < command line, and where each value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dynvision.config.generated import show_configuration
from dynvision.config.layers import read_layers
from dynvision.config.workflow import load_workflow_config
from dynvision.errors import InputError
from dynvision.runs import expand_runs, plan_workflow

MODES = sorted(path.stem for path in (Path(__file__).parents[2] / "config" / "modes").glob("*.yaml"))
SETTERS: dict[str, str] = {  # where a key can be set, from the lowest to the highest
    "config_defaults.yaml": "training: {epochs: 10}\n",
    "config_data.yaml": "data_defaults: {digits: {training: {ep: 20}}}\n",
    "modes/first.yaml": "training: {epochs: 30}\n",
    "modes/second.yaml": "training: {ep: 40}\n",
    "config_workflow.yaml": "mode: [first, second]\ntraining: {epochs: 50}\n",
}
FILLERS = {"config_workflow.yaml": "mode: [first, second]\n", "modes/first.yaml": "", "modes/second.yaml": ""}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in {"config_experiments.yaml": "experiments: {contrast: {}}\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("n_set", range(len(SETTERS) + 1))
def test_the_highest_that_says_something_has_the_last_word(tmp_path: Path, n_set: int) -> None:
    folder = write(tmp_path, FILLERS | dict(list(SETTERS.items())[:n_set]))
    (run,) = expand_runs(load_workflow_config(folder)).values()
    assert run.training.epochs == (4, 10, 20, 30, 40, 50)[n_set]
    shown = show_configuration(read_layers(folder, {}))
    (line,) = [line for line in shown.splitlines() if line.startswith("  epochs:")]
    origin = [
        "default",
        f"{folder}/config_defaults.yaml",
        f"{folder}/config_data.yaml: data_defaults.digits",
        *(f"{folder}/{name}" for name in list(SETTERS)[2:]),
    ][n_set]
    assert line == f"  epochs: {run.training.epochs} # {origin}"
    (run,) = expand_runs(load_workflow_config(folder, {"training": {"ep": 60}})).values()
    assert run.training.epochs == 60


def test_each_data_set_has_its_own_defaults(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "config_data.yaml": "data_defaults:\n  mnist: {training: {batch_size: 64}, model_args: {tsteps: 5}}\n",
            "config_defaults.yaml": "training: {batch_size: 32}\n",
        },
    )
    given = {"data_name": ["digits", "mnist"], "model_args": {"tau": [5, 9]}}
    runs = expand_runs(load_workflow_config(tmp_path, given)).values()
    found = {(run.data.name, run.model.args["tau"]): run for run in runs}
    assert {key: run.training.batch_size for key, run in found.items()} == {
        ("digits", 5.0): 32,
        ("digits", 9.0): 32,
        ("mnist", 5.0): 64,
        ("mnist", 9.0): 64,
    }
    assert {run.data.name: run.model.args["n_timesteps"] for run in runs} == {"digits": 20, "mnist": 5}
    digits, mnist = yaml.safe_load_all(show_configuration(read_layers(tmp_path, given)))
    assert (digits["data_name"], mnist["data_name"]) == ("digits", "mnist")
    assert (digits["training"]["batch_size"], mnist["training"]["batch_size"]) == (32, 64)


@pytest.mark.parametrize("mode", MODES)
def test_shipped_modes_can_be_planned(config_dir: str, mode: str) -> None:
    values = yaml.safe_load((Path(config_dir) / "modes" / f"{mode}.yaml").read_text())
    plan = plan_workflow(config_dir, {"mode": mode})
    (run,) = plan.runs.values()
    for section, settings in values.items():
        settings = settings["DyRCNN"] if section == "model_defaults" else settings
        applied = {
            "execution": plan.workflow.execution.model_dump(),
            "training": run.training.model_dump(),
            "model_defaults": run.model.args,
        }[section]
        assert {name: applied[name] for name in settings} == settings


def test_modes_are_added_in_their_order(config_dir: str) -> None:
    plan = plan_workflow(config_dir, {"mode": ["distributed", "debug"], "training": {"epochs": 2}})
    (run,) = plan.runs.values()
    assert (run.training.precision, run.training.limit_batches, run.training.epochs) == ("bf16-mixed", 3, 2)
    assert (plan.workflow.execution.devices, plan.workflow.execution.num_workers) == (4, 0)


@pytest.mark.parametrize("nothing", ["none", "", None, [], False])
def test_no_mode(config_dir: str, nothing: Any) -> None:
    assert (
        plan_workflow(config_dir, {"mode": nothing}).runs.keys() == plan_workflow(config_dir, {}).runs.keys()
    )


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"mode": "debuug"}, "unknown mode 'debuug' (key mode); did you mean 'debug'?"),
        (
            {"data_defaults": {"cifar11": {}}},
            "unknown data set 'cifar11' (key data_defaults.cifar11); did you mean",
        ),
        (
            {"data_defaults": {"mnist": {"training_": {}}}},
            "unknown section 'training_' (key data_defaults.mnist.training_); did you mean 'training'?",
        ),
        (
            {"data_defaults": {"mnist": {"training": {"epoch": 3}}}},
            "unknown key 'epoch' (key data_defaults.mnist.training.epoch); did you mean 'epochs'?",
        ),
        (
            {"data_defaults": {"mnist": {"model_args": {"tau": [3, 4]}}}},
            "data_defaults.mnist.model_args.tau is a list",
        ),
        ({"data_defaults": {"mnist": 3}}, "data_defaults.mnist must hold keys and values, not 3"),
    ],
)
def test_mistakes_are_one_sentence(config_dir: str, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        plan_workflow(config_dir, overrides)
    assert said in str(error.value)


def test_a_mode_does_not_ask_for_another(tmp_path: Path) -> None:
    write(tmp_path, {"modes/first.yaml": "mode: second\n"})
    with pytest.raises(InputError, match=r"first.yaml: a mode cannot ask for another mode"):
        load_workflow_config(tmp_path, {"mode": "first"})


def test_what_is_shown_is_yaml_and_every_value_has_an_origin(config_dir: str) -> None:
    overrides = {"mode": "debug", "model_args": {"trc": [2, 4]}, "training": {"lr": 0.01}}
    text = show_configuration(read_layers(config_dir, overrides))
    values = yaml.safe_load(text)
    (run, _) = plan_workflow(config_dir, overrides).runs.values()
    assert values["training"] == run.training.model_dump(mode="json")
    shown = {name: value for name, value in values["data"].items() if name != "split_seed"}
    assert shown == {name: run.data.model_dump(mode="json")[name] for name in shown}
    assert values["model_args"] == {**run.model.args, "t_recurrence": [2, 4]}
    lines = {
        line.split(":")[0].strip(): line for line in reversed(text.splitlines())
    }  # of equal keys the first
    assert all(" # " in line or line.rstrip().endswith(":") for line in lines.values())
    origins = {
        name: lines[name].rpartition(" # ")[2]
        for name in ("t_recurrence", "learning_rate", "limit_batches", "tau")
    }
    assert origins == {
        "t_recurrence": "--config",
        "learning_rate": "--config",
        "limit_batches": f"{config_dir}/modes/debug.yaml",
        "tau": f"{config_dir}/config_defaults.yaml",
    }
    assert lines["resolution"] == "  resolution: 32 # follows from the rest"
