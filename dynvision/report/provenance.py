"""How a report came about: the software, the state of the code, the date, and time and memory of the jobs.

Times are those that Snakemake measured (``benchmarks/**/*.tsv``).
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

import dynvision
from dynvision.errors import InputError
from dynvision.report.content import NOT_A_NUMBER, Cell, Table, number, seconds

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
