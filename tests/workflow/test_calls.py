"""What a call that was killed leaves, a lock and jobs, is cleared by the next one; a call that lives is named."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dynvision.runs.calls import TOKEN, CallFolder
from tests.processes import BIN, wait_for
from tests.workflow.conftest import Workflow

# A job that waits for as long as the test wants, and ends as the commands of the package do when it is told to stop.
WAITING = "import signal, time; [signal.signal(n, signal.SIG_DFL) for n in (2, 15)]; open('started', 'w'); time.sleep(300)"


@contextlib.contextmanager
def waiting_call(workflow: Workflow, said: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A call of Snakemake whose last job waits; its whole session is ended afterwards."""
    rules = workflow.root / "workflow" / "rules" / "data.smk"
    text = rules.read_text()
    job = f'{sys.executable} -c \\"{WAITING}\\" && dynvision runs'
    rules.write_text(text.replace('"dynvision runs', f'"{job}'))
    command = [str(BIN / "snakemake"), *workflow.arguments("runs_table")]
    with open(said or os.devnull, "w") as output:
        call = subprocess.Popen(
            command, cwd=workflow.root, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_for((workflow.root / "started").exists, call.pid)
        rules.write_text(text)
        yield call
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(call.pid, signal.SIGKILL)
        call.wait()


def waiting_jobs(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and WAITING in process.cmdline():
                found.append(process)
    return found


def test_a_call_that_is_killed_is_resumed(workflow: Workflow) -> None:
    with waiting_call(workflow) as call:
        os.killpg(call.pid, signal.SIGKILL)
        call.wait()
        assert any((workflow.root / ".snakemake" / "locks").iterdir())
        again = workflow.snakemake("runs_table")
    assert again.status == 0, again.said
    assert f"dynvision: removed the lock of a call that was killed (process {call.pid}, since " in again.said
    assert "The report is" not in again.said  # which it did not write
    assert (workflow.results / "runs.csv").exists()
    assert "dynvision: " not in workflow.snakemake("runs_table").said


def test_jobs_of_a_killed_snakemake_are_named_and_stopped(workflow: Workflow) -> None:
    """Only Snakemake is killed, as by the kernel where memory is short; planning stops nothing."""
    with waiting_call(workflow) as call:
        call.kill()
        call.wait()
        (job,) = waiting_jobs(call.pid)
        planned = workflow.snakemake("runs_table", "-n")
        assert planned.status == 0 and "has left running" in planned.said and str(job.pid) in planned.said
        assert job.is_running()
        again = workflow.snakemake("runs_table")
        assert again.status == 0, again.said
        assert f"a call that was killed (process {call.pid}, since " in again.said
        assert str(job.pid) in again.said and "; it is stopped\n" in again.said
        assert not job.is_running()
    assert (workflow.results / "runs.csv").exists()


def test_a_call_that_lives_is_named(workflow: Workflow) -> None:
    with waiting_call(workflow) as call:
        second = workflow.snakemake("runs_table")
        other = workflow.snakemake("runs_table", results_dir="elsewhere")
        third = workflow.snakemake("runs_table")  # the end of the other one has opened nothing
    for refused in (second, third):
        assert refused.status == 1 and "Directory cannot be locked" in refused.said
    named = f"dynvision: another call is at work in this folder: process {call.pid}, since "
    assert named in second.said and named in other.said
    assert other.status == 0, other.said  # files of its own


def call_file(folder: Path, name: str = "0123", **changes: object) -> Path:
    """The note of a call that nobody holds."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    here = {"process": 7, "machine": os.uname().nodename, "kernel": boot, "since": "2026-01-01 00:00"}
    path = folder / "calls" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**here, "command": "snakemake", "locks": [], **changes}))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Snakemake's folder, with two locks."""
    (tmp_path / "locks").mkdir()
    for name in ("0.output.lock", "1.output.lock"):
        (tmp_path / "locks" / name).write_text("results/report.html\n")
    return tmp_path


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "locks").iterdir())


def test_a_machine_that_was_started_again(folder: Path) -> None:
    path = call_file(folder, kernel="of before")
    (said,) = CallFolder(folder).look_around()
    assert said == "removed the lock of a call that was killed (process 7, since 2026-01-01 00:00: snakemake)"
    assert locks(folder) == [] and not path.exists()


