"""From a workflow's configuration to its runs, and the paths of everything that a run writes."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dynvision.config.data import ImagesConfig, with_own_names
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.feasible import check_on_models, with_checkpoints
from dynvision.config.figures import DEFAULT, SWEEP_FIGURES
from dynvision.config.models import MODELS, check_module, find_model
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.sweep import replace_value
from dynvision.config.training import TrainingConfig
from dynvision.config.twins import FEEDFORWARD_TWIN
from dynvision.config.workflow import WorkflowConfig, load_workflow_config
from dynvision.errors import InputError, unknown_name
from dynvision.files import check_writable


@dataclass(frozen=True)
class ResultPaths:
    """Where results lie below one root folder."""

    root: Path

    def data(self, data_id: str) -> Path:
        """Folder of a converted data set: ``manifest.json`` and the ``.beton`` files."""
        return self.root / "data" / data_id

    def run(self, run_id: str) -> Path:
        """Folder of a run: ``config.yaml``, ``checkpoints/``, ``model.safetensors``, ``training.csv``."""
        return self.root / "runs" / run_id

    def experiment(self, experiment: str, run_id: str) -> Path:
        """Folder of one experiment on one run: the tables."""
        return self.root / "experiments" / experiment / run_id

    def figures(self, experiment: str) -> Path:
        """Folder of an experiment's figures."""
        return self.root / "figures" / experiment


def expand_runs(workflow: WorkflowConfig) -> dict[str, RunConfig]:
    """All runs of a workflow by run id: the product of models, data sets, seeds and lists in ``model_args``.

    Each of them is followed by those that differ from it in one value of ``category``.

    Raises:
        InputError: any run is not possible.
    """
    model_args, _ = split_input_dims(workflow.model_args, workflow.data)
    swept = {name: value for name, value in model_args.items() if isinstance(value, (list, tuple))}
    for name, values in swept.items():
        if not values:
            raise InputError(f"model_args.{name} is an empty list; give it at least one value")
        if f"model_args.{name}" in workflow.category:
            raise InputError(
                f"model_args.{name} is a list and category varies it as well; remove one of them"
            )
    variants = [("", None)] + [
        (name, value) for name, values in workflow.category.items() for value in values
    ]
    validate(TrainingConfig, workflow.training, "training")
    sections = {data: workflow.of_data(data) for data in workflow.data_name}
    for family in workflow.model_defaults:
        families = {entry.args.family() for entry in MODELS.values()}
        if family not in families:
            raise unknown_name("family of models", family, families, key="model_defaults")
    runs: dict[str, RunConfig] = {}
    for model, data, seed, *chosen in itertools.product(
        workflow.model_name, workflow.data_name, workflow.seed, *swept.values()
    ):
        defaults = workflow.model_defaults.get(find_model(model).args.family(), {})
        own = sections[data]
        model_args, data_settings = split_input_dims(own["model_args"], own["data"])
        args = {**defaults, **model_args, **dict(zip(swept, chosen, strict=True))}
        base = {"model_args": args, "data": data_settings, "training": own["training"]}
        for name, value in variants:
            run = _variant(workflow, model, data, seed, base, name, value)
            runs[run.run_id] = run
    return runs


def _variant(
    workflow: WorkflowConfig,
    model: str,
    data: str,
    seed: int,
    base: Mapping[str, Any],
    name: str,
    value: Any,
) -> RunConfig:
    """The run of some sections, with one value replaced if there is a name."""
    parts = replace_value(base, name, value) if name else base
    try:
        shown = with_own_names(data, parts["data"], workflow.groups, workflow.transforms)
        return run_config(model, parts["model_args"], data, shown, parts["training"], seed)
    except InputError as error:
        raise InputError(f"category {name}={value!r}: {error}" if name else str(error)) from None


