"""The arguments of commands that compute: where and how, never what."""

from __future__ import annotations

import argparse

from dynvision.config.section import validate
from dynvision.config.training import ExecutionConfig


def add_execution_arguments(parser: argparse.ArgumentParser) -> None:
    """One option for each key of the section ``execution``."""
    for name, field in ExecutionConfig.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=field.default, help=f"{field.description} (default: %(default)s)")


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
