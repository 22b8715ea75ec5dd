"""The command line: ``dynvision <command>``. Each command parses, calls the package and writes.

`FILES` states in which file a command is. The file has ``add_<command>_arguments(parser)`` and
``run_<command>(arguments)``, which may return an exit status; it is imported only when the command is called, so that every
command starts fast.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dynvision
from dynvision import plugins
from dynvision.errors import InputError, unknown_name
from dynvision.parameter_names import warn_in_one_line
from dynvision.text import clear_line

FILES: dict[str, dict[str, str]] = {
    "stages": {
        "convert": "write a data set's splits as FFCV files, with a manifest",
        "train": "train one run",
        "experiment": "run one experiment on one trained run and write its tables",
        "analyse": "measure responses: tables in, table out",
    },
    "figures": {
        "plot": "draw figures",
        "report": "write the HTML report",
    },
    "search": {"search": "search for parameters, each trial an ordinary run"},
    "show_trial": {"show-trial": "show what a network sees in a trial, and which labels count"},
    "compare": {"compare": "compare a network in time with a recording in time"},
    "scorecard": {"scorecard": "compare trained runs with cortex"},
    "dynamics": {
        "dynamics": "spectra, time scales and trajectories of one trained run",
        "neuron": "experiments on a neuron, a cell or a unit of a network",
    },
    "inference": {
        "predict": "the answers of a trained run to images, over time",
        "serve": "answer images over HTTP with a trained run, and on a page",
    },
    "sharing": {
        "export": "a trained run as a folder for others, or as a program",
        "share": "push a trained run to the Hugging Face hub",
        "brainscore": "write a trained run as a plugin of Brain-Score",
        "crate": "describe finished results as an RO-Crate",
    },
    "runs": {"runs": "list, delete or redo runs"},
    "models": {
        "models": "list models and what they cost",
        "weights": "import published weights; tabulate a run's weights",
    },
    "config": {"config": "show, freeze and check configurations"},
    "doctor": {"doctor": "check this machine, or a cluster, before anything is run"},
    "completion": {"completion": "print a script for completion in bash, zsh or tcsh"},
}
COMMANDS = {name: summary for commands in FILES.values() for name, summary in commands.items()}
EXIT_INPUT = 2
EXIT_PARTLY = 3  # a part of what was asked for could not be done
AGAIN_S = 10.0  # a further signal after this time is for something that did not stop
# What keeps a file from being written or read, other than a mistake in the program.
FILE_ERRORS = (
    errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOSPC,
    errno.ENOTDIR, errno.EPERM, errno.EROFS,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command.

    Returns:
        The exit status: 0; 2 for an input or a place that the user can fix; 3 where a part of what was asked could not
        be answered; 130 after Ctrl-C and 143 after SIGTERM.
    """
    # Threads that wait sleep soon instead of spinning: as fast alone, several times faster beside other programs.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    sys.path.append(os.getcwd())  # for a model of the user's own, named as module:Class
    given = list(sys.argv[1:] if arguments is None else arguments)
    with warnings.catch_warnings(), _signals(is_program=arguments is None) as received:
        warn_in_one_line()
        try:
            _load_plugins()
            parsed = _parse(given)
            status = find_command(parsed.command).run(parsed) or 0
            sys.stdout.flush()
        except BrokenPipeError:  # of `dynvision ... | head`: whoever reads has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except (Exception, KeyboardInterrupt) as error:
            message, status = _explain(error, received)
            with contextlib.suppress(BrokenPipeError):  # the reader of a pipe may be gone after Ctrl-C
                clear_line()
                print(f"dynvision {given[0]}: {message}", file=sys.stderr, flush=True)
            return status
    return status


def _load_plugins() -> None:
    """Import the plugins of the workflow that calls, or of the configuration here, so that commands and help know them."""
    listed = os.environ.get(plugins.VARIABLE)
    if listed is not None:
        plugins.load(filter(None, listed.split(os.pathsep)))
        return
    path = Path(os.environ.get("DYNVISION_CONFIG") or "config") / "config_workflow.yaml"
    if path.is_file() and re.search(rb"^plugins *:", path.read_bytes(), re.MULTILINE):
        from dynvision.config.yaml_text import read_yaml

        plugins.load(plugins.names(read_yaml(path).get("plugins")))


