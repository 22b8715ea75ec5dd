"""How long the jobs took, from Snakemake's benchmark files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from dynvision.errors import InputError
from dynvision.report.content import Cell, Table
from dynvision.report.numbers import NOT_A_NUMBER, number, seconds


def run_time_table(root: Path, other_runs: Collection[str] = ()) -> Table | None:
    """Time and memory of each job, the longest first; None where there are no benchmark files.

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
        return None
    jobs.sort(key=lambda job: -job[1])
    total = sum(lasted for _, lasted, _ in jobs)
    rows = tuple(
        (
            Cell(job),
            Cell(seconds(lasted), key=lasted),
            Cell(NOT_A_NUMBER if memory is None else number(memory), key=memory),
        )
        for job, lasted, memory in jobs
    )
    return Table(
        f"Jobs as measured by Snakemake, {seconds(total)} in all.",
        ("job", "time", "peak memory (MiB)"),
        (False, True, True),
        rows,
    )


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
