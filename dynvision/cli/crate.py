"""``dynvision crate``: describe finished results as an RO-Crate."""

from __future__ import annotations

import argparse

from dynvision.cli.arguments import add_results_argument, add_study_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Describe the finished runs of a study, their experiments, figures and report as an RO-Crate (Process Run Crate "
        "0.5): which file is what, and from which it was made. ro-crate-metadata.json is written into the folder of the "
        "results, which is the crate then. Tables have their units, e.g. ms, in the names of columns."
    )
    add_results_argument(parser)
    add_study_argument(parser)
    parser.add_argument("--name", default="", help="name of the crate (default: the study's)")
    parser.add_argument(
        "--license", default="", help="address of the license, e.g. https://spdx.org/licenses/CC-BY-4.0"
    )
    parser.add_argument("--author", default="", help="who ran it")


def run(arguments: argparse.Namespace) -> None:
    """Write the metadata.

    Raises:
        InputError: no run is finished, or a package is not installed.
    """
    from dynvision.runs import ResultPaths
    from dynvision.sharing.crate import About, write_crate

    name = arguments.name or arguments.study or "A study with DynVision"
    about = About(name, arguments.license, arguments.author)
    print(write_crate(ResultPaths(arguments.results, arguments.study), about))
