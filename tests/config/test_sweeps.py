"""Lists are sweeps: what a workflow's configuration expands to."""

from __future__ import annotations

import itertools
import json
import shlex
from typing import Any

import pytest

from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import given_values
from dynvision.errors import InputError
from dynvision.runs import WorkflowPlan, expand_runs, plan_workflow


@pytest.fixture
def plan(config_dir: str) -> Any:
    def make(**overrides: Any) -> WorkflowPlan:
        return plan_workflow(config_dir, overrides)

    return make


def test_the_shipped_configuration_is_one_run_with_all_defaults(plan: Any) -> None:
    assert plan().runs == {RunConfig().run_id: RunConfig()}
    assert list(plan().experiments) == ["contrast"]


def test_product_of_models_data_seeds_and_arguments(plan: Any) -> None:
    made = plan(
        model_name=["DyRCNNx2", "DyRCNNx4"],
        data_name=["digits", "folder:images"],
        seed=[1, 2],
        model_args={"rctype": ["full", "self"], "tau": [5, 8, 12], "trc": 4},
    )
    assert len(made.runs) == 2 * 2 * 2 * 2 * 3
    wanted = itertools.product(
        ("DyRCNNx2", "DyRCNNx4"), ("digits", "folder:images"), (1, 2), ("full", "self"), (5.0, 8.0, 12.0)
    )
    found = [
        (run.model.name, run.data.name, run.seed, run.model.args["recurrence_type"], run.model.args["tau"])
        for run in made.runs.values()
    ]
    assert found == list(wanted)
    assert {run.model.args["t_recurrence"] for run in made.runs.values()} == {4.0}
    assert all(run_id == run.run_id for run_id, run in made.runs.items())


def test_input_dims_are_no_sweep(plan: Any) -> None:
    (run,) = plan(model_args={"input_dims": ["10", "3", "24", "24"], "tau": 8}).runs.values()
    assert (run.model.args["n_timesteps"], run.data.n_channels, run.data.resolution) == (10, 3, 24)
    assert "input_dims" not in run.model.args
    same = plan(model_args={"n_timesteps": 10, "tau": 8}, data={"n_channels": 3, "resolution": 24})
    assert list(same.runs) == [run.run_id]


def test_a_list_of_what_is_learned_is_one_value(plan: Any) -> None:
    """As the pages write it; lists of lists are a sweep."""
    (run,) = plan(model_args={"train": ["t_feedforward", "tau"], "t_feedforward": 10}).runs.values()
    assert sorted(run.model.args["train"]) == ["t_feedforward", "tau"]
    assert plan(model_args={"train": []}).runs == plan().runs
    assert len(plan(model_args={"train": [[], ["tau"], ["tau", "t_recurrence"]]}).runs) == 3
    with pytest.raises(InputError, match="unknown value 't_feedforwrd'.*did you mean 't_feedforward'"):
        plan(model_args={"train": ["t_feedforwrd"]})


def test_equal_combinations_are_one_run(plan: Any) -> None:
    assert len(plan(seed=[1, "0001"], model_args={"tau": [5, "5.0"]}).runs) == 1


def test_one_value_is_as_good_as_a_list_of_one(plan: Any) -> None:
    assert plan(model_name="DyRCNNx2").runs == plan(model_name=["DyRCNNx2"]).runs
    assert plan(seed=3).runs == plan(seed=[3]).runs
    assert plan(experiment="duration").experiments == plan(experiment=["duration"]).experiments
    assert plan(model_args={"tau": 6}).runs == plan(model_args={"tau": [6]}).runs


def test_all_experiments(plan: Any) -> None:
    everything = plan(experiment="all", execution={"checkpoint_every": 50}, training={"epochs": 350})
    assert list(everything.experiments) == list(everything.workflow.experiments)
    without_checkpoints = [name for name in everything.experiments if not name.endswith("intermediate")]
    assert list(plan(experiment="all").experiments) == without_checkpoints
    assert list(plan(experiment=["duration", "contrast"]).experiments) == ["duration", "contrast"]


def test_text_of_the_command_line_is_the_same_run_as_typed_values(plan: Any) -> None:
    texts = [
        "seed=0002",
        "model_args={tau: 8, skip: false, n_timesteps: 10, feedback: true, pattern: 0110}",
        "training={'epochs': 3, 'scheduler_args': {'pct_start': 0.5, 'three_phase': True}, 'loss': {ActivityLoss: 1}}",
        "data={split_seed: null, resolution: 16}",
        "experiments={contrast: {model_args: {idle: 20}, values: [0.5, 1]}}",
        'execution={"num_workers":"2"}',
    ]
    as_text = plan(**given_values(texts))
    as_typed = plan(
        seed=2,
        model_args={"tau": 8.0, "skip": False, "n_timesteps": 10, "feedback": True, "pattern": "0110"},
        training={
            "epochs": 3,
            "scheduler_args": {"pct_start": 0.5, "three_phase": True},
            "loss": {"ActivityLoss": 1},
        },
        data={"split_seed": None, "resolution": 16},
        experiments={"contrast": {"model_args": {"t_idle": 20}, "values": [0.5, 1]}},
        execution={"num_workers": 2},
    )
    assert (as_text.runs, as_text.experiments) == (as_typed.runs, as_typed.experiments)
    assert as_text.workflow.model_dump() == as_typed.workflow.model_dump()
    (run,) = as_text.runs.values()
    assert run.training.scheduler_args == {"pct_start": 0.5, "three_phase": True}
    assert run.model.args["data_presentation_pattern"] == "0110"
    assert run.data.split_seed == 2


