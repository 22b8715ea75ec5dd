"""``dynvision experiment``: run one experiment on one trained run."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.cli.execution import add_execution_arguments, execution_from
from dynvision.gpus import hold_gpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Every test image is shown in every condition. Times in the tables are in ms from stimulus onset, responses "
        "in the model's own unit of activity (a.u.)."
    )
    parser.add_argument(
        "--experiment", type=Path, required=True, help="the frozen experiment (YAML); times are in ms"
    )
    parser.add_argument("--config", type=Path, required=True, help="the run's frozen configuration (YAML)")
    parser.add_argument("--weights", type=Path, required=True, help="the run's model.safetensors")
    parser.add_argument("--data", type=Path, required=True, help="folder that 'dynvision convert' wrote")
    parser.add_argument(
        "--responses", type=Path, required=True, help="Parquet file to write: activity by layer"
    )
    parser.add_argument(
        "--performance", type=Path, required=True, help="Parquet file to write: guesses over time"
    )
    add_execution_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Run the experiment."""
    from dynvision.analysis.experiment_file import read_experiment
    from dynvision.config.run import read_run_config

    config = read_run_config(arguments.config)
    experiment = read_experiment(arguments.experiment)
    execution = execution_from(arguments)
    with hold_gpus(1, execution.accelerator):
        from dynvision.experiments.run import ExperimentFiles, run_experiment

        files = ExperimentFiles(arguments.weights, arguments.data, arguments.responses, arguments.performance)
        run_experiment(experiment.name, experiment.config, config, execution, files)
