"""``dynvision runs``: list the runs that exist and every parameter of theirs."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Durations and time constants are in ms, resolutions in px; config/README.md explains each key."
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--output", type=Path, help="CSV file to write; printed if absent")
    parser.add_argument("--all", action="store_true", help="also the parameters in which no two runs differ")


def run(arguments: argparse.Namespace) -> None:
    """Write or print the table."""
    from dynvision.config.run import read_yaml
    from dynvision.files import write_text
    from dynvision.runs import flatten

    # As they were frozen: a run of an earlier version is listed too, though it may have keys that are none any more.
    paths = sorted((arguments.results / "runs").glob("*/config.yaml"))
    rows = [{"run_id": path.parent.name, **flatten(read_yaml(path))} for path in paths]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["run_id"]
    if not arguments.all and arguments.output is None:
        columns = [c for c in columns if c == "run_id" or len({str(row.get(c)) for row in rows}) > 1]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    if arguments.output is None:
        sys.stdout.write(text.getvalue())
    else:
        write_text(arguments.output, text.getvalue())
