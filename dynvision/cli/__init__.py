"""The command line: ``dynvision <command>``. Each command is a file here that parses, calls the package and writes.

A command's file offers ``add_arguments(parser)`` and ``run(arguments)``; it is imported only when it is called,
so that every command starts fast.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence

from dynvision.errors import InputError

COMMANDS: dict[str, str] = {
    "convert": "write a data set's splits as FFCV files, with a manifest",
    "train": "train one run",
    "experiment": "run one experiment on one trained run and write its tables",
    "analyse": "measure responses: tables in, table out",
    "plot": "draw an experiment's figures",
    "report": "write the HTML report",
    "runs": "list runs and their parameters",
    "config": "show, freeze and check configurations",
}
EXIT_INPUT = 2
EXIT_INTERRUPTED = 130
# What keeps a file from being written or read, other than a mistake in the program.
FILE_ERRORS = (
    errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOSPC,
    errno.ENOTDIR, errno.EPERM, errno.EROFS,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command.

    Returns:
        The exit status: 0, 2 for an input or a place that the user can mend, 130 after Ctrl-C.
    """
    # Threads that wait sleep soon instead of spinning: as fast alone, several times faster beside other programs.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="dynvision",
        description="Recurrent convolutional networks in cortical time. Durations and time constants are in ms.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name in given[:1]:
            importlib.import_module(f"dynvision.cli.{name}").add_arguments(command)
    parsed = parser.parse_args(given)
    try:
        importlib.import_module(f"dynvision.cli.{parsed.command}").run(parsed)
    except InputError as error:
        return _fail(parsed.command, str(error), EXIT_INPUT)
    except KeyboardInterrupt:
        return _fail(parsed.command, "interrupted; run the same command again to continue", EXIT_INTERRUPTED)
    except OSError as error:
        if error.errno not in FILE_ERRORS:
            raise
        place = error.filename or "a file"
        return _fail(
            parsed.command, f"cannot use {place}: {error.strerror}; what was there before is kept", EXIT_INPUT
        )
    return 0


def _fail(command: str, message: str, status: int) -> int:
    with contextlib.suppress(BrokenPipeError):  # the reader of a pipe may be gone after Ctrl-C
        print(f"dynvision {command}: {message}", file=sys.stderr, flush=True)
    return status
