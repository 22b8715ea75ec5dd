"""The plan of a call of Snakemake: its settings, read and checked; its runs and experiments; and where results lie."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dynvision.config.comparison import ComparisonConfig
from dynvision.config.data import ImagesConfig
from dynvision.config.experiment import ExperimentConfig, frozen_experiment
from dynvision.config.identity import PLUGINS
from dynvision.config.layers import FEEDFORWARD_TWIN
from dynvision.config.models import MODELS, check_module, find_model
from dynvision.config.run import ModelConfig, RunConfig
from dynvision.config.visualization import DEFAULT, SWEEP_FIGURES
from dynvision.config.workflow import WorkflowConfig, load_workflow_config
from dynvision.errors import InputError, unknown_name
from dynvision.files import check_writable
from dynvision.runs.expansion import (
    check_classes,
    check_on_models,
    check_pretrained,
    expand_runs,
    with_checkpoints,
)
from dynvision.trained import CONFIG


@dataclass(frozen=True)
class ResultPaths:
    """Where results lie below one root folder.

    Attributes:
        root: the folder.
        study: name of a study, whose figures and report lie in a folder of their own; empty is the study without a name.
    """

    root: Path
    study: str = ""

    @property
    def of_study(self) -> Path:
        """Folder of what shows several runs: the report, the table of runs, figures, and how they look."""
        return self.root / "studies" / self.study if self.study else self.root

    @property
    def report(self) -> Path:
        """The report of the study."""
        return self.of_study / "report.html"

    @property
    def visualization(self) -> Path:
        """How figures look."""
        return self.of_study / "visualization.yaml"

    def data(self, data_id: str) -> Path:
        """Folder of a converted data set: ``manifest.json`` and the ``.beton`` files."""
        return self.root / "data" / data_id

    def run_ids(self) -> list[str]:
        """The runs that there are, whether they have been trained or not."""
        return sorted(path.parent.name for path in (self.root / "runs").glob(f"*/{CONFIG}"))

    def run(self, run_id: str) -> Path:
        """Folder of a run: ``config.yaml``, ``checkpoints/``, ``model.safetensors``, ``training.csv``."""
        return self.root / "runs" / run_id

    def experiment(self, experiment: str, run_id: str) -> Path:
        """Folder of one experiment on one run: the tables."""
        return self.root / "experiments" / experiment / run_id

    def frozen_experiment(self, experiment: str) -> Path:
        """The configuration of an experiment, as it was last run."""
        return self.root / "experiments" / experiment / CONFIG

    def scorecard(self, run_id: str) -> Path:
        """Folder of the scorecard of a run: table, text and figure."""
        return self.root / "scorecard" / run_id

    def dynamics(self, run_id: str) -> Path:
        """Folder of the dynamics of a run: the tables."""
        return self.root / "dynamics" / run_id

    def comparison(self, name: str, run_id: str) -> Path:
        """Folder of a comparison of a run with a recording: tables and figures."""
        return self.root / "comparisons" / name / run_id

    def figures(self, experiment: str) -> Path:
        """Folder of an experiment's figures."""
        return self.of_study / "figures" / experiment


@dataclass(frozen=True)
class WorkflowPlan:
    """What the Snakefile needs to know: runs, experiments, settings and paths."""

    runs: dict[str, RunConfig]
    experiments: dict[str, ExperimentConfig]
    workflow: WorkflowConfig
    paths: ResultPaths
    comparisons: dict[str, ComparisonConfig] = field(default_factory=dict)

    def check_folders(self) -> None:
        """Check that results, and what Snakemake keeps beside the Snakefile, can be written.

        Raises:
            InputError: they cannot.
        """
        root = self.paths.root
        inside = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
        for folder in (Path(".snakemake"), root, *inside):
            check_writable(folder)

    def run(self, run_id: str) -> RunConfig:
        """The run of an id.

        Raises:
            InputError: it is none of this call; jobs on other machines plan anew.
        """
        if run_id not in self.runs:
            raise InputError(
                f"{run_id} is no run of this configuration; if its model's source has been edited since the call began, "
                "call the workflow again"
            )
        return self.runs[run_id]

    def run_json(self, run_id: str) -> str:
        """A run's configuration as JSON: what is not by default, so that a new key repeats no run."""
        run = self.run(run_id)
        return json.dumps({**run.differences(), **({PLUGINS: run.plugins} if run.plugins else {})})

    def experiment_json(self, name: str) -> str:
        """An experiment's configuration and name as JSON."""
        known = {**self.workflow.scorecard_experiments(), **self.experiments}
        return json.dumps(frozen_experiment(name, known[name]))

    def comparison(self, name: str, run_id: str) -> ComparisonConfig:
        """A comparison of a run, with its pairs of layers and areas written out."""
        return self.comparisons[name].committed(self.run(run_id).model.name, self.workflow.scorecard)

    def data_folder(self, run_id: str) -> Path:
        """The data folder of a run."""
        self.run(run_id)  # it is one of this call
        return self.paths.data(self.data_ids[run_id])

    def pretrained(self, run_id: str) -> list[str]:
        """The file of weights that a run begins with, if there is one."""
        path = self.run(run_id).training.init_with_pretrained
        return [] if path is None else [path]

    def data_json(self, data_id: str) -> str:
        """The configuration of a data folder as JSON."""
        return json.dumps(self.data[data_id].differences())

    @cached_property
    def data(self) -> dict[str, ImagesConfig]:
        """The images of all runs by the name of their folder."""
        one_of_each = {data_id: run_id for run_id, data_id in self.data_ids.items()}
        return {data_id: self.runs[run_id].data.images for data_id, run_id in one_of_each.items()}

    @cached_property
    def data_ids(self) -> dict[str, str]:
        """The names of these folders by run. Each is a hash, which takes its time for a thousand runs."""
        return {run_id: run.data_id for run_id, run in self.runs.items()}

    def figures(self, experiment: str) -> list[str]:
        """The figures of an experiment: those of the configuration, and those of sweeps where runs differ."""
        of_sweeps = SWEEP_FIGURES if self.is_sweep else ()
        return [*self.workflow.visualization.figures_of(experiment), *of_sweeps]

    def twins(self, experiment: str) -> list[str]:
        """The feedforward-only twin of an experiment, where it is run as well and a figure shows it."""
        twin = experiment + FEEDFORWARD_TWIN
        return [twin] if twin in self.experiments and "robustness" in self.figures(experiment) else []

    @cached_property
    def is_sweep(self) -> bool:
        """Whether runs differ in more than their seed."""
        distinct = set()
        for run in self.runs.values():
            values = run.model_dump(exclude={"seed": True, "data": {"split_seed"}})
            distinct.add(repr(values))
        return len(distinct) > 1

    @property
    def execution_options(self) -> str:
        """The section ``execution`` as options of a command."""
        values = self.workflow.execution.model_dump()
        return shlex.join(
            part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", str(value))
        )


