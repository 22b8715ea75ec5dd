"""Running commands: as programs, and in a fork of this process, which need not import everything again."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit status (minus the signal's number if one ended it), what it said, and its CPU time."""

    status: int
    said: str
    cpu_s: float


def run_program(
    name: str, *arguments: object, cwd: Path | None = None, prefix: Sequence[str] = ()
) -> Outcome:
    """Run a program that is installed beside Python, on one thread."""
    before = _children_cpu_s()
    command = [*prefix, str(BIN / name), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=250
    )
    return Outcome(done.returncode, done.stdout, _children_cpu_s() - before)


@dataclass(frozen=True)
class Kill:
    """SIGKILL just before the ``at``-th change of a file whose path contains ``path``, counted from 0.

    A change is: opening to write, making a folder, removing, and renaming, which counts for the new name.
    """

    at: int
    path: str = ""


def run_forked(action: Callable[[], int], log: Path, kill: Kill | None = None) -> Outcome:
    """Run a function in a fork; it returns the exit status, and what it prints goes into a file."""
    before = _children_cpu_s()
    child = os.fork()
    if child == 0:
        _be_child(action, log, kill)
    _, ended = os.waitpid(child, 0)
    return Outcome(os.waitstatus_to_exitcode(ended), log.read_text(), _children_cpu_s() - before)


def _be_child(action: Callable[[], int], log: Path, kill: Kill | None) -> None:
    status = 99
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if kill is not None:
            sys.addaudithook(_killer(kill))
        status = action()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _killer(kill: Kill) -> Callable[[str, tuple[object, ...]], None]:
    changes = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.truncate": 0, "os.link": 1}
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event == "open" and int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):  # type: ignore[call-overload]
            path = str(arguments[0])
        elif event in changes:
            path = str(arguments[changes[event]])
        else:
            return
        if kill.path in path:
            if seen == kill.at:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    return hook


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
