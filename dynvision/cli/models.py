"""``dynvision models``: every model with what it costs."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.errors import InputError, unknown_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Counts are of one image of the size in px that a model was made for, and the same on every machine; times are in "
        "ms, on one thread of this one."
    )
    parser.add_argument("names", nargs="*", help="models by name; all unless given")
    parser.add_argument(
        "--times", action="store_true", help="measure time and memory of a trial instead of counting"
    )
    written = parser.add_mutually_exclusive_group()
    written.add_argument(
        "--update", type=Path, metavar="PAGE", help="write the table into its place in this page"
    )
    written.add_argument(
        "--check",
        type=Path,
        metavar="PAGE",
        help="write nothing; fail if the counts in this page are not true",
    )


def run(arguments: argparse.Namespace) -> None:
    """Count or measure, and print, write or check.

    Raises:
        InputError: a model that is not known, options that contradict each other, or a page that is not true.
    """
    from dynvision.config.models import MODELS

    for name in arguments.names:
        if name not in MODELS:
            raise unknown_name("model", name, MODELS)
    names = arguments.names or sorted(MODELS)
    if arguments.update and arguments.names:
        raise InputError("--update writes all models; leave out the names")
    from dynvision.models import footprint as costs

    if arguments.times:
        if arguments.check:
            raise InputError("--check is about counts, which are the same everywhere; leave out --times")
        block, table = costs.TIMES, costs.times_table([costs.timing(name) for name in names])
    else:
        block, table = costs.COUNTS, costs.counts_table([costs.footprint(name) for name in names])
    if arguments.update:
        costs.replace_block(arguments.update, block, table)
    elif arguments.check:
        known = costs.read_block(arguments.check, block).splitlines()
        wrong = [row.split("`")[1] for row in table.splitlines()[2:] if row not in known]
        if wrong:
            raise InputError(
                f"{arguments.check} is not true of {', '.join(wrong)}; run 'dynvision models --update {arguments.check}'"
            )
    else:
        print(table)
