"""The arguments that commands share: the run that a command is about, and where and how it computes, never what."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig
from dynvision.trained import shipped_runs

OF_EXPERIMENTS = ("loader", "num_workers", "accelerator", "checkpoint_every", "test_batch_size")
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