def test_defaults_of_a_family_are_below_model_args(config_dir: str, tmp_path: Any, plan: Any) -> None:
    (tmp_path / "config_defaults.yaml").write_text("model_defaults: {DyRCNN: {tau: 9, trc: 4}}\n")
    (tmp_path / "config_workflow.yaml").write_text(
        "model_args: {t_recurrence: 2}\nexperiments: {contrast: {}}\n"
    )
    (run,) = plan_workflow(tmp_path, {}).runs.values()
    assert (run.model.args["tau"], run.model.args["t_recurrence"]) == (9.0, 2.0)


def test_defaults_of_a_model_are_above_those_of_its_family(config_dir: str, tmp_path: Any) -> None:
    (tmp_path / "config_defaults.yaml").write_text(
        "model_defaults: {DyRCNN: {tau: 9, trc: 4}, DyRCNNx8: {tau: 20}}\nexperiments: {contrast: {}}\n"
    )
    runs = plan_workflow(tmp_path, {"model_name": ["DyRCNNx4", "DyRCNNx8"]}).runs.values()
    assert {run.model.name: run.model.args["tau"] for run in runs} == {"DyRCNNx4": 9.0, "DyRCNNx8": 20.0}
    assert {run.model.args["t_recurrence"] for run in runs} == {4.0}


def test_later_files_overrule_earlier_ones_key_by_key(tmp_path: Any) -> None:
    (tmp_path / "config_defaults.yaml").write_text("training: {epochs: 3, batch_size: 4}\nseed: 1\n")
    (tmp_path / "config_experiments.yaml").write_text(
        "training: {epochs: 5}\nexperiments: {blink: {values: [1]}}\n"
    )
    (tmp_path / "config_workflow.yaml").write_text("seed: [2, 3]\n")
    workflow = load_workflow_config(tmp_path, {"training": {"learning_rate": 0.1}})
    assert workflow.training == {"epochs": 5, "batch_size": 4, "learning_rate": 0.1}
    assert workflow.seed == (2, 3)


def test_plan_gives_the_rules_what_they_freeze(plan: Any) -> None:
    made = plan(seed=4, data={"split_seed": 1}, execution={"loader": "torch", "num_workers": 3})
    (run_id,) = made.runs
    assert validate(RunConfig, json.loads(made.run_json(run_id)), "").run_id == run_id
    data_id = made.runs[run_id].data_id
    assert validate(RunConfig, {"data": json.loads(made.data_json(data_id))}, "").data_id == data_id
    assert json.loads(made.experiment_json("contrast"))["name"] == "contrast"
    assert made.data_folder(run_id).as_posix() == f"results/data/{data_id}"
    parts = shlex.split(made.execution_options)
    options = dict(zip(parts[::2], parts[1::2], strict=True))
    assert set(options) == {f"--{name.replace('_', '-')}" for name in ExecutionConfig.model_fields}
    assert (options["--loader"], options["--num-workers"], options["--accelerator"]) == ("torch", "3", "auto")


def test_execution_and_looks_belong_to_no_run(plan: Any) -> None:
    other = plan(
        execution={"test_batch_size": 3, "loader": "torch"},
        visualization={"dpi": 300},
        results_dir="elsewhere",
    )
    assert list(other.runs) == list(plan().runs)
    assert other.experiments == plan().experiments
    assert other.paths.root.as_posix() == "elsewhere"


def test_arguments_beside_a_model_are_of_that_model_alone(config_dir: str, tmp_path: Any, plan: Any) -> None:
    """``snakemake --config model_name=DyRCNNx4`` took the arguments that a file gives to another model."""
    for name in ("DyRCNNx2", "[DyRCNNx2, CordsNet]"):
        text = f"model: {{name: {name}, args: {{t_feedforward: 10, idle: [4, 6]}}}}\n"
        (tmp_path / "config_workflow.yaml").write_text(text)
        mine = load_workflow_config(tmp_path)
        assert [run.model.args["t_idle"] for run in expand_runs(mine).values()][:2] == [4.0, 6.0]
        other = load_workflow_config(tmp_path, {"model_name": ["DyRCNNx4", "DyRCNNx2"]})
        x4, *x2 = expand_runs(other).values()
        assert (x4.model.name, x4.model.args["t_feedforward"], x4.model.args["t_idle"]) == ("DyRCNNx4", 0, 0)
        assert [run.model.args["t_idle"] for run in x2] == [4.0, 6.0]
        assert {run.model.args["t_feedforward"] for run in x2} == {10.0}
        by_other_name = load_workflow_config(tmp_path, {"model_name": "CordsNetR8"})
        given = 10.0 if "CordsNet" in name else 2.0
        assert next(iter(expand_runs(by_other_name).values())).model.args["t_feedforward"] == given


def test_arguments_of_a_model_are_in_their_layer(tmp_path: Any) -> None:
    (tmp_path / "config_defaults.yaml").write_text("model_args: {tau: 3, dt: 1, trc: 4}\n")
    (tmp_path / "config_workflow.yaml").write_text("model: {name: DyRCNNx2, args: {tau: 9, trc: 8}}\n")
    (run,) = expand_runs(load_workflow_config(tmp_path, {"model_args": {"trc": 2}})).values()
    assert [run.model.args[name] for name in ("tau", "dt", "t_recurrence")] == [9.0, 1.0, 2.0]
    (run,) = expand_runs(load_workflow_config(tmp_path, {"model": {"name": "DyRCNNx4"}})).values()
    assert [run.model.args[name] for name in ("tau", "dt", "t_recurrence")] == [3.0, 1.0, 4.0]
    (run,) = expand_runs(load_workflow_config(tmp_path, {"model": {"args": {"tau": 7}}})).values()
    assert (run.model.name, run.model.args["tau"], run.model.args["t_recurrence"]) == ("DyRCNNx2", 7.0, 8.0)