def test_a_call_on_another_machine_is_left_alone(folder: Path) -> None:
    path = call_file(folder, kernel="another", machine="node17")
    (said,) = CallFolder(folder).look_around()
    assert "at work in this folder: process 7 on node17, since 2026-01-01 00:00" in said
    assert len(locks(folder)) == 2 and path.exists()


def test_a_dead_call_beside_one_that_lives(folder: Path) -> None:
    """Only the lock of the dead one goes."""
    held = call_file(folder, "alive", locks=["0.output.lock"])
    call_file(folder, "dead", locks=["1.output.lock"])
    with open(held) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said = CallFolder(folder).look_around()
    assert len(said) == 2
    assert locks(folder) == ["0.output.lock"]


@pytest.mark.parametrize("content", [None, "", '{"process": 7'])
def test_a_lock_of_nobody(folder: Path, content: str | None) -> None:
    """Of a Snakemake that was killed before it could take note of itself, or while it did."""
    if content is not None:
        call_file(folder).write_text(content)
    assert len(CallFolder(folder).look_around()) == 1
    assert locks(folder) == []


def test_a_call_holds_its_own_locks_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    held = call_file(folder, "alive", locks=["0.output.lock"])
    with open(held) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        calls = CallFolder(folder)
        assert calls.begin() == []
        own = folder / "calls" / f"{os.environ[TOKEN]}.json"
        assert json.loads(own.read_text())["locks"] == ["1.output.lock"]
        (said, _) = CallFolder(folder).look_around()
        assert "at work" in said
        calls.leave()
    assert TOKEN not in os.environ and not own.exists()


def begun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> CallFolder:
    """A call of this process that holds the locks that are there; its token is not handed on."""
    calls = CallFolder(folder)
    calls.begin()
    monkeypatch.delenv(TOKEN, raising=False)
    return calls


def test_locks_of_a_call_that_lives_outlast_the_end_of_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake, when it ends, removes the locks of all calls; a third call would not be refused."""
    calls = begun(folder, monkeypatch)
    shutil.rmtree(folder / "locks")
    (folder / "locks").mkdir()
    (folder / "locks" / "0.output.lock").write_text("of a third call\n")
    for _ in range(2):  # once is enough
        CallFolder(folder).look_around()
    found = {name: (folder / "locks" / name).read_text() for name in locks(folder)}
    assert found.pop("0.output.lock") == "of a third call\n"
    assert list(found.values()) == ["results/report.html\n"] * 2
    calls.leave()
    assert not list((folder / "calls").glob("*.lock"))


def test_a_lock_of_the_name_of_a_dead_calls_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = begun(folder, monkeypatch)
    assert calls._own is not None
    calls._own[1].close()  # as if it were killed
    shutil.rmtree(folder / "locks")
    (folder / "locks").mkdir()
    (folder / "locks" / "1.output.lock").write_text("of another call\n")
    held = call_file(folder, "alive", locks=["1.output.lock"])
    with open(held) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        CallFolder(folder).look_around()
    assert locks(folder) == ["1.output.lock"]
    assert not list((folder / "calls").glob("*.*.lock"))


def test_ctrl_c_twice(workflow: Workflow) -> None:
    """Impatience changes nothing: no trace of where Python was."""
    with waiting_call(workflow, said=workflow.root / "said") as call:
        for _ in range(3):
            os.killpg(call.pid, signal.SIGINT)
            time.sleep(0.2)
        assert call.wait() == 1
    said = (workflow.root / "said").read_text()
    assert "Traceback" not in said and "Exception ignored" not in said
    assert workflow.plan("runs_table", "-n").status == 0


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.5])
def test_ctrl_c_twice_at_the_end_of_a_command(tmp_path: Path, pause_s: float) -> None:
    """The second one may come while Python ends, which takes its time where much is to be put away."""
    (tmp_path / "slow.py").write_text(
        "import atexit, time\n"
        "from dynvision import cli\n"
        "class Command:\n"
        "    add_arguments = staticmethod(lambda parser: None)\n"
        "    @staticmethod\n"
        "    def run(arguments):\n"
        "        atexit.register(time.sleep, 0.8)\n"
        "        print('at work', flush=True)\n"
        "        time.sleep(60)\n"
        "cli.find_command = lambda name: Command\n"
        "raise SystemExit(cli.main())\n"
    )
    command = [sys.executable, str(tmp_path / "slow.py"), "runs"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        time.sleep(pause_s)
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert (process.returncode, said) == (
        130,
        "dynvision runs: interrupted; run the same command again to continue\n",
    )
