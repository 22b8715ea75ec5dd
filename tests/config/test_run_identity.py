"""A run's id: stable, complete, and the same whichever way the run is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynvision.config import run as run_module
from dynvision.config.data import DataConfig, ImagesConfig
from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.identity import SCHEMA_VERSION, digest
from dynvision.config.model import DYNAMICS_SOLVERS, RECURRENCE_TYPES
from dynvision.config.models import MODELS
from dynvision.config.run import RunConfig, path_name, read_run_config, thaw
from dynvision.config.section import Section, key, validate
from dynvision.config.training import TrainingConfig
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError
from dynvision.runs import flat_parameters
from tests.config.other_values import DATA_VALUES, IMAGES_VALUES, MODEL_VALUES, NEEDED, TRAINING_VALUES

# These change when a default changes, on purpose only, with the version of the schema: all runs so far are then other runs.
DEFAULT_RUN_ID = "DyRCNNx4_digits_s1_5d333487"
DEFAULT_DATA_ID = "digits_s1_70e02775"
FROZEN = Path(__file__).parent / "frozen"
IDS = {
    "version_1.yaml": ("DyRCNNx4_digits_s2_f516514e", "digits_s2_1ca2b263"),
    "version_2.yaml": ("DyRCNNx4_digits_s2_0525257a", "digits_s2_bcd7588e"),
}


def run_of(**sections: Any) -> RunConfig:
    return validate(RunConfig, sections, "")


def test_the_default_run_has_the_id_that_it_had() -> None:
    assert RunConfig().run_id == DEFAULT_RUN_ID
    assert RunConfig().data_id == DEFAULT_DATA_ID


CHANGES = [
    *(
        ("model", {"args": {**NEEDED.get(name, {}), name: value}}, name)
        for name, value in MODEL_VALUES.items()
    ),
    *(("training", {**NEEDED.get(name, {}), name: value}, name) for name, value in TRAINING_VALUES.items()),
    *(("data", {name: value}, name) for name, value in DATA_VALUES.items()),
    ("model", {"name": "DyRCNNx2"}, "name"),
    ("seed", 2, "seed"),
]


def test_the_list_of_keys_is_complete() -> None:
    assert set(MODEL_VALUES) == set(DyRCNNArgs.model_fields)
    assert set(TRAINING_VALUES) == set(TrainingConfig.model_fields)
    assert set(IMAGES_VALUES) == set(ImagesConfig.model_fields)
    assert set(DATA_VALUES) == set(DataConfig.model_fields)
    assert set(RunConfig.model_fields) == {"model", "data", "training", "seed"}


def test_every_key_changes_the_id() -> None:
    """And no two changes have one id."""
    made: dict[str, str] = {}
    for section, value, name in CHANGES:
        made[f"{section}.{name}"] = run_of(**{section: value}).run_id
        needed = NEEDED.get(name, {})
        without = {section: {"args": needed} if section == "model" else needed} if needed else {}
        assert made[f"{section}.{name}"] != run_of(**without).run_id, name
    assert len(set(made.values())) == len(made) > 90


@pytest.mark.parametrize("name", DATA_VALUES)
def test_the_data_id_changes_with_the_images_and_not_with_how_they_are_shown(name: str) -> None:
    changed = run_of(data={name: DATA_VALUES[name]}).data_id != RunConfig().data_id
    assert changed == (name in IMAGES_VALUES)


@pytest.mark.parametrize("section", ["model", "training"])
def test_other_sections_share_the_data(section: str) -> None:
    value = {"model": {"args": {"tau": 9}}, "training": {"epochs": 9}}[section]
    assert run_of(**{section: value}).data_id == RunConfig().data_id


def test_the_seed_is_also_that_of_the_split_unless_one_is_given() -> None:
    assert run_of(seed=5).data.split_seed == 5
    assert run_of(seed=5, data={"split_seed": 0}).data.split_seed == 0
    assert run_of(seed=5, data={"split_seed": 1}).data_id == RunConfig().data_id
    assert run_of(seed=5).data_id != RunConfig().data_id


@given(
    args=st.fixed_dictionaries(
        {},
        optional={
            "tau": st.floats(2.0, 100.0),
            "dt": st.sampled_from([0.5, 1.0, 2.0]),
            "n_timesteps": st.integers(1, 50),
            "recurrence_type": st.sampled_from(RECURRENCE_TYPES),
            "dynamics_solver": st.sampled_from(DYNAMICS_SOLVERS),
            "skip": st.booleans(),
            "drive_noise": st.floats(0, 1),
        },
    ),
    training=st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 500),
            "learning_rate": st.floats(1e-6, 1.0),
            "loss": st.sampled_from(["CrossEntropyLoss", {"ActivityLoss": 0.5}]),
        },
    ),
    data=st.fixed_dictionaries(
        {}, optional={"resolution": st.integers(4, 300), "test_fraction": st.floats(0.01, 0.9)}
    ),
    seed=st.integers(0, 2**31 - 1),
)
def test_written_and_read_again_it_is_the_same_run(
    args: dict[str, Any], training: dict[str, Any], data: dict[str, Any], seed: int
) -> None:
    run = run_of(model={"args": args}, training=training, data=data, seed=seed)
    for again in (json.loads(json.dumps(run.differences())), json.loads(run.model_dump_json())):
        assert run_of(**again) == run
        assert run_of(**again).run_id == run.run_id


def test_a_frozen_run_is_read_from_its_file(tmp_path: Any) -> None:
    run = run_of(model={"args": {"rctype": "self"}}, seed="0003")
    (tmp_path / "config.yaml").write_text(to_yaml(run.frozen()))
    assert read_run_config(tmp_path / "config.yaml").run_id == run.run_id


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"model": {"args": {"tau": 5}}}, {"model": {"args": {"tau": 5.0}}}),
        ({"model": {"args": {"tau": "8"}}}, {"model": {"args": {"tau": 8.0}}}),
        ({"model": {"args": {"skip": "false"}}}, {"model": {"args": {"skip": False}}}),
        ({"model": {"args": {"n_timesteps": "12"}}}, {"model": {"args": {"n_timesteps": 12}}}),
        ({"model": {"args": {"feedback": True}}}, {"model": {"args": {"feedback": "additive"}}}),
        ({"model": {"args": {"pattern": 101}}}, {"model": {"args": {"pattern": "101"}}}),
        ({"training": {"learning_rate": "1e-3"}}, {"training": {"learning_rate": 0.001}}),
        ({"training": {"precision": 64}}, {"training": {"precision": "64"}}),
        ({"training": {"scheduler": None}}, {"training": {"scheduler": "none"}}),
        (
            {"training": {"loss": "ActivityLoss"}},
            {"training": {"loss": [{"name": "ActivityLoss", "weight": 1}]}},
        ),
        (
            {"training": {"loss": {"ActivityLoss": "2"}}},
            {"training": {"loss": [{"name": "ActivityLoss", "weight": 2}]}},
        ),
        ({"seed": "0001"}, {"seed": 1}),
        ({"data": {"resolution": 0}}, {"data": {"resolution": 32}}),
        ({"data": {"resolution": "0", "n_channels": None}}, {"data": {"n_channels": 1}}),
    ],
)
def test_one_run_written_in_two_ways(written: dict[str, Any], meant: dict[str, Any]) -> None:
    assert run_of(**written).run_id == run_of(**meant).run_id


def test_the_id_is_computed_once_and_a_changed_copy_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Section] = []
    monkeypatch.setattr(run_module, "digest", lambda section: hashed.append(section) or digest(section))
    run = run_of()
    assert run.run_id == run.run_id == DEFAULT_RUN_ID and len(hashed) == 2  # of the run, and of its images
    assert run.model_copy().run_id == run.run_id and run == run_of()
    changed = run.model_copy(update={"seed": 2})
    assert changed.run_id == run_of(seed=2, data={"split_seed": 1}).run_id != run.run_id


def test_the_id_is_readable_in_front() -> None:
    run = run_of(
        model={"name": "my_lab.models:MyModel"}, data={"name": "folder:/some/where/Cats & dogs/"}, seed=12
    )
    assert run.run_id.startswith("MyModel_Cats-dogs_s12_")
    assert run.data_id.startswith("Cats-dogs_s12_")
    assert len(run.run_id.rpartition("_")[2]) == 8


@pytest.mark.parametrize(
    ("name", "part"),
    [("digits", "digits"), ("folder:.", "data"), ("folder:a/b_c.d", "b-c-d"), ("folder:Ä ö/", "Ä-ö")],
)
def test_names_of_data_sets_in_paths(name: str, part: str) -> None:
    assert path_name(name) == part


def test_parameters_by_dotted_name() -> None:
    flat = flat_parameters(run_of(training={"scheduler_args": {"pct_start": 0.2}}))
    assert flat["run_id"].startswith("DyRCNNx4_digits_s1_")
    assert (flat["model.args.tau"], flat["training.scheduler_args.pct_start"], flat["seed"]) == (5.0, 0.2, 1)
    assert flat["data.split_seed"] == 1


@pytest.mark.parametrize("name", IDS)
def test_frozen_runs_of_every_version_are_read_and_keep_their_ids(name: str) -> None:
    run = read_run_config(FROZEN / name)
    assert (run.run_id, run.data_id) == IDS[name]
    assert run.model.args["tau"] == 9.0 and run.model.args["recurrence_type"] == "self"
    assert run.training.epochs == 3 and run.seed == 2
    assert read_run_config(FROZEN / "version_2.yaml").model == run.model


def test_a_new_key_with_a_neutral_default_changes_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    class LaterArgs(DyRCNNArgs):
        a_new_key: float = key(0.0, "changes nothing unless it is given")

    before, changed = RunConfig().run_id, run_of(model={"args": {"tau": 9.0}}).run_id
    monkeypatch.setitem(MODELS._definitions, "DyRCNNx4", replace(MODELS["DyRCNNx4"], args=LaterArgs))
    assert RunConfig().run_id == before
    assert run_of(model={"args": {"tau": 9.0}}).run_id == changed
    assert run_of(model={"args": {"a_new_key": 1.0}}).run_id != before
    frozen = read_run_config(FROZEN / "version_2.yaml")
    assert frozen.run_id == IDS["version_2.yaml"][0] and frozen.model.args["a_new_key"] == 0.0


def test_a_configuration_of_a_newer_version_is_refused() -> None:
    with pytest.raises(InputError, match=f"schema_version={SCHEMA_VERSION + 1} is not known"):
        thaw({**RunConfig().frozen(), "schema_version": SCHEMA_VERSION + 1})
    for wrong in ("two", True, 0, None):
        with pytest.raises(InputError, match="schema_version"):
            thaw({**RunConfig().frozen(), "schema_version": wrong})


def test_arguments_of_ones_own_model_are_part_of_the_id_and_reach_the_training() -> None:
    one, seven, without = (
        run_of(model={"name": "my_nets:MyNet", "args": args})
        for args in ({"strength": 1.0}, {"strength": 7.0}, {})
    )
    assert len({one.run_id, seven.run_id, without.run_id}) == 3
    again = validate(RunConfig, json.loads(json.dumps(seven.differences())), "")
    assert again.model.args["strength"] == 7.0 and again.run_id == seven.run_id
