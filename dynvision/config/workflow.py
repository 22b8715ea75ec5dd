"""What to run: the YAML files and the command line, merged (:mod:`dynvision.config.layers`), checked and typed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, ValidationInfo, field_validator, model_validator

from dynvision import plugins
from dynvision.config.comparison import BEHAVIOUR, ComparisonConfig
from dynvision.config.data import DATASETS, DataConfig, dataset_facts
from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.layers import (
    Layers,
    feedforward_twin,
    mapping,
    merge_layers,
    mode_names,
    read_layers,
    resolve_block,
)
from dynvision.config.measures import PROTOCOLS, ScorecardConfig
from dynvision.config.models import find_model
from dynvision.config.search import SearchConfig
from dynvision.config.section import Section, key, validate
from dynvision.config.sweep import Paired, Sweeps, resolve_paired, resolve_sweeps
from dynvision.config.training import ExecutionConfig, TrainingConfig
from dynvision.config.transforms import Classes, class_list, resolve_transform
from dynvision.config.visualization import VisualizationConfig
from dynvision.config.yaml_text import one_line
from dynvision.errors import InputError, unknown_name
from dynvision.parameter_names import MODEL_ALIASES, TRAINING_ALIASES

# Not names of experiments: all of them together, and the folders with the figures of runs.
RESERVED_NAMES = ("all", "training", "dynamics")
FOLDER_NAME = r"\w[\w.-]*"
DATA_SECTIONS = ("model_args", "data", "training")  # what a data set can have defaults of its own for


class WorkflowConfig(Section):
    """Everything that a call of Snakemake is given. Lists are sweeps: their product is run."""

    mode: tuple[str, ...] = key(
        (),
        "overlays by name, of config/modes: debug, local, large_dataset, distributed, cortical, cortical_x8",
    )
    plugins: tuple[str, ...] = key(
        (),
        "modules or files of your own that bring losses, measures, stimuli, noise, solvers, figures, models",
    )
    model_name: tuple[str, ...] = key(("DyRCNNx4",), "model or models by name, or package.module:Class")
    model_args: dict[str, Any] = key({}, "arguments of the model; a list of values is a sweep over them")
    model_defaults: dict[str, dict[str, Any]] = key(
        {}, "defaults by family of models or by model, below model_args"
    )
    category: Sweeps = key({}, "sweeps of one parameter at a time: a name, or parameter: [values]")
    paired: Paired = key(
        (),
        "parameters whose lists of values advance together, {parameter: [values], ...}, or a list of such groups",
    )
    categories: dict[str, dict[str, Any]] = key({}, "sweeps that can be named in category")
    data_name: tuple[str, ...] = key(
        ("digits",), f"data set or data sets: {', '.join(DATASETS)}, folder:<path>"
    )
    data: dict[str, Any] = key({}, "data settings other than the name")
    groups: dict[str, dict[str, Classes]] = key({}, "further groups of classes, by data set and name")
    transforms: dict[str, tuple[Any, ...]] = key({}, "further transforms: lists of operations, by name")
    data_defaults: dict[str, dict[str, dict[str, Any]]] = key(
        {}, "model_args, data and training of data sets by name, above the defaults and below all else"
    )
    training: dict[str, Any] = key({}, "training settings")
    seed: tuple[int, ...] = key((1,), "seed or seeds")
    experiment: tuple[str, ...] = key(("contrast",), "experiment or experiments by name, or all")
    experiments: dict[str, ExperimentConfig] = key({}, "the experiments that exist")
    comparisons: dict[str, ComparisonConfig] = key(
        {}, "the comparisons with recordings, by name; those whose experiment is asked for are made"
    )
    execution: ExecutionConfig = key(ExecutionConfig(), "settings that cannot change a result")
    search: SearchConfig = key(SearchConfig(), "what dynvision search varies, and what it looks for")
    scorecard: ScorecardConfig = key(ScorecardConfig(), "what networks are compared with")
    visualization: VisualizationConfig = key(VisualizationConfig(), "how figures look")
    results_dir: str = key("results", "folder for everything that is computed", min_length=1)
    study: str = key(
        "",
        "name of the study: its report, figures and table of runs lie in studies/<name> of the results, and those of other "
        "studies remain; empty has them in the results folder itself",
    )

    _layers: Layers = PrivateAttr()  # what this was merged from

    @model_validator(mode="before")
    @classmethod
    def _sweeps_are_resolved(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        resolved: dict[str, Any] = {}
        if "category" in values:
            resolved["category"] = resolve_sweeps(values["category"], values.get("categories") or {})
        if "paired" in values:
            resolved["paired"] = resolve_paired(values["paired"])
        return {**values, **resolved}

    @field_validator("mode", mode="before")
    @classmethod
    def _modes_are_a_list(cls, value: Any) -> Any:
        return mode_names(value)

    @field_validator("plugins", mode="before")
    @classmethod
    def _plugins_are_a_list(cls, value: Any) -> Any:
        return plugins.names(value)

    @field_validator("model_name", "data_name", "experiment", "seed", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, (list, tuple)) and not value:
            raise InputError(f"{info.field_name} is an empty list; give it at least one value")
        return value if isinstance(value, (list, tuple)) else (value,)

    @field_validator("results_dir", mode="after")
    @classmethod
    def _results_are_in_a_folder_that_commands_can_name(cls, value: str) -> str:
        folder = str(Path(value))
        if re.search(r"[{}\x00-\x1f]", folder) or folder.startswith("-"):
            raise InputError(
                f"results_dir={value!r} is not possible: braces stand for wildcards in the workflow, and a dash at the "
                "beginning for an option; choose another folder"
            )
        return folder

    @field_validator("experiments", mode="before")
    @classmethod
    def _experiments_are_valid(cls, value: Any) -> Any:
        for name in value:
            if not re.fullmatch(FOLDER_NAME, str(name)) or name in RESERVED_NAMES:
                raise InputError(
                    f"experiments: {name!r} cannot be the name of an experiment, since folders are named after it; "
                    f"use letters, digits, _ and -, and none of {', '.join(RESERVED_NAMES)}"
                )
        return {
            str(name): validate(ExperimentConfig, resolve_block(name, value) or {}, f"experiments.{name}")
            for name in value
        }

    @field_validator("comparisons", mode="before")
    @classmethod
    def _comparisons_are_valid(cls, value: Any) -> Any:
        given = mapping(value, "comparisons", "configuration")
        for name in given:
            if not re.fullmatch(FOLDER_NAME, str(name)):
                raise InputError(
                    f"comparisons: {name!r} cannot be the name of a comparison, since folders are named after it; use "
                    "letters, digits, _ and -"
                )
        return {
            str(name): validate(ComparisonConfig, block or {}, f"comparisons.{name}")
            for name, block in given.items()
        }

    @field_validator("study", mode="after")
    @classmethod
    def _study_can_name_a_folder(cls, value: str) -> str:
        if value and not re.fullmatch(FOLDER_NAME, value):
            raise InputError(f"study={value!r} cannot name a folder; use letters, digits, _, - and .")
        return value

    @field_validator("groups", mode="before")
    @classmethod
    def _groups_are_lists_of_classes(cls, value: Any) -> Any:
        return {
            str(data): {
                str(name): class_list(classes, f"groups.{data}.{name}")
                for name, classes in mapping(of_data, f"groups.{data}", "configuration").items()
            }
            for data, of_data in mapping(value, "groups", "configuration").items()
        }

    @field_validator("transforms", mode="before")
    @classmethod
    def _transforms_are_lists_of_operations(cls, value: Any) -> Any:
        own = mapping(value, "transforms", "configuration")
        return {str(name): resolve_transform(given, f"transforms.{name}") for name, given in own.items()}

    @field_validator("data_defaults", mode="after")
    @classmethod
    def _data_defaults_are_possible(cls, value: dict[str, dict[str, dict[str, Any]]]) -> Any:
        for name, sections in value.items():
            where = f"data_defaults.{name}"
            dataset_facts(name, key=where)
            for section in sections:
                if section not in DATA_SECTIONS:
                    raise unknown_name("section", section, DATA_SECTIONS, key=f"{where}.{section}")
            # Also of data sets that nobody asks for: a mistake is found when it is written, not when it is used.
            validate(TrainingConfig, sections.get("training", {}), f"{where}.training")
            validate(DataConfig, {**sections.get("data", {}), "name": name}, f"{where}.data")
            for argument, given in sections.get("model_args", {}).items():
                if isinstance(given, (list, tuple)):
                    raise InputError(
                        f"{where}.model_args.{argument} is a list; sweeps belong into model_args"
                    )
        return value

    def sections(self, model: str, data_name: str) -> dict[str, dict[str, Any]]:
        """``model_args``, ``data`` and ``training`` of a model on a data set, with what is set for these two alone."""
        # From the layers and not from the fields: the defaults of a data set lie between the files.
        merged = merge_layers(self._layers.all(data_name, model))
        return {section: merged.get(section) or {} for section in DATA_SECTIONS}

    def defaults_of(self, model: str) -> dict[str, Any]:
        """The values of ``model_defaults`` for a model: those of its family, overruled by those of its own name."""
        family = find_model(model).args.family()
        own = {} if model == family else self.model_defaults.get(model, {})
        return self.model_defaults.get(family, {}) | own

    def scorecard_experiments(self) -> dict[str, ExperimentConfig]:
        """The experiments that the scorecard needs, by name.

        Raises:
            InputError: one is not in ``experiments``, or varies something else than its protocol.
        """
        found = {}
        for protocol, name in self.scorecard.experiments.items():
            found[name] = self._selected(name)
            varied, _ = PROTOCOLS[protocol]
            if found[name].parameter != varied:
                raise InputError(
                    f"scorecard.experiments.{protocol}={name}: the protocol varies {varied}, and this experiment "
                    f"{found[name].parameter}; name an experiment with parameter: {varied}"
                )
        return found

    def selected_experiments(self) -> dict[str, ExperimentConfig]:
        """The experiments asked for by ``experiment``, by name.

        Raises:
            InputError: a name is not in ``experiments``.
        """
        # A name with ffonly at its end need not be listed; `_selected` makes the twin.
        names = tuple(self.experiments) if self.experiment == ("all",) else self.experiment
        return {name: self._selected(name) for name in names}

    def selected_comparisons(self, experiments: Collection[str]) -> dict[str, ComparisonConfig]:
        """The comparisons of experiments, by name.

        Raises:
            InputError: one is of an experiment that does not exist, that keeps no units, or that has no such value.
        """
        for name, comparison in self.comparisons.items():
            experiment = self._selected(comparison.experiment, f"comparisons.{name}.experiment")
            if comparison.method != BEHAVIOUR and experiment.save_responses != "unit":
                raise InputError(
                    f"comparisons.{name} needs the units of experiments.{comparison.experiment}, which keeps none; set "
                    f"experiments.{comparison.experiment}.save_responses: unit"
                )
            # As they are written in tables and figures: no two values of an experiment are the same to six digits.
            shown = [f"{value:g}" for value in experiment.values]
            if comparison.value is not None and f"{comparison.value:g}" not in shown:
                raise InputError(
                    f"comparisons.{name}.value={comparison.value:g} is not among the values of experiments."
                    f"{comparison.experiment}: {', '.join(shown)}"
                )
        return {name: one for name, one in self.comparisons.items() if one.experiment in experiments}

    def _selected(self, name: str, where: str = "experiment") -> ExperimentConfig:
        if name in self.experiments:
            return self.experiments[name]
        twin = feedforward_twin(name, self.experiments)
        if twin is None:
            raise unknown_name("experiment", name, self.experiments, key=where)
        return validate(ExperimentConfig, twin, f"experiments.{name}")


def load_workflow_config(
    config_dir: str | Path,
    overrides: Mapping[str, Any] | None = None,
    config_files: Sequence[str | Path] = (),
) -> WorkflowConfig:
    """Read the configuration files of a folder and put the command line's values on top.

    Args:
        config_dir: the folder with the files; one that is absent contributes nothing.
        overrides: what ``--config`` was given, by key.
        config_files: further files on top of those of the folder.

    Raises:
        InputError: anything that is misspelt, mistyped or impossible.
    """
    return resolve_layers(read_layers(config_dir, overrides or {}, config_files))


def resolve_layers(layers: Layers) -> WorkflowConfig:
    """The configuration of some layers, validated.

    Raises:
        InputError: anything that is misspelt, mistyped or impossible.
    """
    merged = merge_layers(layers.all())
    _check_sections(merged)
    config = validate(WorkflowConfig, merged, "")
    config._layers = layers
    return config


def _check_sections(values: Mapping[str, Any]) -> None:
    """Check that no key of a section stands outside of it, as all of them did in DynVision 0.1.

    Raises:
        InputError: one does.
    """
    inside = {
        "model_args": {*DyRCNNArgs.model_fields, *MODEL_ALIASES},
        "training": {*TrainingConfig.model_fields, *TRAINING_ALIASES},
        "data": set(DataConfig.model_fields),
        "execution": set(ExecutionConfig.model_fields),
    }
    for name, value in values.items():
        for section, keys in inside.items():
            if name in keys and name not in WorkflowConfig.model_fields:
                raise InputError(
                    f"unknown key {name!r}: it is a key of {section}; write {one_line({section: {name: value}})[1:-1]}"
                )
