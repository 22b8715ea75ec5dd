"""The stages of the workflow, each for one run: convert images, train, run an experiment, measure its responses."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.cli.arguments import (
    OF_EXPERIMENTS,
    OF_TRAINING,
    add_execution_arguments,
    add_frozen_run_arguments,
    add_if_needed_argument,
    execution_from,
)
from dynvision.gpus import hold_gpus

if TYPE_CHECKING:
    from dynvision.config.experiment import ExperimentConfig
    from dynvision.config.run import RunConfig


def add_convert_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "The section data of the run's configuration states what is written: name (digits, or folder:PATH for a folder "
        "of class folders), resolution (height and width in px), n_channels (1 grey, 3 colour), test_fraction, "
        "validation_fraction and split_seed. Written are train.beton, val.beton and test.beton (pixels, 0..255; where "
        "FFCV is installed) and, last, manifest.json (class names, splits, checksums, mean and sd of the training pixels "
        "in 0..1)."
    )
    add_frozen_run_arguments(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="folder to write; made if absent"
    )
    parser.add_argument(
        "--loader",
        choices=("auto", "ffcv", "torch", "memory"),
        default="auto",
        help="the loader that is going to read: where FFCV is installed, .beton files are written for all but torch, which "
        "reads the source alone; ffcv makes it an error that FFCV is not installed (default: auto)",
    )


def run_convert(arguments: argparse.Namespace) -> None:
    """Convert, and state what was written."""
    from dynvision.config.run import read_run_config
    from dynvision.data.conversion import convert_dataset

    config = read_run_config(arguments.config).data.images
    manifest = convert_dataset(config, arguments.output, arguments.loader)
    counts = ", ".join(f"{count:,} {split}" for split, count in manifest.counts.items())
    print(
        f"{manifest.source}: {counts} images of {manifest.n_classes} classes, "
        f"{config.resolution} x {config.resolution} px, {config.n_channels} channel(s) -> {arguments.output}"
    )


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "The run's configuration states what is trained: durations and time constants in ms, the resolution in px, the "
        "length of a presentation in steps of dt. training.csv has a row an epoch, with its length in s."
    )
    add_frozen_run_arguments(parser, data=True)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="the run's folder: receives checkpoints/, training.csv, test.json and model.safetensors; a training that "
        "was stopped resumes from checkpoints/last.ckpt",
    )
    add_if_needed_argument(parser)
    add_execution_arguments(parser, OF_TRAINING)


def run_train(arguments: argparse.Namespace) -> None:
    """Train."""
    # What torch warns of below Python, e.g. of time that DDP could save, nobody here can fix.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from dynvision.config.run import read_run_config

    config = read_run_config(arguments.config)
    execution = execution_from(arguments)
    if arguments.if_needed and _is_trained(config, arguments.data, arguments.output):
        print(f"{config.run_id}: is trained already on these images; 'dynvision runs redo' trains it again")
        return
    with hold_gpus(execution.devices, execution.accelerator, execution.pack):
        from dynvision.training.fit import train_run

        train_run(config, execution, arguments.data, arguments.output)


def _is_trained(config: RunConfig, data: Path, folder: Path) -> bool:
    from dynvision.data.manifest import read_manifest
    from dynvision.runs.made_from import OF_TRAINING, TRAINED, is_made_from, of_training

    inputs = of_training(config, read_manifest(data, config.data.images).identity)
    return is_made_from(folder / TRAINED, inputs, *(folder / name for name in OF_TRAINING))


def add_experiment_arguments(parser: argparse.ArgumentParser) -> None:
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


def run_experiment(arguments: argparse.Namespace) -> None:
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


def add_analyse_arguments(parser: argparse.ArgumentParser) -> None:
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


def run_analyse(arguments: argparse.Namespace) -> None:
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
