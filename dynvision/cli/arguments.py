"""The arguments that commands share, and the texts that several read in one way.

They state which run a command is about, and where and how it computes, never what.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig
from dynvision.errors import InputError
from dynvision.trained import shipped_runs

OF_EXPERIMENTS = ("loader", "num_workers", "accelerator", "pack", "checkpoint_every", "test_batch_size")
OF_DYNAMICS = ("loader", "accelerator")
OF_TRAINING = tuple(name for name in ExecutionConfig.model_fields if name != "test_batch_size")


def add_execution_arguments(parser: argparse.ArgumentParser, used: Sequence[str]) -> None:
    """Add one option for each key of the section ``execution``.

    Args:
        parser: of the command.
        used: the keys that the command uses. The others are accepted, since the workflow gives all, and not listed.
    """
    for name, field in ExecutionConfig.model_fields.items():
        about = f"{field.description} (default: %(default)s)" if name in used else argparse.SUPPRESS
        parser.add_argument(f"--{name.replace('_', '-')}", default=field.default, help=about)


def add_results_argument(parser: argparse.ArgumentParser) -> None:
    """``--results``, the folder below which everything lies."""
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: %(default)s)"
    )


def add_config_dir_argument(parser: argparse.ArgumentParser, about: str = "") -> None:
    """Add ``--config-dir``, and after a colon what the command takes from there."""
    parser.add_argument(
        "--config-dir",
        type=Path,
        default=Path("config"),
        metavar="DIR",
        help=f"folder of the YAML files{f': {about}' if about else ''} (default: %(default)s)",
    )


def add_values_argument(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the keys and values that stand above those of the YAML files, without an option before them."""
    parser.add_argument(
        "values",
        nargs="*",
        metavar="key=value",
        help=f"as for snakemake --config, e.g. {example}",
    )


def add_frozen_run_arguments(
    parser: argparse.ArgumentParser, weights: bool = False, data: bool = False
) -> None:
    """Add the files of a run that the workflow hands on: ``--config``, and the weights and the data where they are read."""
    parser.add_argument("--config", type=Path, required=True, help="the run's frozen configuration (YAML)")
    if weights:
        parser.add_argument("--weights", type=Path, required=True, help="the run's model.safetensors")
    if data:
        parser.add_argument("--data", type=Path, required=True, help="folder that 'dynvision convert' wrote")


def add_study_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--study``."""
    parser.add_argument(
        "--study",
        default="",
        metavar="NAME",
        help="the study whose figures and report these are, if it has a name",
    )


def read_json(text: str, what: str) -> Any:
    """Return the value of a text of JSON.

    Args:
        text: as it is given.
        what: where it stands, for errors.

    Raises:
        InputError: it is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{what} is not valid JSON: {error}") from None


def add_if_needed_argument(parser: argparse.ArgumentParser) -> None:
    """``--if-needed``, which the workflow gives: a job that it plans to be sure may have nothing to do."""
    parser.add_argument(
        "--if-needed",
        action="store_true",
        help="do nothing where the results are there and were made from the same inputs",
    )


def execution_from(arguments: argparse.Namespace) -> ExecutionConfig:
    """The validated section.

    Raises:
        InputError: a value is not allowed.
    """
    return validate(
        ExecutionConfig, {name: getattr(arguments, name) for name in ExecutionConfig.model_fields}, ""
    )


def add_run_arguments(
    parser: argparse.ArgumentParser, several: bool = False, with_files: bool = False
) -> None:
    """Add the runs, and where results lie.

    Args:
        parser: of the command.
        several: whether it takes several runs.
        with_files: whether a run may also be its folder, its weights, or one of the hub.
    """
    about = (
        "id of a trained run, as 'dynvision runs' lists it; its beginning is enough if no other begins so; "
        f"or a network that ships trained: {', '.join(shipped_runs())}"
    )
    if with_files:
        about = f"a trained run: its folder, its model.safetensors, hub:OWNER/NAME, or {about}"
    parser.add_argument("run", metavar="RUN", nargs="+" if several else None, help=about)
    add_results_argument(parser)
