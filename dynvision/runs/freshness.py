"""Which results are there and must be made again, since what they were made from is another now.

Snakemake makes what is missing. What is there but no longer right it cannot know: its notes may be gone, and times state
nothing about contents. So each result's record (:mod:`dynvision.runs.made_from`) is compared with what the plan would make
it from, in the order in which results follow from each other; what follows from a result that will be made is made again.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dynvision.config.experiment import ExperimentConfig, frozen_experiment
from dynvision.config.layers import FEEDFORWARD_TWIN
from dynvision.config.run import read_yaml
from dynvision.config.visualization import DYNAMICS_FIGURES, ON_REQUEST, RUN_FIGURES
from dynvision.errors import InputError
from dynvision.runs import made_from as made
from dynvision.runs.made_from import has_changed
from dynvision.runs.plan import WorkflowPlan

DYNAMICS_TABLES = ("spectrum", "timescales", "autocorrelation", "trajectories", "unrolling")
FORMATS = ("png", "svg", "csv")


class Freshness:
    """What of a plan's results must be made again.

    Args:
        plan: what is to be there.

    Attributes:
        again: the files that are there and must be made again.
        records: the records, and the table of runs, of all that is not as it should be, whether it is there or not.
    """

    def __init__(self, plan: WorkflowPlan) -> None:
        self.plan, self.paths = plan, plan.paths
        self.look_now = made.look_identity(plan.workflow.visualization, plan.workflow.scorecard)
        self.again: set[str] = set()
        self.known_to: object = None  # the plan of Snakemake that has them already
        self.records: set[str] = set()

    def look(self) -> None:
        """Compare what is there with the plan."""
        plan, workflow = self.plan, self.plan.workflow
        scored = workflow.scorecard_experiments()
        shown = {**scored, **plan.experiments}
        for name, experiment in shown.items():
            self._frozen(self.paths.frozen_experiment(name), frozen_experiment(name, experiment))
        sections = ("visualization", "scorecard")
        look = {name: getattr(workflow, name).model_dump(mode="json") for name in sections}
        self._frozen(self.paths.visualization, look)
        data = {data_id: self._converted(data_id) for data_id in plan.data}
        weights = {run_id: self._trained(run_id, data[data_id]) for run_id, data_id in plan.data_ids.items()}
        dynamics = {run_id: self._of_weights(run_id, of_run, data) for run_id, of_run in weights.items()}
        responses = {
            name: {
                run_id: self._responses(name, experiment, run_id, of_run, data)
                for run_id, of_run in weights.items()
            }
            for name, experiment in shown.items()
        }
        metrics = {
            name: {run_id: self._metrics(name, run_id, of_run) for run_id, of_run in responses[name].items()}
            for name in plan.experiments
        }
        for run_id in plan.runs:
            self._scorecard(run_id, {name: responses[name][run_id] for name in scored})
        comparisons = {name: self._comparisons(name, responses) for name in plan.comparisons}
        self._figures("dynamics", dynamics, [name for name in DYNAMICS_FIGURES if name not in ON_REQUEST])
        figures = {
            name: self._figures(name, {**metrics[name], **self._twins(name, responses)}, plan.figures(name))
            for name in plan.experiments
        }
        figures["training"] = self._figures("training", weights, list(RUN_FIGURES))
        inputs = made.of_report(metrics, figures, self.look_now, comparisons)
        known = None not in figures.values() and all(None not in of.values() for of in comparisons.values())
        self._check(self.paths.of_study / made.REPORT, inputs if known else None, self.paths.report)
        table = self.paths.of_study / "runs.csv"
        if table.exists() and not set(plan.runs) <= _first_column(table):
            self.again.add(str(table))
            self.records.add(str(table))

    def _frozen(self, path: Path, wanted: dict[str, Any]) -> None:
        """A frozen configuration is what it is now."""
        try:
            if not path.exists() or read_yaml(path) == wanted:
                return
        except InputError:
            pass
        self.again.add(str(path))

    def _check(self, record: Path, inputs: dict[str, Any] | None, *results: Path) -> str | None:
        """Return the identity of a result that is right; what is there of one that is not is made again.

        Args:
            record: its record.
            inputs: what it is to be made from; None if that is not made yet.
            results: its files.
        """
        if inputs is not None and made.is_made_from(record, inputs, *results):
            return made.short_hash(inputs)
        self.again.update(str(path) for path in (record, *results) if path.exists())
        self.records.add(str(record))
        return None

    def _converted(self, data_id: str) -> str | None:
        folder = self.paths.data(data_id)
        record = made.read_record(folder / made.CONVERTED) or {}
        if has_changed(record.get("folder")):
            record = {}
        inputs = made.of_images(self.plan.data[data_id]) if record else None
        is_right = self._check(folder / made.CONVERTED, inputs, folder / "manifest.json")
        return record["identity"] if is_right else None

    def _trained(self, run_id: str, data: str | None) -> str | None:
        folder = self.paths.run(run_id)
        inputs = None if data is None else made.of_training(self.plan.runs[run_id], data)
        results = (folder / name for name in made.OF_TRAINING)
        is_right = self._check(folder / made.TRAINED, inputs, *results)
        return (made.read_record(folder / made.TRAINED) or {})["weights"] if is_right else None

    def _of_weights(self, run_id: str, weights: str | None, data: Mapping[str, str | None]) -> str | None:
        """The description of the weights, and what is returned: the identity of the dynamics."""
        inputs = made.of_weights(weights) if weights else None
        self._check(self.paths.run(run_id) / made.WEIGHTS, inputs, self.paths.run(run_id) / "weights.parquet")
        of_data = data[self.plan.data_ids[run_id]]
        inputs = made.of_dynamics(weights, of_data) if weights and of_data else None
        folder = self.paths.dynamics(run_id)
        return self._check(
            folder / made.DYNAMICS, inputs, *(folder / f"{name}.parquet" for name in DYNAMICS_TABLES)
        )

    def _responses(
        self,
        name: str,
        experiment: ExperimentConfig,
        run_id: str,
        weights: str | None,
        data: Mapping[str, str | None],
    ) -> str | None:
        run = self.plan.runs[run_id]
        of_data = data[self.plan.data_ids[run_id]]
        inputs = (
            made.of_responses(experiment, run.data.name, weights, of_data) if weights and of_data else None
        )
        folder = self.paths.experiment(name, run_id)
        units = ("units",) if experiment.save_responses == "unit" else ()
        results = (folder / f"{table}.parquet" for table in ("responses", "performance", *units))
        return self._check(folder / made.RESPONSES, inputs, *results)

    def _metrics(self, name: str, run_id: str, responses: str | None) -> str | None:
        inputs = made.of_metrics(self.plan.experiments[name], responses) if responses else None
        folder = self.paths.experiment(name, run_id)
        results = (folder / f"{table}.parquet" for table in ("metrics", "summary"))
        return self._check(folder / made.METRICS, inputs, *results)

    def _comparisons(
        self, name: str, responses: Mapping[str, Mapping[str, str | None]]
    ) -> dict[str, str | None]:
        """A comparison of all runs."""
        recording = made.recording_identity(Path(self.plan.comparisons[name].data))
        found = {}
        for run_id in self.plan.runs:
            comparison = self.plan.comparison(name, run_id)
            of_run = responses[comparison.experiment][run_id]
            inputs = made.of_comparison(comparison, recording, of_run, self.look_now) if of_run else None
            folder = self.paths.comparison(name, run_id)
            results = (folder / file for file in made.files_of(comparison))
            found[run_id] = self._check(folder / made.COMPARED, inputs, *results)
        return found

    def _scorecard(self, run_id: str, responses: dict[str, str | None]) -> None:
        workflow = self.plan.workflow
        inputs = made.of_scorecard(workflow.scorecard, responses, self.look_now)
        known = None not in responses.values()
        folder = self.paths.scorecard(run_id)
        results = (folder / f"scorecard.{suffix}" for suffix in ("parquet", "txt", *FORMATS))
        self._check(folder / made.SCORECARD, inputs if known else None, *results)

    def _twins(self, name: str, responses: Mapping[str, Mapping[str, str | None]]) -> dict[str, str | None]:
        """The responses of an experiment's feedforward-only twin, where a figure shows them and they are there."""
        twin, found = name + FEEDFORWARD_TWIN, {}
        for run_id in self.plan.runs if "robustness" in self.plan.figures(name) else ():
            record = self.paths.experiment(twin, run_id) / made.RESPONSES
            if twin in self.plan.experiments:
                found[f"{twin} {run_id}"] = responses[twin][run_id]
            elif record.exists():
                found[f"{twin} {run_id}"] = made.identity_of(record)
        return found

    def _figures(self, folder: str, tables: Mapping[str, str | None], figures: Sequence[str]) -> str | None:
        experiment = self.plan.experiments.get(folder)
        inputs = made.of_figures(experiment, tables, self.look_now, figures)
        known = None not in tables.values()
        place = self.paths.figures(folder)
        results = (place / f"{figure}.{suffix}" for figure in figures for suffix in FORMATS)
        return self._check(place / made.FIGURES, inputs if known else None, *results)


def _first_column(table: Path) -> set[str]:
    with open(table, newline="", encoding="utf-8") as file:
        return {row[0] for row in csv.reader(file) if row}
