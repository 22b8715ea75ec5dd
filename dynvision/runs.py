"""From a workflow's configuration to its runs, and the paths of everything that a run writes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.training import TrainingConfig
from dynvision.config.workflow import WorkflowConfig
from dynvision.errors import InputError


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

    Raises:
        InputError: any run is not possible.
    """
    swept = {name: value for name, value in workflow.model_args.items() if isinstance(value, (list, tuple))}
    for name, values in swept.items():
        if not values:
            raise InputError(f"model_args.{name} is an empty list; give it at least one value")
    validate(TrainingConfig, workflow.training, "training")
    runs: dict[str, RunConfig] = {}
    for model, data, seed, *chosen in itertools.product(
        workflow.model_name, workflow.data_name, workflow.seed, *swept.values()
    ):
        args = {**workflow.model_args, **dict(zip(swept, chosen, strict=True))}
        run = run_config(model, args, data, workflow.data, workflow.training, seed)
        runs[run.run_id] = run
    return runs


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
    """Every parameter of a run by its dotted name, for ``results/runs.csv``."""
    flat: dict[str, Any] = {"run_id": run.run_id}
    _flatten(run.model_dump(mode="json"), "", flat)
    return flat


def _flatten(values: dict[str, Any], prefix: str, into: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            _flatten(value, f"{prefix}{name}.", into)
        else:
            into[f"{prefix}{name}"] = value
