"""``dynvision runs``: list the runs that exist and their parameters, first those in which they differ."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Durations and time constants are in ms, resolutions in px; config/README.md explains each key."
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument(
        "--output", type=Path, help="CSV file to write, with all parameters; printed if absent"
    )
    parser.add_argument("--all", action="store_true", help="also the parameters in which no two runs differ")


def run(arguments: argparse.Namespace) -> None:
    """Write or print the table."""
    from dynvision.config.yaml_text import read_yaml
    from dynvision.files import write_text
    from dynvision.runs import flatten

    # As they were frozen: a run of an earlier version is listed too, though it may have keys that are none any more.
    paths = sorted((arguments.results / "runs").glob("*/config.yaml"))
    rows = [{"run_id": path.parent.name, **flatten(_parameters(read_yaml(path)))} for path in paths]
    names = list(dict.fromkeys(name for row in rows for name in row if name != "run_id"))
    differing = [name for name in names if len({str(row.get(name)) for row in rows}) > 1]
    columns = ["run_id", *differing]
    if arguments.all or arguments.output is not None:
        columns += [name for name in names if name not in differing]
    if arguments.output is not None:
        write_text(arguments.output, _csv(rows, columns))
    else:
        sys.stdout.write(_aligned(rows, columns) if sys.stdout.isatty() else _csv(rows, columns))


def _parameters(frozen: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a frozen configuration, without what identifies it."""
    from dynvision.config.identity import DATA_ID, RUN_ID, VERSION

    return {name: value for name, value in frozen.items() if name not in (DATA_ID, RUN_ID, VERSION)}


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _aligned(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """The table for a terminal, its columns below each other."""
    lines = [list(columns)] + [[str(row.get(name, "")) for name in columns] for row in rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    return "".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )
