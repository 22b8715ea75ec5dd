"""``dynvision experiment``: run one experiment on one trained run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.cli.arguments import (
    OF_EXPERIMENTS,
    add_execution_arguments,
    add_frozen_run_arguments,
    add_if_needed_argument,
    execution_from,
)
from dynvision.gpus import hold_gpus

if TYPE_CHECKING:
    from dynvision.config.experiment import ExperimentConfig
    from dynvision.config.run import RunConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Every test image is shown in every condition. Times in the tables are in ms from stimulus onset, responses "
        "in the model's own unit of activity (a.u.)."
    )
    parser.add_argument(
        "--experiment", type=Path, required=True, help="the frozen experiment (YAML); times are in ms"
    )
    add_frozen_run_arguments(parser, weights=True, data=True)
    parser.add_argument(
        "--responses", type=Path, required=True, help="Parquet file to write: activity by layer"
    )
    parser.add_argument(
        "--performance", type=Path, required=True, help="Parquet file to write: guesses over time"
    )
    add_if_needed_argument(parser)
    add_execution_arguments(parser, OF_EXPERIMENTS)


def run(arguments: argparse.Namespace) -> None:
    """Run the experiment."""
    from dynvision.analysis.conditions import read_experiment
    from dynvision.config.run import read_run_config

    config = read_run_config(arguments.config)
    experiment = read_experiment(arguments.experiment)
    execution = execution_from(arguments)
    if arguments.if_needed and _is_shown(experiment.config, config, arguments):
        print(f"{config.run_id}: {experiment.name} was shown already to this network; the responses are kept")
        return
    with hold_gpus(1, execution.accelerator, execution.pack):
        from dynvision.experiments.run import ExperimentFiles, run_experiment

        files = ExperimentFiles(arguments.weights, arguments.data, arguments.responses, arguments.performance)
        run_experiment(experiment.name, experiment.config, config, execution, files)


def _is_shown(experiment: ExperimentConfig, run: RunConfig, arguments: argparse.Namespace) -> bool:
    from dynvision.data.manifest import read_manifest
    from dynvision.runs.made_from import file_hash, is_made_from, of_responses

    if not arguments.weights.exists():
        return False
    data = read_manifest(arguments.data, run.data.images).identity
    inputs = of_responses(experiment, run.data.name, file_hash(arguments.weights), data)
    record = arguments.responses.with_suffix(".json")
    return is_made_from(record, inputs, arguments.responses, arguments.performance)
