"""The tables of an experiment on some runs, each read when a figure asks for it and reduced run by run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from dynvision.analysis import (
    CLASSIFIER_LAYER,
    NamedExperiment,
    accuracy_courses,
    read_experiment,
    read_metrics,
    read_performance,
    read_responses,
    response_courses,
)
from dynvision.analysis.accuracy import best_moments, confusions, guess_courses
from dynvision.analysis.tables import levels, read_columns
from dynvision.config.layers import FEEDFORWARD_TWIN
from dynvision.config.run import RunConfig, read_run_config
from dynvision.errors import InputError
from dynvision.runs import ResultPaths
from dynvision.trained import CONFIG
from dynvision.visualization.names import Comparison, Names

MOST_VALUES = 3  # of the parameter, in a figure that has other things in its panels


class ExperimentTables:
    """Tables of all runs in an experiment.

    Args:
        paths: where results lie.
        experiment: the experiment.
        configs: the runs.

    Raises:
        InputError: (when a table is asked for) it is missing, broken, or of another run or experiment.
    """

    def __init__(self, paths: ResultPaths, experiment: NamedExperiment, configs: Sequence[RunConfig]) -> None:
        self.paths, self.experiment, self.configs = paths, experiment, tuple(configs)

    @cached_property
    def responses(self) -> pd.DataFrame:
        """`analysis.response_courses`."""
        return self._of_all_runs(
            "responses", lambda path: response_courses(read_responses(path, self.experiment))
        )

    @cached_property
    def accuracy(self) -> pd.DataFrame:
        """`analysis.accuracy_courses`."""
        return self._guesses(accuracy_courses)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """`analysis.measure_responses`."""
        return self._of_all_runs("metrics", lambda path: read_metrics(path, self.experiment))

    @cached_property
    def moments(self) -> pd.DataFrame:
        """`analysis.accuracy.best_moments`, of the networks as trained and of their feedforward-only twins."""
        table = self._guesses(best_moments).assign(network="as trained")
        if self.twin is None:
            return table
        return pd.concat(
            [table, self.twin._guesses(best_moments).assign(network="feedforward only")], ignore_index=True
        )

    @cached_property
    def guesses(self) -> pd.DataFrame:
        """`analysis.accuracy.guess_courses`."""
        return self._guesses(guess_courses)

    @cached_property
    def confusions(self) -> pd.DataFrame:
        """`analysis.accuracy.confusions`."""
        return self._guesses(confusions)

    @cached_property
    def twin(self) -> ExperimentTables | None:
        """The same experiment without recurrence and feedback, if it was run on all of the runs."""
        name = self.experiment.name + FEEDFORWARD_TWIN
        needed = [self.paths.experiment(name, run.run_id) / "performance.parquet" for run in self.configs]
        if not all(path.exists() for path in needed):
            return None
        experiment = read_experiment(self.paths.frozen_experiment(name))
        return ExperimentTables(self.paths, experiment, self.configs)

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the classes by their number, from the manifest of the data; numbers where there is none."""
        for config in self.configs:
            if names := names_of_classes(self.paths, config):
                return names
        table = self.confusions
        return [str(number) for number in range(int(table[["label", "guess"]].to_numpy().max()) + 1)]

    def courses(self, comparison: Comparison) -> pd.DataFrame:
        """Return the responses over time, averaged over the seeds of each condition."""
        return comparison.average(
            self.responses, ["parameter", "value", "layer", "time_ms", "stimulus_on", "mask_on"]
        )

    def measures(self, comparison: Comparison) -> pd.DataFrame:
        """Return the experiment's measures and those of the classifier, averaged over the seeds of each condition.

        Raises:
            InputError: the tables have none of them.
        """
        metrics, asked = self.metrics, self.experiment.config.measures
        wanted = metrics["measure"].isin(asked) | (metrics["layer"] == CLASSIFIER_LAYER)
        if not wanted.any():
            raise InputError(
                f"the tables of metrics have none of the measures of {self.experiment.name}; analyse them again"
            )
        return comparison.average(metrics[wanted], ["parameter", "value", "layer", "measure"])

    def _guesses(self, reduce: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
        return self._of_all_runs("performance", lambda path: reduce(read_performance(path, self.experiment)))

    def _of_all_runs(self, name: str, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
        """Return one table of all runs, each read and reduced before the next."""
        parts = []
        for config in self.configs:
            path = self.paths.experiment(self.experiment.name, config.run_id) / f"{name}.parquet"
            try:
                part = read(path)
            except InputError as error:
                raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
            found = [str(run_id) for run_id in part["run_id"].unique()]
            if found != [config.run_id]:
                raise InputError(f"{path} is of run {', '.join(found)}, not of {config.run_id}")
            parts.append(part)
        return joined(parts)


def names_of_classes(paths: ResultPaths, config: RunConfig) -> list[str]:
    """Return names of the classes of a run's data, by number; empty without a manifest."""
    path = paths.data(config.data_id) / "manifest.json"
    if not path.exists():
        return []
    return [str(name) for name in json.loads(path.read_text(encoding="utf-8")).get("class_names", [])]


def read_configs(paths: ResultPaths, run_ids: Sequence[str]) -> list[RunConfig]:
    """Return the configurations of runs.

    Raises:
        InputError: one is missing, or is that of another run.
    """
    configs = []
    for run_id in dict.fromkeys(run_ids):
        path = paths.run(run_id) / CONFIG
        config = read_run_config(path)
        if config.run_id != run_id:
            raise InputError(f"{path} is the configuration of {config.run_id}, not of {run_id}")
        configs.append(config)
    return configs


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of several runs in one, with layers and measures in their order."""
    table = pd.concat([part.astype({"run_id": str}) for part in parts], ignore_index=True)
    for name in {"layer", "measure"} & set(table):
        order = dict.fromkeys(level for part in parts for level in levels(part[name]))
        table[name] = pd.Categorical(table[name], list(order))
    return table


def focus_layer(table: pd.DataFrame, experiment: NamedExperiment, names: Names) -> str:
    """Return the layer that the experiment names if the model has it, else the first."""
    layers = [layer for layer in names.ordered(table["layer"].unique()) if layer != CLASSIFIER_LAYER]
    return experiment.config.focus_layer if experiment.config.focus_layer in layers else layers[0]


def focus_measure(metrics: pd.DataFrame, experiment: NamedExperiment, names: Names) -> str:
    """Return the measure that sums the experiment up: the configured one, else the first, of those with a value."""
    of_layers = metrics[metrics["layer"] != CLASSIFIER_LAYER]
    measured = levels(of_layers["measure"])
    valued = [name for name in measured if of_layers.loc[of_layers["measure"] == name, "mean"].notna().any()]
    configured = names.config.focus_measure.get(experiment.name, "")
    choice = [configured, *valued, *measured] if configured in valued else [*valued, *measured]
    return choice[0]


def some_values(values: Iterable[float]) -> list[float]:
    """Return the lowest, the middle and the highest of many values."""
    ascending = sorted(set(values))
    if len(ascending) <= MOST_VALUES:
        return ascending
    return [ascending[0], ascending[len(ascending) // 2], ascending[-1]]


def of_runs(
    paths: ResultPaths, configs: Sequence[RunConfig], name: str, read: Callable[[Path], pd.DataFrame]
) -> pd.DataFrame:
    """Return one table of a file that each run has in its folder."""
    return joined([read(paths.run(config.run_id) / name).assign(run_id=config.run_id) for config in configs])


def read_dynamics(
    paths: ResultPaths, run_ids: Sequence[str], name: str, columns: Sequence[str]
) -> pd.DataFrame:
    """Return one table of the dynamics of runs, by its name and the columns that it must have."""
    files = [paths.dynamics(run_id) / f"{name}.parquet" for run_id in run_ids]
    return joined(
        [read_columns(path, ("run_id", *columns), "dynamics", "run dynvision dynamics") for path in files]
    )


def dynamics_of_one_run(
    paths: ResultPaths, comparison: Comparison, name: str, columns: Sequence[str]
) -> pd.DataFrame:
    """Return a table of the dynamics of one run: of the base, or else of the first condition."""
    index = comparison.base or 0
    table = read_dynamics(paths, [comparison.conditions[index].run_ids[0]], name, columns)
    table.insert(0, "condition", comparison.labels[index])
    return table
