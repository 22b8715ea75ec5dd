"""Everything that a report reads: the results of a folder, and how they came about.

Of how they came about: the software, the state of the code, the date, and time and memory of the jobs, which Snakemake
measured (``benchmarks/**/*.tsv``).
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import dynvision
from dynvision.analysis import (
    NamedExperiment,
    group_runs,
    read_experiment,
    read_metrics,
    read_summary,
    read_training,
)
from dynvision.config.comparison import BEHAVIOUR, ComparisonConfig
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.visualization import VisualizationConfig
from dynvision.errors import InputError
from dynvision.report.content import NOT_A_NUMBER, Cell, Table, number, seconds
from dynvision.runs import ResultPaths
from dynvision.runs.made_from import COMPARED, OF_BEHAVIOUR, OF_RECORDING, read_record
from dynvision.visualization.names import Comparison, Names, compare, is_number
from dynvision.visualization.tables import read_configs


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
    runs = tuple(_read_run(paths, config) for config in read_configs(paths, run_ids))
    names = Names(look)
    measured = []
    for name in dict.fromkeys(experiments):
        experiment = read_experiment(paths.frozen_experiment(name))
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


def _read_run(paths: ResultPaths, config: RunConfig) -> Run:
    folder = paths.run(config.run_id)
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
    missing = [key for key in required if not is_number(content.get(key))]
    if missing:
        raise InputError(f"{path} lacks a number for {', '.join(missing)}")
    return content


PACKAGES = (
    "torch", "pytorch-lightning", "ffcv", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "matplotlib",
    "seaborn", "pydantic", "safetensors", "snakemake", "jinja2",
)  # fmt: skip
GIT_SECONDS = 5
MANY = 12  # jobs; of more, rules are summed up as well


def software_versions() -> dict[str, str]:
    """Versions of Python, this package and what it builds on, as installed where the report is made."""
    versions = {"dynvision": dynvision.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def code_state() -> str:
    """The commit of the code, and whether files that are under version control were changed since."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "not under version control"
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"commit {commit}" + (", with changes that are not committed" if changed else "")


def report_date() -> str:
    """Now in UTC, or the time of SOURCE_DATE_EPOCH, which makes reports reproducible."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    utc = datetime.UTC
    moment = (
        datetime.datetime.fromtimestamp(int(epoch), utc) if epoch.isdigit() else datetime.datetime.now(utc)
    )
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _git(*arguments: str) -> str:
    """Output of a git command in the code's folder; empty where there is no git or no repository."""
    command = ["git", "-C", str(Path(dynvision.__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def run_time_tables(root: Path, other_runs: Collection[str] = ()) -> list[Table]:
    """Time and memory of each rule and of each job, the longest first; nothing where there are no benchmark files.

    Args:
        root: the results folder; benchmark files are below ``benchmarks/`` and end in ``.tsv``.
        other_runs: ids of runs that are not reported; their jobs are left out.

    Raises:
        InputError: a benchmark file is not a table with the column ``s``.
    """
    folder = root / "benchmarks"
    jobs = []
    for path in sorted(folder.rglob("*.tsv")):
        job = path.relative_to(folder).with_suffix("").as_posix()
        if not any(run_id in job for run_id in other_runs):
            jobs.append((job, *_measured(path)))
    if not jobs:
        return []
    jobs.sort(key=lambda job: -job[1])
    total = sum(lasted for _, lasted, _ in jobs)
    rows = tuple((Cell(job), _seconds(lasted), _memory(memory)) for job, lasted, memory in jobs)
    every = Table(
        f"Jobs as measured by Snakemake, {seconds(total)} in all.",
        ("job", "time", "peak memory (MiB)"),
        (False, True, True),
        rows,
    )
    return [_by_rule(jobs), every] if len(jobs) > MANY else [every]


def _by_rule(jobs: Sequence[tuple[str, float, float | None]]) -> Table:
    """The jobs of each rule together, for workflows with many jobs."""
    rules: dict[str, list[tuple[str, float, float | None]]] = {}
    for job in jobs:
        rules.setdefault(job[0].partition("/")[0], []).append(job)
    rows = [
        (
            Cell(rule),
            Cell(f"{len(of_rule):,}", key=float(len(of_rule))),
            _seconds(sum(lasted for _, lasted, _ in of_rule)),
            _seconds(max(lasted for _, lasted, _ in of_rule)),
            _memory(max((memory for _, _, memory in of_rule if memory is not None), default=None)),
        )
        for rule, of_rule in rules.items()
    ]
    rows.sort(key=lambda row: -(row[2].key or 0.0))
    return Table(
        "The jobs of each rule together.",
        ("rule", "jobs", "time in all", "longest", "peak memory (MiB)"),
        (False, True, True, True, True),
        tuple(rows),
    )


def _seconds(lasted: float) -> Cell:
    return Cell(seconds(lasted), key=lasted)


def _memory(memory: float | None) -> Cell:
    return Cell(NOT_A_NUMBER if memory is None else number(memory), key=memory)


def _measured(path: Path) -> tuple[float, float | None]:
    """Seconds of all repetitions, and the highest resident memory in MiB if it was measured."""
    try:
        table = pd.read_csv(path, sep="\t", na_values=["-"])
        lasted = float(table["s"].astype(float).sum())
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, KeyError, ValueError):
        raise InputError(
            f"benchmark file {path} is not a table with times in a column s; delete it"
        ) from None
    memory = pd.to_numeric(table["max_rss"], errors="coerce").max() if "max_rss" in table else float("nan")
    return lasted, None if pd.isna(memory) else float(memory)
