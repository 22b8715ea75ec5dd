"""What to run: the five YAML files and the command line, merged, checked and typed.

Precedence, lowest first: defaults of the schemas, ``config_defaults.yaml``, ``config_data.yaml``,
``config_experiments.yaml``, ``config_visualization.yaml``, ``config_workflow.yaml``, command line. Short names are
expanded in each layer before merging, so that ``rctype`` on the command line replaces ``recurrence_type`` in a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from dynvision.config.aliases import MODEL_ALIASES, TRAINING_ALIASES, expand_aliases
from dynvision.config.data import DATASETS
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.groups import Classes, class_list
from dynvision.config.run import read_yaml
from dynvision.config.section import Section, key, validate
from dynvision.config.sweep import Sweeps, listed, resolve_sweeps
from dynvision.config.training import ExecutionConfig
from dynvision.config.transforms import resolve_transform
from dynvision.config.twins import feedforward_twin, merge, resolve_block
from dynvision.config.visualization import VisualizationConfig
from dynvision.errors import InputError, unknown_name

WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "~": None, "": None}
CONFIG_FILES = (
    "config_defaults.yaml",
    "config_data.yaml",
    "config_experiments.yaml",
    "config_visualization.yaml",
    "config_workflow.yaml",
)


# Not names of experiments: all of them together, and the folder with the figure of training.
RESERVED_NAMES = ("all", "training")


class WorkflowConfig(Section):
    """Everything that a call of Snakemake is told. Lists are sweeps: their product is run."""

    model_name: tuple[str, ...] = key(("DyRCNNx4",), "model or models by name, or package.module:Class")
    model_args: dict[str, Any] = key({}, "arguments of the model; a list of values is a sweep over them")
    model_defaults: dict[str, dict[str, Any]] = key({}, "defaults by family of models, below model_args")
    category: Sweeps = key({}, "sweeps of one parameter at a time: a name, or parameter: [values]")
    categories: dict[str, dict[str, Any]] = key({}, "sweeps that can be named in category")
    data_name: tuple[str, ...] = key(
        ("digits",), f"data set or data sets: {', '.join(DATASETS)}, folder:<path>"
    )
    data: dict[str, Any] = key({}, "data settings other than the name")
    groups: dict[str, dict[str, Classes]] = key({}, "further groups of classes, by data set and name")
    transforms: dict[str, tuple[Any, ...]] = key({}, "further transforms: lists of operations, by name")
    training: dict[str, Any] = key({}, "training settings")
    seed: tuple[int, ...] = key((1,), "seed or seeds")
    experiment: tuple[str, ...] = key(("contrast",), "experiment or experiments by name, or all")
    experiments: dict[str, ExperimentConfig] = key({}, "the experiments that exist")
    execution: ExecutionConfig = key(ExecutionConfig(), "settings that cannot change a result")
    visualization: VisualizationConfig = key(VisualizationConfig(), "how figures look")
    results_dir: str = key("results", "folder for everything that is computed", min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _sweeps_are_resolved(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "category" not in values:
            return values
        return {**values, "category": resolve_sweeps(values["category"], values.get("categories") or {})}

    @field_validator("model_name", "data_name", "experiment", "seed", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, (list, tuple)) and not value:
            raise InputError(f"{info.field_name} is an empty list; give it at least one value")
        return value if isinstance(value, (list, tuple)) else (value,)

    @field_validator("experiments", mode="before")
    @classmethod
    def _experiments_are_valid(cls, value: Any) -> Any:
        for name in value:
            if not re.fullmatch(r"\w[\w.-]*", str(name)) or name in RESERVED_NAMES:
                raise InputError(
                    f"experiments: {name!r} cannot be the name of an experiment, since folders are named after it; "
                    f"use letters, digits, _ and -, and none of {', '.join(RESERVED_NAMES)}"
                )
        return {
            str(name): validate(ExperimentConfig, resolve_block(name, value) or {}, f"experiments.{name}")
            for name in value
        }

    @field_validator("groups", mode="before")
    @classmethod
    def _groups_are_lists_of_classes(cls, value: Any) -> Any:
        return {
            str(data): {
                str(name): class_list(classes, f"groups.{data}.{name}")
                for name, classes in _mapping(of_data, f"groups.{data}", "configuration").items()
            }
            for data, of_data in _mapping(value, "groups", "configuration").items()
        }

    @field_validator("transforms", mode="before")
    @classmethod
    def _transforms_are_lists_of_operations(cls, value: Any) -> Any:
        own = _mapping(value, "transforms", "configuration")
        return {str(name): resolve_transform(given, f"transforms.{name}") for name, given in own.items()}

    def selected_experiments(self) -> dict[str, ExperimentConfig]:
        """The experiments asked for by ``experiment``, by name.

        Raises:
            InputError: a name is not in ``experiments``.
        """
        names = tuple(self.experiments) if self.experiment == ("all",) else self.experiment
        return {name: self._selected(name) for name in names}

    def _selected(self, name: str) -> ExperimentConfig:
        if name in self.experiments:
            return self.experiments[name]
        twin = feedforward_twin(name, self.experiments)
        if twin is None:
            raise unknown_name("experiment", name, self.experiments, key="experiment")
        return validate(ExperimentConfig, twin, f"experiments.{name}")


def load_workflow_config(
    config_dir: str | Path, overrides: Mapping[str, Any] | None = None
) -> WorkflowConfig:
    """Read the configuration files of a folder and put the command line's values on top.

    Args:
        config_dir: the folder with the five files; a file that is absent contributes nothing.
        overrides: what Snakemake's ``--config`` was given.

    Raises:
        InputError: anything that is misspelt, mistyped or impossible.
    """
    if not Path(config_dir).is_dir():
        raise InputError(f"configuration folder {config_dir} does not exist; run from the repository's root")
    merged: dict[str, Any] = {}
    for name in CONFIG_FILES:
        path = Path(config_dir) / name
        if path.exists():
            merged = merge(merged, normalize(read_yaml(path), str(path)))
    given = {name: typed(value) for name, value in (overrides or {}).items()}
    return validate(WorkflowConfig, merge(merged, normalize(given, "--config")), "")


def typed(value: Any) -> Any:
    """A value of the command line with numbers, truths and nothing typed inside of lists and dictionaries.

    Snakemake leaves all of them text there. Numbers with leading zeros stay text, such as the pattern 0110.
    """
    if isinstance(value, Mapping):
        return {name: _typed_text(typed(inner)) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_typed_text(typed(inner)) for inner in value]
    return value


def _typed_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value in WORDS:
        return WORDS[value]
    if re.fullmatch(r"[-+]?(0|[1-9]\d*)", value):
        return int(value)
    if re.fullmatch(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?", value):
        return float(value)
    return value


def normalize(layer: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """One layer of configuration in the names of the schema: ``model: {name, args}`` and short names resolved."""
    values = dict(layer)
    if "model" in values:
        model = values.pop("model") or {}
        if not isinstance(model, Mapping):
            raise InputError(f"{origin}: model must have the keys name and args, not {model!r}")
        for given, target in {"name": "model_name", "args": "model_args"}.items():
            if given in model:
                if target in values:
                    raise InputError(
                        f"{origin}: {target} and model.{given} are the same key; remove one of them"
                    )
                values[target] = model[given]
        unknown = [name for name in model if name not in ("name", "args")]
        if unknown:
            raise unknown_name("key", unknown[0], ("name", "args"), key=f"model.{unknown[0]}")
    for section, aliases in {"model_args": MODEL_ALIASES, "training": TRAINING_ALIASES}.items():
        if section in values:
            values[section] = expand_aliases(
                _mapping(values[section], section, origin), aliases, f"{origin}: {section}"
            )
    if "model_defaults" in values:
        values["model_defaults"] = {
            family: _long_model_args(args, f"model_defaults.{family}", origin)
            for family, args in _mapping(values["model_defaults"], "model_defaults", origin).items()
        }
    if "category" in values:
        values["category"] = listed(values["category"])
    if "experiments" in values:
        experiments = _mapping(values["experiments"], "experiments", origin)
        values["experiments"] = {
            name: _long_experiment(name, spec, origin) for name, spec in experiments.items()
        }
    return values


def _mapping(value: Any, name: str, origin: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(
            f"{origin}: {name} must hold keys and values, not {value!r}; write '{name}={{key: value}}'"
        )
    return value


def _long_model_args(args: Any, name: str, origin: str) -> dict[str, Any]:
    return expand_aliases(_mapping(args, name, origin), MODEL_ALIASES, f"{origin}: {name}")


def _long_experiment(name: str, spec: Any, origin: str) -> dict[str, Any]:
    values = dict(_mapping(spec, f"experiments.{name}", origin))
    if "model_args" in values:
        values["model_args"] = _long_model_args(
            values["model_args"], f"experiments.{name}.model_args", origin
        )
    if values.get("parameter") in MODEL_ALIASES:
        values["parameter"] = MODEL_ALIASES[values["parameter"]]
    return values
