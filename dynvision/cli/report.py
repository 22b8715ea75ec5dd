"""Write the HTML report."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.cli.look import add_look_argument, look_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Write one HTML file with the figures, numbers and configuration of experiments on runs. It needs no other "
        "file and no network. Times are in ms from stimulus onset, responses in the model's own unit (a.u.)."
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="the results folder"
    )
    parser.add_argument(
        "--experiments", nargs="+", required=True, metavar="NAME", help="experiments to report"
    )
    parser.add_argument("--run-ids", nargs="+", required=True, metavar="ID", help="runs to report")
    add_look_argument(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="HTML", help="where to write the report"
    )


def run(arguments: argparse.Namespace) -> None:
    """Read the results, write the report.

    Raises:
        InputError: a configuration, a table or a figure is missing or broken.
    """
    from dynvision.report import write_report

    look = look_from(arguments)
    write_report(arguments.results, arguments.experiments, arguments.run_ids, arguments.output, look)
