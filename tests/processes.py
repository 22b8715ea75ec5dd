"""Running commands: as programs, in a fork of this process, which need not import everything again, and, where tests use a
GPU, in an interpreter of their own, since a fork of a process that has used CUDA cannot."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit status (minus the signal's number if one ended it), and what it said."""

    status: int
    said: str


def run_program(
    name: str, *arguments: object, cwd: Path | None = None, prefix: Sequence[str] = ()
) -> Outcome:
    """Run a program that is installed beside Python, on one thread."""
    command = [*prefix, str(BIN / name), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return Outcome(done.returncode, done.stdout)


@dataclass(frozen=True)
class Kill:
    """A signal just before the ``at``-th change of a file whose path contains ``path``, counted from 0.

    A change is: opening to write, making a folder, removing, and renaming, which counts for the new name.
    """

    at: int
    path: str = ""
    by: int = signal.SIGKILL


def run_forked(
    action: Callable[[], int],
    log: Path,
    kill: Kill | None = None,
    meanwhile: Callable[[int], None] | None = None,
) -> Outcome:
    """Run a function in a fork.

    Args:
        action: returns the exit status.
        log: receives what the function prints.
        kill: when to end it.
        meanwhile: called in this process with the id of the other one.
    """
    torch = sys.modules.get("torch")
    assert torch is None or not torch.cuda.is_initialized(), "a fork cannot use CUDA; use run_spawned"
    log.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _be_child(action, log, kill)
    if meanwhile is not None:
        meanwhile(child)
    _, ended = os.waitpid(child, 0)
    return Outcome(os.waitstatus_to_exitcode(ended), log.read_text())


def run_spawned(
    arguments: Sequence[str],
    log: Path,
    obedient: bool = False,
    kill: Kill | None = None,
    meanwhile: Callable[[int], None] | None = None,
) -> Outcome:
    """Run ``dynvision <arguments>`` in an interpreter of its own, in the folder of this one.

    Args:
        arguments: of the command.
        log, kill, meanwhile: as of :func:`run_forked`.
        obedient: without root's rights.
    """
    log.unlink(missing_ok=True)
    task = {"arguments": list(arguments), "obedient": obedient, "kill": kill and asdict(kill)}
    root = str(Path(__file__).parents[1])
    program = "from tests.processes import be_spawned; be_spawned()"
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    with open(log, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(task)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": paths},
        )
        if meanwhile is not None:
            meanwhile(process.pid)
        status = process.wait()
    return Outcome(status, log.read_text())


def be_spawned() -> None:
    """Be the interpreter that :func:`run_spawned` starts: do what the last argument says."""
    from dynvision.cli import main

    task = json.loads(sys.argv[-1])
    if task["obedient"]:
        obey_permissions()
    if task["kill"] is not None:
        sys.addaudithook(_killer(Kill(**task["kill"])))
    sys.exit(main(task["arguments"]))


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
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)  # as Python does
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def wait_for(condition: Callable[[], bool], child: int | None = None) -> None:
    """Wait until something is so, for as long as a child that is to make it so lives.

    A test that waits in vain is ended by the limit of all tests in ``pyproject.toml``.
    """
    while not condition():
        ended = child and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        assert not ended or condition(), f"the process ended with {ended.si_status}, and it has not happened"
        time.sleep(0.01)


def n_calls(action: Callable[[], object]) -> int:
    """How many functions of Python an action calls: its work, whatever else the machine does."""
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return counted


def obey_permissions() -> None:
    """Give up root's right to write and read everything, in this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of Linux capabilities, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 of them
    assert libc.capget(header, sets) == 0
    for overriding in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        sets[0] &= ~(1 << overriding)
    assert libc.capset(header, sets) == 0


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
            seen += 1
            if seen == kill.at + 1:
                os.kill(os.getpid(), kill.by)

    return hook
