"""``dynvision models``: every model with what it costs, or every trained network that ships."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.errors import InputError, unknown_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Counts are of one image of the size in px that a model was made for, and the same on every machine; times are in "
        "ms, on one thread of this one. A network that ships trained is taken by its name wherever a run is."
    )
    parser.add_argument(
        "names", nargs="*", help="models by name, or networks that ship trained; all unless given"
    )
    listed = parser.add_mutually_exclusive_group()
    listed.add_argument(
        "--times", action="store_true", help="measure time and memory of a trial instead of counting"
    )
    listed.add_argument(
        "--trained",
        action="store_true",
        help="list the networks that ship trained: accuracy on the test images, size, and what trains each again",
    )
    pages = parser.add_mutually_exclusive_group()
    pages.add_argument(
        "--update", type=Path, metavar="PAGE", help="write the table into its place in this page"
    )
    pages.add_argument(
        "--check",
        type=Path,
        metavar="PAGE",
        help="write nothing; fail if the table in this page is not true",
    )


def run(arguments: argparse.Namespace) -> None:
    """Count or measure, and print, write or check.

    Raises:
        InputError: a model that is not known, options that contradict each other, or a page that is not true.
    """
    from dynvision.config.models import MODELS
    from dynvision.trained import shipped_runs

    known = sorted(shipped_runs() if arguments.trained else MODELS)
    for name in arguments.names:
        if name not in known:
            raise unknown_name("trained network" if arguments.trained else "model", name, known)
    names = arguments.names or known
    if arguments.update and arguments.names:
        raise InputError("--update writes the whole table; leave out the names")
    from dynvision.models import footprint as costs

    if arguments.trained:
        from dynvision.inference.finished_run import read_shipped, trained_table

        block, table = costs.TRAINED, trained_table([read_shipped(name) for name in names])
    elif arguments.times:
        if arguments.check:
            raise InputError("--check is about counts, which are the same everywhere; leave out --times")
        block, table = costs.TIMES, costs.times_table([costs.timing(name) for name in names])
    else:
        block, table = costs.COUNTS, costs.counts_table([costs.footprint(name) for name in names])
    if arguments.update:
        costs.replace_block(arguments.update, block, table)
    elif arguments.check:
        written = costs.read_block(arguments.check, block).splitlines()
        wrong = [row.split("`")[1] for row in table.splitlines()[2:] if row not in written]
        if wrong:
            option = " --trained" if arguments.trained else ""
            raise InputError(
                f"{arguments.check} is not true of {', '.join(wrong)}; run 'dynvision models{option} --update "
                f"{arguments.check}'"
            )
    else:
        print(table)
