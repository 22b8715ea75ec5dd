"""Measure the responses of one run in one experiment."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Measure responses: tables in, table out. Times are in ms from stimulus onset, responses in the model's own "
        "unit of activity (a.u.), summed responses in a.u. times ms, accuracies are fractions. Measures of single trials "
        "are computed for each image, then averaged; those that compare conditions, and fits, are of the mean response. "
        "Each has a 95 % bootstrap interval over images."
    )
    parser.add_argument(
        "--experiment", type=Path, required=True, metavar="YAML", help="the experiment's config.yaml"
    )
    parser.add_argument(
        "--responses", type=Path, required=True, metavar="PARQUET", help="responses of the layers"
    )
    parser.add_argument(
        "--performance", type=Path, required=True, metavar="PARQUET", help="guesses of the classifier"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="PARQUET",
        help="where to write the measures at each value of the parameter",
    )
    parser.add_argument(
        "--summary",
        type=Path,
        metavar="PARQUET",
        help="where to write the measures of all values together, e.g. fits (default: not computed)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Read the tables, measure, write.

    Raises:
        InputError: a file cannot be used.
    """
    from dynvision.analysis import (
        measure_responses,
        read_experiment,
        read_performance,
        read_responses,
        summarize_responses,
        write_table,
    )
    from dynvision.errors import InputError
    from dynvision.runs.made_from import file_hash, identity_of, made_from, of_metrics

    experiment = read_experiment(arguments.experiment)
    responses = read_responses(arguments.responses, experiment)
    performance = read_performance(arguments.performance, experiment)
    try:
        measured = measure_responses(responses, performance, experiment.config.measures)
        summary = (
            None if arguments.summary is None else summarize_responses(responses, experiment.config.measures)
        )
    except InputError as error:
        raise InputError(f"{arguments.responses} and {arguments.performance}: {error}") from None
    of_responses = identity_of(arguments.responses.with_suffix(".json")) or file_hash(arguments.responses)
    with made_from(arguments.output.with_suffix(".json"), of_metrics(experiment.config, of_responses)):
        write_table(measured, arguments.output)
        if summary is not None:
            write_table(summary, arguments.summary)
    if summary is None:
        return
    absent = summary[summary["reason"] != ""]
    for (layer, reason), rows in absent.groupby(["layer", "reason"], sort=False, observed=True):
        print(f"analyse: {layer} has no {', '.join(rows['measure'].astype(str))}: {reason}")