def plan_workflow(
    config_dir: str | Path, overrides: Mapping[str, Any], config_files: Sequence[str | Path] = ()
) -> WorkflowPlan:
    """Read, check and expand everything that a call of Snakemake is given.

    Every experiment is checked against every run, so that nothing impossible is planned.

    Raises:
        InputError: anything that is misspelt, mistyped or impossible.
    """
    workflow = load_workflow_config(config_dir, overrides, config_files)
    for model in workflow.model_name:
        if ":" in model:
            check_module(model)
    runs = expand_runs(workflow)
    for run in runs.values():
        check_pretrained(run.training)
    workflow.scorecard_experiments()  # they exist
    experiments = workflow.selected_experiments()
    look = workflow.visualization
    for name in {*look.figures, *look.focus_measure} - {DEFAULT}:
        if (
            name.removesuffix(FEEDFORWARD_TWIN) not in workflow.experiments
            and name not in workflow.experiments
        ):
            raise unknown_name("experiment", name, workflow.experiments, key="visualization.figures")
    distinct = {(run.model.name, repr(run.model.args)): run.model for run in runs.values()}
    paths = ResultPaths(Path(workflow.results_dir), workflow.study)
    for name, experiment in dict(experiments).items():
        try:
            experiments[name] = experiment.on(workflow.data_name, workflow.groups)
        except InputError as error:
            raise InputError(f"experiments.{name}: {error}") from None
        check_on_models(name, experiment, distinct.values())
        _check_focus(name, experiment, distinct.values())
        check_classes(name, experiments[name], runs.values())
    kept = [(run, paths.run(run_id) / "checkpoints") for run_id, run in runs.items()]
    every = workflow.execution.checkpoint_every
    experiments = with_checkpoints(experiments, kept, every, leave_out=workflow.experiment == ("all",))
    comparisons = workflow.selected_comparisons(experiments)
    plan = WorkflowPlan(runs, experiments, workflow, paths, comparisons)
    for name, comparison in comparisons.items():
        if not Path(comparison.data).exists():
            raise InputError(f"comparisons.{name}.data: there is no recording {comparison.data}")
        for run_id in runs:
            try:
                plan.comparison(name, run_id)
            except InputError as error:
                raise InputError(f"comparisons.{name}: {error}") from None
            _check_layers(name, comparison, plan.run(run_id))
    return plan


def _layers(model: ModelConfig) -> tuple[str, ...]:
    """The layers of a model where they are known without building it: not those that are extra."""
    return () if model.args.get("extra_layers") else find_model(model.name).layers


def _check_focus(name: str, experiment: ExperimentConfig, models: Iterable[ModelConfig]) -> None:
    """Check that some model has the layer that figures show first: one without it shows its own first layer."""
    own = [_layers(model) for model in models]
    known = {layer for entry in MODELS.values() for layer in entry.layers}
    if experiment.focus_layer and all(own) and experiment.focus_layer not in known:
        key = f"experiments.{name}.focus_layer"
        raise unknown_name("layer", experiment.focus_layer, set().union(*own), key=key)


def _check_layers(name: str, comparison: ComparisonConfig, run: RunConfig) -> None:
    """Check that the layers of a comparison are those of a run's model, where these are known without building it."""
    known = _layers(run.model)
    paired = () if isinstance(comparison.pairs, str) else tuple(comparison.pairs)
    given = (*((layer, "layers") for layer in comparison.layers), *((layer, "pairs") for layer in paired))
    for layer, where in given:
        if known and layer not in known:
            raise unknown_name("layer", layer, known, key=f"comparisons.{name}.{where}")
