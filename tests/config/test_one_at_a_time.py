"""``category``: sweeps that vary one parameter at a time around the configured run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynvision.config.run import RunConfig
from dynvision.config.workflow import load_workflow_config
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError
from dynvision.runs import expand_runs, flat_parameters, plan_workflow
from tests.processes import n_calls

SHIPPED = Path(__file__).parents[2] / "config" / "config_workflow.yaml"


def runs(config_dir: str, **overrides: Any) -> list[RunConfig]:
    return list(expand_runs(load_workflow_config(config_dir, overrides)).values())


def differences(run: RunConfig, base: RunConfig) -> dict[str, Any]:
    one, other = flat_parameters(run), flat_parameters(base)
    return {name: one.get(name) for name in one if one.get(name) != other.get(name) and name != "run_id"}


def test_each_value_alone_around_the_configured_run(config_dir: str) -> None:
    base, *others = runs(
        config_dir, model_args={"tau": 8}, category={"rctype": ["full", "self"], "trc": [2, 6, 10]}
    )
    assert base == runs(config_dir, model_args={"tau": 8})[0]
    assert [differences(run, base) for run in others] == [  # full and 6 ms are the base itself
        {"model.args.recurrence_type": "self"},
        {"model.args.t_recurrence": 2.0},
        {"model.args.t_recurrence": 10.0},
    ]


def test_one_layer_alone_around_what_all_layers_have(config_dir: str) -> None:
    """The value that the layer has already is the configured run itself."""
    made = runs(config_dir, model_args={"tau": 8}, category={"tau.V1": [3, 8], "rctype.IT": ["self"]})
    assert [run.model.args["tau"] for run in made[:2]] == [8.0, {"V1": 3.0, "V2": 8.0, "V4": 8.0, "IT": 8.0}]
    assert [run.model.args["recurrence_type"] for run in made[2:]] == [
        dict.fromkeys(("V1", "V2", "V4"), "full") | {"IT": "self"}
    ]


NORMALISATION = "it is of the normalisation; set divisive_normalization: true or dynamics_solver: organics"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"category": {"sigma": [0.3, 0.5]}}, f"sigma varies and changes nothing in DyRCNNx4: {NORMALISATION}"),
        ({"model_args": {"sigma": [0.3, 0.5]}}, NORMALISATION),
        ({"paired": {"sigma": [0.3, 0.5], "tfb": [10, 20]}}, "changes nothing in DyRCNNx4"),
        ({"category": {"tfb": [10, 30]}}, "t_feedback varies and changes nothing in DyRCNNx4: it is of the feedback"),
        ({"category": "tsk", "model_args": {"skip": False}}, "it is of the skip connections; set skip: true"),
        ({"category": "tau_gradient", "model_name": "ResNet20"}, "it is of a recurrence and its leak; set recurrence_type"),
        ({"category": "trc", "model_args": {"recurrence_type": "none"}}, "it is of the recurrence"),
        ({"category": {"tau_recovery": [100, 200]}}, "it is of synaptic_depression; set synaptic_depression"),
        ({"category": {"supralinearity_gain": [1, 2]}}, "it is of supralinearity"),
    ],
    ids=str,
)  # fmt: skip
def test_what_changes_nothing_is_not_varied(config_dir: str, overrides: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        runs(config_dir, **overrides)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_what_has_an_effect_in_some_runs_is_varied(config_dir: str) -> None:
    made = runs(config_dir, model_args={"divisive_normalization": [True, False], "sigma": [0.3, 0.5]})
    assert len(made) == 4
    assert len(runs(config_dir, model_args={"divnorm": True}, category={"sigma": [0.3, 0.5]})) == 3


def test_around_each_run_of_the_product(config_dir: str) -> None:
    made = runs(config_dir, seed=[1, 2], model_args={"skip": [True, False]}, category={"tau": [3, 9]})
    assert len(made) == 2 * 2 * 3
    taus = [run.model.args["tau"] for run in made]
    assert taus == [5.0, 3.0, 9.0] * 4


@pytest.mark.parametrize(
    "category",
    ["trc", ["trc"], [{"trc": ["2", "6", "10"]}], {"t_recurrence": [2, 6, 10]}, {"model_args.trc": [2, 10]}],
    ids=str,
)
def test_forms_that_say_the_same(config_dir: str, category: Any) -> None:
    made = runs(config_dir, category=category)
    assert [run.model.args["t_recurrence"] for run in made] == [6.0, 2.0, 10.0]


def test_one_value_is_as_good_as_a_list_of_one(config_dir: str) -> None:
    assert runs(config_dir, category={"tau": 9}) == runs(config_dir, category={"tau": [9]})


@pytest.mark.parametrize("nothing", [None, "none", "", {}, [], "null"])
def test_nothing_is_no_sweep(tmp_path: Path, nothing: Any) -> None:
    (tmp_path / "config_workflow.yaml").write_text("category: {tau: [3, 9]}\nexperiments: {contrast: {}}\n")
    assert len(expand_runs(load_workflow_config(tmp_path))) == 3
    assert len(expand_runs(load_workflow_config(tmp_path, {"category": nothing}))) == 1


def test_the_command_line_replaces_the_sweep_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "config_workflow.yaml").write_text("category: {tau: [3, 9]}\n")
    assert load_workflow_config(tmp_path, {"category": {"trc": [2]}}).category == {
        "model_args.t_recurrence": (2,)
    }


def test_parameters_of_training_and_data(config_dir: str) -> None:
    category = {
        "training.lr": [0.01],
        "data.resolution": [16],
        "training.learning_rate_factors.feedback": [1],
    }
    base, *others = runs(config_dir, category=category)
    assert [differences(run, base) for run in others] == [
        {"training.learning_rate": 0.01},
        {"data.resolution": 16},
        {"training.learning_rate_factors.feedback": 1.0},
    ]
    losses = [run.training.loss for run in runs(config_dir, category="activityloss")]
    assert [term.weight for terms in losses for term in terms if term.name == "ActivityLoss"] == [
        0.0002, 0.02, 0.2, 1.0
    ]  # fmt: skip


@pytest.mark.parametrize("name", read_yaml(SHIPPED)["categories"])
def test_shipped_sweeps_can_be_planned_and_vary_what_they_say(config_dir: str, name: str) -> None:
    """Planned for all experiments; each value that is not the configured one is a run, and no other is."""
    (values,) = read_yaml(SHIPPED)["categories"][name].values()
    base, *others = plan_workflow(config_dir, {"category": name, "experiment": "all"}).runs.values()
    assert len(values) - 1 <= len(others) <= len(values)
    assert all(len(differences(run, base)) == 1 for run in others)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"category": "rctyp"}, "unknown category 'rctyp' (key category); did you mean 'rctype'?"),
        ({"category": {"taw": [3]}}, "category model_args.taw=3: unknown key 'taw' (key model_args.taw); did you mean"),
        ({"category": {"tau": []}}, "category: tau is an empty list"),
        ({"category": {"dt.V1": [1]}}, "dt=2.0 has no V1 that could vary"),
        ({"category": {"tau.V9": [3]}}, "unknown layer 'V9'"),
        ({"category": {"tau": ["fast"]}}, "category model_args.tau='fast': model_args.tau='fast' is not valid"),
        ({"category": {"trc": [2], "t_recurrence": [4]}}, "category has 't_recurrence' twice"),
        ({"category": ["trc", {"trc": [4]}]}, "category has 'trc' twice"),
        ({"category": {"trc": [3]}}, "category model_args.t_recurrence=3: "),
        ({"category": {"epochs": [3]}}, "category: epochs is no model argument; write training.epochs"),
        ({"category": {"data.name": ["digits"]}}, "data.name is varied by the key data_name"),
        ({"category": {"tau": [3]}, "model_args": {"tau": [5, 9]}}, "model_args.tau is a list and category varies it"),
        ({"category": "mine", "categories": {"mine": [3]}}, "mine"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(config_dir: str, overrides: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        runs(config_dir, **overrides)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_thousand_runs_are_planned_at_once(config_dir: str) -> None:
    overrides = {"category": ["rctype", "trc", "tau"], "seed": list(range(91)), "experiment": "all"}
    plan = plan_workflow(config_dir, overrides)
    assert len({plan.data_json(run.data_id) for run in plan.runs.values()}) == 91
    assert len(plan.runs) == 91 * 11
    few, many = (
        n_calls(lambda n=n: plan_workflow(config_dir, {**overrides, "seed": list(range(n))})) for n in (3, 12)
    )
    assert many < 5 * few  # for four times as many runs
