"""Write the HTML report."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.cli.arguments import add_look_argument, add_results_argument, add_study_argument, look_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Write one HTML file with the figures, numbers and configuration of experiments on runs. It needs no other "
        "file and no network. Times are in ms from stimulus onset, responses in the model's own unit (a.u.)."
    )
    add_results_argument(parser)
    parser.add_argument(
        "--experiments", nargs="+", required=True, metavar="NAME", help="experiments to report"
    )
    parser.add_argument("--run-ids", nargs="+", required=True, metavar="ID", help="runs to report")
    parser.add_argument(
        "--comparisons", nargs="+", default=[], metavar="NAME", help="comparisons with recordings to report"
    )
    add_study_argument(parser)
    add_look_argument(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="HTML", help="where to write the report"
    )


def run(arguments: argparse.Namespace) -> None:
    """Read the results, write the report.

    Raises:
        InputError: a configuration, a table or a figure is missing or broken.
    """
    from dynvision.cli.arguments import read_scorecard
    from dynvision.report import write_report
    from dynvision.runs import ResultPaths
    from dynvision.runs.made_from import (
        COMPARED,
        FIGURES,
        METRICS,
        identity_of,
        look_identity,
        made_from,
        of_report,
    )

    look, paths = look_from(arguments), ResultPaths(arguments.results, arguments.study)
    metrics = {
        name: {run_id: identity_of(paths.experiment(name, run_id) / METRICS) for run_id in arguments.run_ids}
        for name in arguments.experiments
    }
    figures = {
        name: identity_of(paths.figures(name) / FIGURES) for name in (*arguments.experiments, "training")
    }
    compared = {
        name: {run_id: identity_of(paths.comparison(name, run_id) / COMPARED) for run_id in arguments.run_ids}
        for name in arguments.comparisons
    }
    identity = look_identity(look, read_scorecard(arguments.visualization, arguments.results))
    with made_from(arguments.output.with_suffix(".json"), of_report(metrics, figures, identity, compared)):
        write_report(
            arguments.results,
            arguments.experiments,
            arguments.run_ids,
            arguments.output,
            look,
            arguments.study,
            arguments.comparisons,
        )
