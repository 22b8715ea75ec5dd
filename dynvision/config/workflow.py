"""What to run: the four YAML files and the command line, merged, checked and typed.

Precedence, lowest first: defaults of the schemas, ``config_defaults.yaml``, ``config_experiments.yaml``,
``config_visualization.yaml``, ``config_workflow.yaml``, command line. Short names are expanded in each layer
before merging, so that ``rctype`` on the command line replaces ``recurrence_type`` in a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from dynvision.config.aliases import MODEL_ALIASES, TRAINING_ALIASES, expand_aliases
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import read_yaml
from dynvision.config.section import Section, key, validate
from dynvision.config.training import ExecutionConfig
from dynvision.config.visualization import VisualizationConfig
from dynvision.errors import InputError, unknown_name

CONFIG_FILES = (
    "config_defaults.yaml",
    "config_experiments.yaml",
    "config_visualization.yaml",
    "config_workflow.yaml",
)


class WorkflowConfig(Section):
    """Everything that a call of Snakemake is told. Lists are sweeps: their product is run."""

    model_name: tuple[str, ...] = key(("DyRCNNx4",), "model or models by name, or package.module:Class")
    model_args: dict[str, Any] = key({}, "arguments of the model; a list of values is a sweep over them")
    model_defaults: dict[str, dict[str, Any]] = key({}, "defaults by family of models, below model_args")
    data_name: tuple[str, ...] = key(("digits",), "data set or data sets: digits, folder:<path>")
    data: dict[str, Any] = key({}, "data settings other than the name")
    training: dict[str, Any] = key({}, "training settings")
    seed: tuple[int, ...] = key((1,), "seed or seeds")
    experiment: tuple[str, ...] = key(("contrast",), "experiment or experiments by name, or all")
    experiments: dict[str, ExperimentConfig] = key({}, "the experiments that exist")
    execution: ExecutionConfig = key(ExecutionConfig(), "settings that cannot change a result")
    visualization: VisualizationConfig = key(VisualizationConfig(), "how figures look")
    results_dir: str = key("results", "folder for everything that is computed", min_length=1)

    @field_validator("model_name", "data_name", "experiment", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("seed", mode="before")
    @classmethod
    def _seeds_are_numbers(cls, value: Any) -> Any:
        return value if isinstance(value, (list, tuple)) else (value,)

    @field_validator("experiments", mode="before")
    @classmethod
    def _experiments_are_valid(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise InputError("experiments must map names to experiments")
        return {name: validate(ExperimentConfig, spec or {}, f"experiments.{name}") for name, spec in value.items()}

    def selected_experiments(self) -> dict[str, ExperimentConfig]:
        """The experiments asked for by ``experiment``, by name.

        Raises:
            InputError: a name is not in ``experiments``.
        """
        names = tuple(self.experiments) if self.experiment == ("all",) else self.experiment
        for name in names:
            if name not in self.experiments:
                raise unknown_name("experiment", name, self.experiments, key="experiment")
        return {name: self.experiments[name] for name in names}


def load_workflow_config(config_dir: str | Path, overrides: Mapping[str, Any] | None = None) -> WorkflowConfig:
    """Read the configuration files of a folder and put the command line's values on top.

    Args:
        config_dir: the folder with the four files; a file that is absent contributes nothing.
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
    return validate(WorkflowConfig, merge(merged, normalize(overrides or {}, "--config")), "")


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
                    raise InputError(f"{origin}: {target} and model.{given} are the same key; remove one of them")
                values[target] = model[given]
        unknown = [name for name in model if name not in ("name", "args")]
        if unknown:
            raise unknown_name("key", unknown[0], ("name", "args"), key=f"model.{unknown[0]}")
    for section, aliases in {"model_args": MODEL_ALIASES, "training": TRAINING_ALIASES}.items():
        if section in values:
            if not isinstance(values[section] or {}, Mapping):
                raise InputError(f"{origin}: {section} must hold keys and values, e.g. '{section}={{key: value}}'")
            values[section] = expand_aliases(values[section] or {}, aliases, f"{origin}: {section}")
    if "model_defaults" in values:
        values["model_defaults"] = {
            family: expand_aliases(args or {}, MODEL_ALIASES, f"{origin}: model_defaults.{family}")
            for family, args in (values["model_defaults"] or {}).items()
        }
    return values


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Put one layer on another: dictionaries merge key by key, everything else is replaced."""
    merged = dict(lower)
    for name, value in upper.items():
        below = merged.get(name)
        merged[name] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
