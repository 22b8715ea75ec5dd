"""The YAML files as shipped, the files made from the schemas, and the forms of the documentation's examples."""

from __future__ import annotations

import importlib.util
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynvision.config.data import DataConfig
from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.layers import CONFIG_FILES
from dynvision.config.model import TemporalArgs
from dynvision.config.models import MODELS
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig, TrainingConfig
from dynvision.config.workflow import WorkflowConfig, load_workflow_config
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError
from dynvision.runs import expand_runs, plan_workflow

SCHEMAS = {
    "config_workflow.yaml": "workflow.json",
    "config_defaults.yaml": "workflow.json",
    "config_data.yaml": "workflow.json",
    "config_experiments.yaml": "experiments.json",
    "config_scorecard.yaml": "scorecard.json",
    "config_visualization.yaml": "visualization.json",
}
# The example of the documentation's index, "Workflow Configuration".
INDEX_PAGE = """\
model_name: DyRCNNx4
seed: "0001"
model_args:
  rctype: full
  tau: 8
  trc: 6

training:
  epochs: 200
  batch_size: 256
  learning_rate: 0.001
  loss:
    - CrossEntropyLoss
"""
# The example of "Creating Custom Models", step 3.
MODELS_PAGE = """\
# config_experiments.yaml
model:
  name: MyModel
  args:
    input_dims: [20, 3, 224, 224]
    dt: 2.0
    tau: 8.0
    store_responses: true
"""


def test_every_shipped_file_is_one_that_is_read(config_dir: str) -> None:
    assert sorted(path.name for path in Path(config_dir).glob("*.yaml")) == sorted(CONFIG_FILES)


def test_shipped_defaults_are_those_of_the_schemas(config_dir: str) -> None:
    values = read_yaml(Path(config_dir) / "config_defaults.yaml")
    assert validate(TrainingConfig, values["training"], "training") == TrainingConfig()
    assert validate(DataConfig, values["data"], "data") == DataConfig()
    assert validate(ExecutionConfig, values["execution"], "execution") == ExecutionConfig()
    for schema in {entry.args for entry in MODELS.values()}:
        assert validate(schema, values["model_defaults"][schema.family()], "") == schema()
    for name, schema in (("training", TrainingConfig), ("execution", ExecutionConfig)):
        assert list(values[name]) == list(schema.model_fields)


def test_every_default_says_its_unit(config_dir: str) -> None:
    text = (Path(config_dir) / "config_defaults.yaml").read_text()
    families = {f"  {entry.args.family()}:": entry.args for entry in MODELS.values()}
    for title, schema in {"training:": TrainingConfig, "execution:": ExecutionConfig, **families}.items():
        lines = text.partition(f"\n{title}\n")[2].splitlines()
        indent = len(title) - len(title.lstrip()) + 2
        section = list(itertools.takewhile(lambda line, n=indent: line.startswith(" " * n), lines))
        assert len(section) == len(schema.model_fields)
        for line, (name, field) in zip(section, schema.model_fields.items(), strict=True):
            unit = field.json_schema_extra["unit"]  # type: ignore[index,call-overload]
            assert line.strip().startswith(f"{name}: ")
            assert f"# {unit}; {field.description}" in line if unit else f"# {field.description}" in line


@pytest.mark.parametrize(
    "schema", dict.fromkeys(entry.args for entry in MODELS.values()), ids=lambda schema: schema.family()
)
def test_durations_are_in_ms(schema: type[TemporalArgs]) -> None:
    for name, field in schema.model_fields.items():
        if name.startswith(("t_", "tau", "dt")):
            assert field.json_schema_extra["unit"] == "ms"


def test_every_key_is_in_the_readme(config_dir: str) -> None:
    readme = (Path(config_dir) / "README.md").read_text()
    for schema in (WorkflowConfig, TrainingConfig, DataConfig, ExecutionConfig, DyRCNNArgs):
        assert all(f"| `{name}` |" in readme for name in schema.model_fields)


