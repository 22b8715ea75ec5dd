"""Everything that a report reads from a results folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dynvision.analysis import (
    NamedExperiment,
    group_runs,
    read_experiment,
    read_metrics,
    read_summary,
    read_training,
)
from dynvision.config.comparison import BEHAVIOUR, ComparisonConfig
from dynvision.config.run import RunConfig, read_run_config
from dynvision.config.section import validate
from dynvision.config.visualization import VisualizationConfig
from dynvision.errors import InputError
from dynvision.runs import ResultPaths
from dynvision.runs.made_from import COMPARED, OF_BEHAVIOUR, OF_RECORDING, read_record
from dynvision.visualization.comparison import Comparison, compare
from dynvision.visualization.names import Names

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Run:
    """One run: its configuration, and what is there of its test, its training and its data (None where absent)."""

    config: RunConfig
    test: dict[str, Any] | None
    training: pd.DataFrame | None
    manifest: dict[str, Any] | None


@dataclass(frozen=True)
class Measured:
    """An experiment and the measures of all runs: at each value, and of all values together (None if not measured)."""

    experiment: NamedExperiment
    metrics: pd.DataFrame
    summary: pd.DataFrame | None


@dataclass(frozen=True)
class Compared:
    """A comparison of the runs: its settings, its table by run (lags, or measures of behaviour), and its folders."""

    name: str
    config: ComparisonConfig
    table: pd.DataFrame
    folders: dict[str, Path]


@dataclass(frozen=True)
class Results:
    """What is reported."""

    paths: ResultPaths
    runs: tuple[Run, ...]
    experiments: tuple[Measured, ...]
    comparison: Comparison
    names: Names
    compared: tuple[Compared, ...] = ()


def read_results(
    root: str | Path,
    experiments: Sequence[str],
    run_ids: Sequence[str],
    look: VisualizationConfig | None = None,
    study: str = "",
    comparisons: Sequence[str] = (),
) -> Results:
    """Read configurations, measures, tests and trainings.

    Args:
        root: the results folder.
        experiments: names of the experiments to report.
        run_ids: the runs to report.
        look: names and order; None takes the defaults.
        study: the study whose figures are shown, if it has a name.
        comparisons: names of comparisons with recordings to report.

    Raises:
        InputError: a file is missing or broken. Tests, trainings and manifests may be missing.
    """
    paths = ResultPaths(Path(root), study)
    if not paths.root.is_dir():
        raise InputError(f"results folder {root} does not exist")
    runs = tuple(_read_run(paths, run_id) for run_id in dict.fromkeys(run_ids))
    names = Names(look)
    measured = []
    for name in dict.fromkeys(experiments):
        experiment = read_experiment(paths.root / "experiments" / name / CONFIG)
        tables = [
            read_metrics(paths.experiment(name, run.config.run_id) / "metrics.parquet", experiment)
            for run in runs
        ]
        columns = {"run_id": str, "layer": str, "measure": str}
        paths_of_summaries = [paths.experiment(name, run.config.run_id) / "summary.parquet" for run in runs]
        summary = None
        if all(path.exists() for path in paths_of_summaries):
            parts = [read_summary(path, experiment).astype(columns) for path in paths_of_summaries]
            summary = pd.concat(parts)
        measured.append(Measured(experiment, pd.concat([table.astype(columns) for table in tables]), summary))
    comparison = compare(group_runs([run.config for run in runs]), names)
    order = {run_id: n for n, condition in enumerate(comparison.conditions) for run_id in condition.run_ids}
    ordered = sorted(runs, key=lambda run: (order[run.config.run_id], run.config.seed))
    compared = tuple(_read_compared(paths, name, ordered) for name in dict.fromkeys(comparisons))
    return Results(paths, tuple(ordered), tuple(measured), comparison, names, compared)


def _read_compared(paths: ResultPaths, name: str, runs: Sequence[Run]) -> Compared:
    """A comparison of all runs."""
    folders = {run.config.run_id: paths.comparison(name, run.config.run_id) for run in runs}
    tables, config = [], None
    for run_id, folder in folders.items():
        record = read_record(folder / COMPARED) or {}
        if "comparison" in record:
            config = validate(ComparisonConfig, record["comparison"], f"comparisons.{name}")
        try:
            table = _compared_table(folder, config)
        except (OSError, ValueError):  # those of pandas and pyarrow are such
            raise InputError(
                f"{folder} holds no whole comparison; compare {run_id} again with dynvision compare"
            ) from None
        tables.append(table.assign(run_id=run_id))
    if config is None:
        raise InputError(f"comparison {name}: no run is reported")
    return Compared(name, config, pd.concat(tables, ignore_index=True), folders)


def _compared_table(folder: Path, config: ComparisonConfig | None) -> pd.DataFrame:
    """Measures of behaviour; or lags, with the noise ceiling at the time of the best score."""
    if config is None:
        raise ValueError
    if config.method == BEHAVIOUR:
        return pd.read_csv(folder / OF_BEHAVIOUR[0])
    scores, lags = OF_RECORDING
    ceilings = pd.read_parquet(folder / scores)[["layer", "area", "brain_ms", "ceiling_low", "ceiling_high"]]
    ceilings = ceilings.drop_duplicates().rename(columns={"brain_ms": "best_brain_ms"})
    keys = ["layer", "area", "best_brain_ms"]
    return pd.read_csv(folder / lags).merge(ceilings, on=keys, how="left", sort=False)


def _read_run(paths: ResultPaths, run_id: str) -> Run:
    folder = paths.run(run_id)
    config = read_run_config(folder / CONFIG)
    if config.run_id != run_id:
        raise InputError(f"{folder / CONFIG} is the configuration of {config.run_id}, not of {run_id}")
    training = folder / "training.csv"
    return Run(
        config,
        _read_json(folder / "test.json", ("test_accuracy", "n_images")),
        read_training(training) if training.exists() else None,
        _read_json(paths.data(config.data_id) / "manifest.json", ()),
    )


def _read_json(path: Path, required: Sequence[str]) -> dict[str, Any] | None:
    """A JSON file that holds a mapping; None where there is no file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold keys and values, not a {type(content).__name__}")
    missing = [key for key in required if not _is_number(content.get(key))]
    if missing:
        raise InputError(f"{path} lacks a number for {', '.join(missing)}")
    return content


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