class Command(NamedTuple):
    """A command: what declares its arguments, and what runs it."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]


def find_command(name: str) -> Command:
    """Return a command by name; its file is imported."""
    file = next(file for file, commands in FILES.items() if name in commands)
    module, stem = importlib.import_module(f"dynvision.cli.{file}"), name.replace("-", "_")
    return Command(getattr(module, f"add_{stem}_arguments"), getattr(module, f"run_{stem}"))


class _CommandList(argparse.HelpFormatter):
    """Counts the indentation of the commands, which Python forgets, so that each has its help beside it."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += self._indent_increment


# argparse, since the import of typer takes 80 ms and that of cyclopts 130 ms, where all of `dynvision --help` takes 50 ms.
# Neither adds more: the nearest names are ours in any case, and shtab makes the scripts for completion.
class _Parser(argparse.ArgumentParser):
    """Names what is nearest to a command, an option or a choice that does not exist; an option is never shortened."""

    def __init__(self, **options: Any) -> None:
        # Shortened, --device of one command would be --devices of another, and change its meaning with each new option.
        super().__init__(allow_abbrev=False, **options)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            is_command = isinstance(action, argparse._SubParsersAction)
            error = unknown_name(str(action.metavar) if is_command else "value", value, action.choices)
            raise argparse.ArgumentError(None if is_command else action, str(error))

    def check_known(self, unknown: list[str]) -> None:
        """End the program if arguments are left that no option and no place takes."""
        name = unknown[0].partition("=")[0] if unknown else ""
        if name.startswith("--"):
            known = [option for option in self._option_string_actions if option.startswith("--")]
            self.error(str(unknown_name("option", name, known)))
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")

    def command(self, name: str) -> _Parser:
        """Return the parser of one of the commands."""
        assert self._subparsers is not None
        return next(action.choices[name] for action in self._subparsers._group_actions if action.choices)  # type: ignore[index]


def build_parser(loaded: Collection[str]) -> _Parser:
    """Return the parser of all commands, with the arguments of some; the files of the others are not imported.

    Args:
        loaded: names of commands.
    """
    parser = _Parser(
        prog="dynvision",
        formatter_class=_CommandList,
        description="Recurrent convolutional networks in cortical time. Durations and time constants are in ms.",
    )
    parser.add_argument("--version", action="version", version=f"dynvision {dynvision.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name in loaded:
            find_command(name).add_arguments(command)
    return parser


def _parse(given: list[str]) -> argparse.Namespace:
    parser = build_parser(given[:1])
    parsed, unknown = parser.parse_known_args(given)
    parser.command(parsed.command).check_known(unknown)
    for name, value in vars(parsed).items():
        if isinstance(
            value, Path
        ):  # a shell replaces ~ at the beginning of a word only, and not in --output=~/a
            setattr(parsed, name, value.expanduser())
    return parsed


def _explain(error: BaseException, received: list[int]) -> tuple[str, int]:
    """What to print about an error, and the exit status; an error that is no one's but ours is raised again."""
    if received:  # whatever it became on its way: some libraries make an ImportError of Ctrl-C
        return "interrupted; run the same command again to continue", 128 + received[0]
    if isinstance(error, InputError):
        return str(error), EXIT_INPUT
    if isinstance(error, OSError) and error.errno in FILE_ERRORS:
        place = error.filename or "a file"
        return f"cannot use {place}: {os.strerror(error.errno)}; what was there before is kept", EXIT_INPUT
    raise error


@contextlib.contextmanager
def _signals(is_program: bool) -> Iterator[list[int]]:
    """A list of the signals to stop that have come. The first raises KeyboardInterrupt, so that files are left in order.

    Those that follow it soon change nothing, as when Ctrl-C is pressed twice; in a program not even at its very end, where
    Python would print what they disturb. Python drops an exception that is raised while an object is deleted (a generator
    that joins its threads, for example): the signal is then sent once more.
    """
    received: list[int] = []
    deadline = 0.0  # signals until then change nothing

    def stop(number: int, frame: Any) -> None:
        nonlocal deadline
        received.append(number)
        if time.monotonic() > deadline:
            deadline = time.monotonic() + AGAIN_S
            raise KeyboardInterrupt

    def send_again(dropped: Any) -> None:
        nonlocal deadline
        if not (received and issubclass(dropped.exc_type, KeyboardInterrupt)):
            report_dropped(dropped)
            return
        deadline = 0.0
        # Not from here: this function, too, is one in which Python drops exceptions.
        threading.Timer(0.01, os.kill, (os.getpid(), received[0])).start()

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    report_dropped, sys.unraisablehook = sys.unraisablehook, send_again
    try:
        yield received
    finally:
        sys.unraisablehook = report_dropped
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if received and is_program else handler)