@pytest.fixture(params=SCHEMAS.items(), ids=lambda item: item[0])
def shipped(request: pytest.FixtureRequest, config_dir: str) -> tuple[Any, Any]:
    """A shipped file with a validator of its JSON schema."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    name, schema_name = request.param
    schema = json.loads((Path(config_dir) / "schema" / schema_name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return read_yaml(Path(config_dir) / name), jsonschema.Draft202012Validator(schema)


def test_json_schemas_accept_the_shipped_files(shipped: tuple[Any, Any]) -> None:
    values, validator = shipped
    assert [error.message for error in validator.iter_errors(values)] == []


@pytest.fixture
def workflow_schema(config_dir: str) -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    return jsonschema.Draft202012Validator(
        json.loads((Path(config_dir) / "schema" / "workflow.json").read_text())
    )


@pytest.mark.parametrize(
    "values",
    [
        {"model_name": ["DyRCNNx2", "DyRCNNx4"], "seed": [1, 2], "experiment": "all"},
        {"model_args": {"rctype": ["full", "self"], "trc": 6, "tau": 8.5}},
        {"category": "rctype"},
        {"category": ["rctype", {"tau": [3, 9]}]},
        {"category": {"trc": 4}, "categories": {"mine": {"training.lr": [0.1]}}},
        {"training": {"lr": 0.01, "epochs": 3}},
        {"training": {"loss": {"CrossEntropyLoss": 1, "ActivityLoss": {"weight": 0.1}}}},
        {
            "training": {
                "loss": ["CrossEntropyLoss", {"name": "ActivityLoss", "weight": 0.1}, {"ActivityLoss": 2}]
            }
        },
        {"training": {"loss": "ActivityLoss"}},
        yaml.safe_load(INDEX_PAGE),
    ],
    ids=str,
)
def test_editors_accept_what_the_workflow_accepts(
    workflow_schema: Any, config_dir: str, values: dict[str, Any]
) -> None:
    assert [error.message for error in workflow_schema.iter_errors(values)] == []
    plan_workflow(config_dir, values)


@pytest.mark.parametrize(
    "values",
    [
        {"modelname": "DyRCNNx2"},
        {"training": {"epoch": 3}},
        {"training": {"loss": "ActivtyLoss"}},
        {"training": {"loss": [{"ActivtyLoss": 2}]}},
        {"training": {"loss": {"ActivityLoss": {"wieght": 2}}}},
        {"model_args": {"rctype": "ful"}},
        {"category": 3},
        {"model_args": {"tau": "fast"}},
        {"seed": "one"},
        {"execution": {"loader": "trch"}},
    ],
    ids=str,
)
def test_editors_refuse_what_the_workflow_refuses(
    workflow_schema: Any, config_dir: str, values: dict[str, Any]
) -> None:
    assert list(workflow_schema.iter_errors(values))
    with pytest.raises(InputError):
        plan_workflow(config_dir, values)


@pytest.fixture
def own_config(config_dir: str, tmp_path: Path) -> Path:
    """A copy of the shipped folder."""
    return Path(shutil.copytree(config_dir, tmp_path / "config"))


def test_the_index_page_is_one_run(own_config: Path) -> None:
    (own_config / "config_workflow.yaml").write_text(INDEX_PAGE)
    (run,) = plan_workflow(own_config, {}).runs.values()
    wanted = {
        "model": {"name": "DyRCNNx4", "args": {"recurrence_type": "full", "tau": 8.0, "t_recurrence": 6.0}},
        "training": {"epochs": 200, "batch_size": 256, "learning_rate": 0.001},
        "seed": 1,
    }
    assert run == validate(RunConfig, wanted, "")


def test_the_page_on_own_models_is_one_run(
    own_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = tmp_path / "models"
    placed.mkdir()
    (placed / "my_model.py").write_text("class MyModel(BaseModel):\n    pass\n")
    monkeypatch.setattr("dynvision.config.models.MODELS_FOLDER", placed)
    experiments = own_config / "config_experiments.yaml"
    experiments.write_text(MODELS_PAGE + experiments.read_text())
    workflow = load_workflow_config(own_config, {"model_name": "MyModel", "experiment": "contrast"})
    (run,) = expand_runs(workflow).values()
    assert run.model.name == "MyModel"
    assert run.model.args == {"dt": 2.0, "n_timesteps": 20, "tau": 8.0, "store_responses": True}
    assert (run.data.n_channels, run.data.resolution) == (3, 224)
    assert importlib.util.find_spec("dynvision.models.my_model") is None  # it was found without importing it


def test_a_model_is_given_by_name_and_args(own_config: Path) -> None:
    (own_config / "config_workflow.yaml").write_text("model: {name: DyRCNNx2, args: {tau: 9}}\n")
    (run,) = plan_workflow(own_config, {}).runs.values()
    assert (run.model.name, run.model.args["tau"]) == ("DyRCNNx2", 9.0)
    (run,) = plan_workflow(own_config, {"model_name": "DyRCNNx8", "model_args": {"trc": 4}}).runs.values()
    assert (run.model.name, run.model.args["tau"], run.model.args["t_recurrence"]) == ("DyRCNNx8", 5.0, 4.0)