def split_input_dims(
    model_args: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Model arguments and data settings, where ``input_dims: [T, C, H, W]`` says how long and how large images are shown.

    Raises:
        InputError: they are not four whole numbers, images are not square, or the data settings say otherwise.
    """
    args, settings = dict(model_args), dict(data)
    dims = args.pop("input_dims", None)
    if dims is None:
        return args, settings
    whole = isinstance(dims, (list, tuple)) and len(dims) == 4 and all(str(size).isdigit() for size in dims)
    if not whole or str(dims[2]) != str(dims[3]):
        raise InputError(
            f"model_args.input_dims={dims!r} is not valid; write [steps, channels, height, width], "
            "with equal height and width"
        )
    n_timesteps, n_channels, resolution = (int(size) for size in dims[:3])
    args.setdefault("n_timesteps", n_timesteps)
    for name, size in {"n_channels": n_channels, "resolution": resolution}.items():
        if settings.get(name) not in (None, 0, "0", size, str(size)):
            raise InputError(
                f"model_args.input_dims={dims!r} and data.{name}={settings[name]} contradict; remove one"
            )
        settings[name] = size
    return args, settings


def run_config(
    model_name: str,
    model_args: dict[str, Any],
    data_name: str,
    data: dict[str, Any],
    training: dict[str, Any],
    seed: int,
) -> RunConfig:
    """One run from its parts, validated."""
    values = {
        "model": {"name": model_name, "args": model_args},
        "data": {**data, "name": data_name},
        "training": training,
        "seed": seed,
    }
    return validate(RunConfig, values, "")


def flat_parameters(run: RunConfig) -> dict[str, Any]:
    """Every parameter of a run by its dotted name, its id first."""
    return {"run_id": run.run_id, **flatten(run.model_dump(mode="json"))}


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested keys as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}.{inner}": content for inner, content in flatten(value).items()}
        else:
            flat[name] = value
    return flat


@dataclass(frozen=True)
class WorkflowPlan:
    """What the Snakefile needs to know: runs, experiments, settings and paths."""

    runs: dict[str, RunConfig]
    experiments: dict[str, ExperimentConfig]
    workflow: WorkflowConfig
    paths: ResultPaths

    def check_folders(self) -> None:
        """Check that results, and what Snakemake keeps beside the Snakefile, can be written.

        Raises:
            InputError: they cannot.
        """
        root = self.paths.root
        inside = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
        for folder in (Path(".snakemake"), root, *inside):
            check_writable(folder)

    def run_json(self, run_id: str) -> str:
        """A run's configuration as JSON."""
        return self.runs[run_id].model_dump_json()

    def experiment_json(self, name: str) -> str:
        """An experiment's configuration and name as JSON."""
        known = {**self.workflow.scorecard_experiments(), **self.experiments}
        return json.dumps({"name": name, **known[name].model_dump(mode="json")})

    def data_folder(self, run_id: str) -> Path:
        """The data folder of a run."""
        return self.paths.data(self.runs[run_id].data_id)

    def pretrained(self, run_id: str) -> list[str]:
        """The file of weights that a run begins with, if there is one."""
        path = self.runs[run_id].training.init_with_pretrained
        return [] if path is None else [path]

    def data_json(self, data_id: str) -> str:
        """The configuration of a data folder as JSON."""
        return self.data[data_id].model_dump_json()

    @cached_property
    def data(self) -> dict[str, ImagesConfig]:
        """The images of all runs by the name of their folder."""
        return {run.data_id: run.data.images for run in self.runs.values()}

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


def plan_workflow(config_dir: str | Path, overrides: Mapping[str, Any]) -> WorkflowPlan:
    """Read, check and expand everything that a call of Snakemake is told.

    Every experiment is checked against every run, so that nothing impossible is planned.

    Raises:
        InputError: anything that is misspelt, mistyped or impossible.
    """
    workflow = load_workflow_config(config_dir, overrides)
    for model in workflow.model_name:
        if ":" in model:
            check_module(model)
    runs = expand_runs(workflow)
    check_pretrained(next(iter(runs.values())).training)
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
    paths = ResultPaths(Path(workflow.results_dir))
    for name, experiment in dict(experiments).items():
        try:
            experiments[name] = experiment.on(workflow.data_name, workflow.groups)
        except InputError as error:
            raise InputError(f"experiments.{name}: {error}") from None
        check_on_models(name, experiment, distinct.values())
    kept = [(run, paths.run(run_id) / "checkpoints") for run_id, run in runs.items()]
    every = workflow.execution.checkpoint_every
    experiments = with_checkpoints(experiments, kept, every, leave_out=workflow.experiment == ("all",))
    return WorkflowPlan(runs, experiments, workflow, paths)


def check_pretrained(training: TrainingConfig) -> None:
    """Check that there is a file of weights to begin with, where the configuration names one.

    Raises:
        InputError: there is none, or it is of a kind that must be imported first.
    """
    path = training.init_with_pretrained
    if path is None:
        if training.pretrained_except:
            raise InputError(
                "training.pretrained_except needs training.init_with_pretrained, the file that weights are taken from"
            )
        return
    if not path.endswith(".safetensors"):
        raise InputError(
            f"training.init_with_pretrained={path} must be a .safetensors file; turn a published checkpoint into one with "
            "'dynvision weights import'"
        )
    if not Path(path).is_file():
        raise InputError(f"training.init_with_pretrained: there is no file {path}")


def failures(results: str | Path, since: float) -> list[str]:
    """What went wrong in jobs: the sentences with which commands ended that could not do what they should.

    Args:
        results: the results folder.
        since: time in s since the epoch; logs that were written before are passed over.
    """
    logs = [path for path in Path(results, "logs").rglob("*.log") if path.stat().st_mtime >= since]
    last = [path.read_text(encoding="utf-8", errors="replace").splitlines()[-1:] for path in sorted(logs)]
    return [line for lines in last for line in lines if line.startswith("dynvision ")]
