"""How long the jobs took, from Snakemake's benchmark files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from dynvision.errors import InputError
from dynvision.report.content import Cell, Table
from dynvision.report.numbers import NOT_A_NUMBER, number, seconds

MANY = 12  # jobs; of more, rules are summed up as well


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
