"""Which calls of Snakemake are at work in a folder, and what a call that was killed has left there.

Snakemake locks the files that it makes, and can neither remove its locks when it is killed nor end the jobs that it has
started. So each call holds a file of its own by a lock of the kernel, which ends with the process however that ends. The
next call finds the files that nobody holds, stops what those calls have left running, and removes their locks.

    .snakemake/calls/<token>.json    process, machine, time and command of a call, and which of Snakemake's locks it wrote
    .snakemake/calls/<token>.*.lock  these locks, by hard links: a Snakemake that ends removes those of all calls, and the
                                     next call puts back those of calls that live

A job is stopped by SIGTERM, as on a cluster: a training then resumes from its last checkpoint.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from dynvision.files import running_system

SNAKEMAKE = Path(".snakemake")
TOKEN = "DYNVISION_CALL"  # in the environment of all that a call starts
END_S = 30.0  # time that a job has to end after SIGTERM


@dataclass(frozen=True)
class Call:
    """A call of Snakemake.

    Attributes:
        process: number of its process.
        machine: name of the machine.
        kernel: identifies the system that runs there until it is started again; only that one knows who holds a file.
        since: date and time.
        command: what was called.
        locks: names of the locks of Snakemake that it wrote; known once jobs are started.
    """

    process: int
    machine: str
    kernel: str
    since: str
    command: str
    locks: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = "" if self.machine == os.uname().nodename else f" on {self.machine}"
        return f"process {self.process}{place}, since {self.since}: {self.command}"


class CallFolder:
    """The calls of a folder.

    Args:
        snakemake: where Snakemake keeps its own files.
    """

    def __init__(self, snakemake: Path = SNAKEMAKE) -> None:
        self.calls, self.locks = snakemake / "calls", snakemake / "locks"
        self._own: tuple[Path, IO[str]] | None = None

    def look_around(self) -> list[str]:
        """Remove the locks of calls that were killed.

        Returns:
            What the user should know, a sentence each.
        """
        with self._turn():
            known = self._known()
            alive = {path: call for path, call in known.items() if _is_held(path, call)}
            sentences = [f"another call is at work in this folder: {call}" for call in alive.values()]
            gone = {path: call for path, call in known.items() if path not in alive}
            for path in alive:
                self._restore(path)
            stale = {lock for path, call in gone.items() for lock in self._locks_of(path, call)}
            if not alive and self._locks() and not _snakemake_here():
                stale = self._locks()
            sentences += self._remove_locks(stale, gone.values())
            for path, call in gone.items():
                if jobs := processes_of(path.stem):
                    sentences.append(
                        f"{_left_running(call, jobs)}; it is stopped before anything else is run"
                    )
                else:
                    self._forget(path)
        return sentences

    def begin(self) -> list[str]:
        """Take note of this call, whose jobs are about to start, and stop those of calls that were killed.

        Returns:
            What the user should know, a sentence each.
        """
        sentences = []
        with self._turn():
            known = self._known()
            for path, call in known.items():
                if not _is_held(path, call):
                    sentences += _stop(path.stem, call)
                    self._forget(path)
            others = {
                lock for path, call in known.items() if path.exists() for lock in self._locks_of(path, call)
            }
            self._hold(tuple(sorted(self._locks() - others)))
        return sentences

    def leave(self) -> None:
        """Take the note of this call away."""
        if self._own is not None:
            self._forget(self._own[0])
            self._own[1].close()
            self._own = None
            os.environ.pop(TOKEN, None)

    def _hold(self, locks: tuple[str, ...]) -> None:
        token = secrets.token_hex(8)
        path = self.calls / f"{token}.json"
        file = open(path, "w", encoding="utf-8")  # noqa: SIM115  # held to the end of the process
        fcntl.flock(file, fcntl.LOCK_EX)
        since = time.strftime("%Y-%m-%d %H:%M")
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        json.dump(asdict(Call(os.getpid(), os.uname().nodename, _kernel(), since, command, locks)), file)
        file.flush()
        for lock in locks:
            with contextlib.suppress(OSError):  # a file system without hard links
                os.link(self.locks / lock, self.calls / f"{token}.{lock}")
        self._own = path, file
        os.environ[TOKEN] = token
        atexit.register(self.leave)

    def _copies(self, note: Path) -> list[Path]:
        return sorted(self.calls.glob(f"{note.stem}.*.lock"))

    def _locks_of(self, note: Path, call: Call) -> set[str]:
        """The locks of a call that are there; a name alone may be another call's by now."""
        copies = self._copies(note)
        if not copies:
            return set(call.locks) & self._locks()
        return {lock for lock in self._locks() if any(_is_same(copy, self.locks / lock) for copy in copies)}

    def _restore(self, note: Path) -> None:
        """Put back the locks of a call that lives, under names that are free."""
        for copy in self._copies(note):
            if any(_is_same(copy, self.locks / lock) for lock in self._locks()):
                continue
            self.locks.mkdir(exist_ok=True)
            kind = copy.name.split(".")[-2]  # input or output
            for number in itertools.count():
                with contextlib.suppress(FileExistsError):
                    os.link(copy, self.locks / f"{number}.{kind}.lock")
                    break

    def _forget(self, note: Path) -> None:
        """Remove the note of a call."""
        for path in (*self._copies(note), note):
            path.unlink(missing_ok=True)

    def _remove_locks(self, locks: Set[str], owners: Iterable[Call]) -> list[str]:
        for lock in locks:
            (self.locks / lock).unlink(missing_ok=True)
        named = f" ({'; '.join(map(str, owners))})" if owners else ""
        return [f"removed the lock of a call that was killed{named}"] if locks else []

    def _locks(self) -> set[str]:
        return {path.name for path in self.locks.glob("*.lock")}

    def _known(self) -> dict[Path, Call]:
        return {path: _read(path) for path in sorted(self.calls.glob("*.json"))}

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Calls look around one after the other."""
        self.calls.mkdir(parents=True, exist_ok=True)
        with open(self.calls / "turn", "a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield


def interrupt_once() -> None:
    """Have Ctrl-C interrupt this process once, however often it is pressed.

    Snakemake, disturbed while it ends, prints where it was. Its jobs receive every Ctrl-C of a terminal themselves.
    """

    def stop(number: int, frame: Any) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)


def end_with_parent() -> None:
    """Ask the kernel to kill this process when the one that started it is gone."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def processes_of(token: str) -> list[psutil.Process]:
    """What a call has started and still runs on this machine."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(TOKEN) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _left_running(call: Call, jobs: Iterable[psutil.Process]) -> str:
    """The commands that run, without the shells and the `tee` around them."""
    shown = []
    for job in jobs:
        with contextlib.suppress(psutil.Error):
            words = [Path(word).name for word in job.cmdline()[:3]]
            if "dynvision" in words:
                shown.append(f"process {job.pid}: {shlex.join(job.cmdline()[words.index('dynvision') :])}")
    commands = "; ".join(shown) or ", ".join(f"process {job.pid}" for job in jobs)
    return f"a call that was killed ({call}) has left running {commands}"


def _stop(token: str, call: Call) -> list[str]:
    """Stop what a call that is gone has left running: ask, wait, and end what is still there."""
    jobs = processes_of(token)
    if not jobs:
        return []
    sentence = f"{_left_running(call, jobs)}; it is stopped"  # while they can still be asked
    for act in (psutil.Process.terminate, psutil.Process.kill):
        for job in jobs:
            with contextlib.suppress(psutil.Error):
                act(job)
        psutil.wait_procs(jobs, END_S)
        jobs = processes_of(token)
    return [sentence]


def _is_held(path: Path, call: Call) -> bool:
    """Whether a call lives, as far as can be known: on another machine it is taken to."""
    if call.kernel != _kernel():
        return call.machine != os.uname().nodename
    with open(path, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


def _read(path: Path) -> Call:
    """The call of a file; a file that is not whole is of a call that was killed before it could do anything."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Call(**{**values, "locks": tuple(values["locks"])})
    except (ValueError, TypeError, KeyError):
        return Call(0, os.uname().nodename, _kernel(), "?", "?")


def _kernel() -> str:
    return running_system() or os.uname().nodename


def _snakemake_here() -> bool:
    """Whether a Snakemake that took no note of itself is at work in this folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            words = process.cmdline()[:3]
            calls = words[1:] == ["-m", "snakemake"] or "snakemake" in (Path(word).name for word in words[:2])
            if calls and process.pid != os.getpid() and Path(process.cwd()).samefile(Path.cwd()):
                return True
    return False


def failures(folders: Iterable[str | Path], since: float) -> list[str]:
    """What went wrong in jobs: the sentences with which commands ended that could not do what they should.

    Args:
        folders: the results folder, and that of the study.
        since: time in s since the epoch; logs that were written before are passed over.
    """
    found = (path for folder in folders for path in Path(folder, "logs").rglob("*.log"))
    logs = [path for path in found if path.stat().st_mtime >= since]
    last = [path.read_text(encoding="utf-8", errors="replace").splitlines()[-1:] for path in sorted(logs)]
    return [line for lines in last for line in lines if line.startswith("dynvision ")]
