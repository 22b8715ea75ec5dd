"""``dynvision train``: train one run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.cli.arguments import (
    OF_TRAINING,
    add_execution_arguments,
    add_frozen_run_arguments,
    add_if_needed_argument,
    execution_from,
)
from dynvision.gpus import hold_gpus

if TYPE_CHECKING:
    from dynvision.config.run import RunConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(arguments: argparse.Namespace) -> None:
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
