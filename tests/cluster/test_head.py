"""The head job without a cluster: who may work in a folder, what is cancelled, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dynvision.cluster import head
from dynvision.cluster.head import claimed
from dynvision.cluster.queue import reasons
from dynvision.errors import InputError
from tests.cluster.fake_slurm import FakeSlurm
from tests.processes import wait_for
from tests.workflow.conftest import REPOSITORY

SNAKEMAKE = """
import os, signal, sys, time, pathlib
assert pathlib.Path(os.environ["DYNVISION_CONFIG"], "config_workflow.yaml").read_text() == "seed: 1\\n"
pathlib.Path("called").open("a").write(" ".join(sys.argv[1:]) + "\\n")
def stop(*_): pathlib.Path("interrupted").touch(); sys.exit(1)
signal.signal(signal.SIGINT, stop)
if pathlib.Path("long").exists(): pathlib.Path("working").touch(); time.sleep(10**6)
sys.exit(3 if pathlib.Path("fails").exists() else 0)
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A folder with a site and a Snakemake that does nothing, and a queue that is empty."""
    folder = tmp_path / "repository"
    (folder / "cluster" / "profiles" / "slurm").mkdir(parents=True)
    base = "cluster/profiles/slurm/config.yaml"
    (folder / base).write_text((REPOSITORY / base).read_text())
    (folder / "cluster" / "site.yaml").write_text("partition: debug\n")
    (folder / "config").mkdir()
    (folder / "config" / "config_workflow.yaml").write_text("seed: 1\n")
    (folder / "snakemake.py").write_text(SNAKEMAKE)  # before the installed one, for `python -m`
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)  # the folder has no .venv
    return FakeSlurm(tmp_path / "bin", monkeypatch)


def calls() -> list[str]:
    return Path("called").read_text().splitlines() if Path("called").exists() else []


@pytest.fixture(autouse=True)
def _signals_as_before() -> object:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_arguments_and_profile_reach_snakemake(slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]) -> None:
    assert head.main(["--config", "model_name=DyRCNNx4"]) == 0
    assert calls() == ["--workflow-profile .snakemake/slurm-profile --config model_name=DyRCNNx4"]
    assert capfd.readouterr().err == "snakejob: finished\n"
    assert not Path(".snakemake/head-job").exists()


def test_a_configuration_that_cannot_be_read(slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]) -> None:
    Path("config/config_workflow.yaml").write_text("seed: [1\n")
    assert head.main([]) == 2 and calls() == []
    said = capfd.readouterr().err
    assert said.startswith("snakejob: configuration file config/config_workflow.yaml is not valid YAML: ")


def test_leftovers_of_this_folder_are_cancelled_and_of_no_other(
    slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]
) -> None:
    prefix = head.job_prefix(Path.cwd())
    slurm.put("1 RUNNING other", f"2 RUNNING {prefix}_a", "3 PENDING dv-00000000_b", f"4 PENDING {prefix}_c")
    assert head.main([]) == 0
    assert slurm.queue == ["1 RUNNING other", "3 PENDING dv-00000000_b"]
    assert [line for line in slurm.asked if "scancel" in line] == ["scancel --quiet 2 4"]
    assert "cancelling 2 jobs that an earlier head job left" in capfd.readouterr().err


def test_a_lock_is_removed_only_if_its_holder_is_gone(
    slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = Path(".snakemake/locks/0.input.lock")
    lock.parent.mkdir(parents=True)
    lock.touch()
    note = Path(".snakemake/calls/0.json")
    note.parent.mkdir()
    on_login = {
        "process": 7,
        "machine": "login1",
        "kernel": "x",
        "since": "now",
        "command": "snakemake",
        "locks": [],
    }
    note.write_text(json.dumps(on_login))
    assert head.main([]) == 2 and calls() == []
    said = capfd.readouterr().err
    assert "another call is at work in this folder: process 7 on login1, since now: snakemake" in said
    assert "locked by a Snakemake that no head job started" in said
    note.write_text(
        json.dumps({**on_login, "command": "snakemake --workflow-profile .snakemake/slurm-profile"})
    )
    Path(".snakemake/head-job").write_text("5")  # of a head job that is gone
    assert head.main([]) == 0
    assert len(calls()) == 1 and not lock.exists() and not note.exists()
    slurm.put("6 RUNNING dynvision")
    Path(".snakemake/head-job").write_text("6")  # of one that is there
    assert head.main([]) == 2
    assert "job 6 is already at work in" in capfd.readouterr().err
    assert Path(".snakemake/head-job").read_text() == "6"
    Path(".snakemake/head-job").write_text("7")  # of this one, before it was put back into the queue
    lock.touch()
    assert head.main([]) == 0 and not lock.exists()


def test_only_one_of_many_that_come_at_once(tmp_path: Path) -> None:
    """Forty processes want to take over from one that is gone: one gets it."""
    folder = tmp_path / "folder"
    path, go, over, answers = folder / "head-job", tmp_path / "go", tmp_path / "over", tmp_path / "answers"
    folder.mkdir()
    answers.mkdir()
    path.write_text("gone")
    children = []
    for number in range(40):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                while not go.exists():
                    time.sleep(0.001)
                with claimed(str(number), lambda holder: holder != "gone", path):
                    status = 0
                    (answers / str(number)).touch()
                    while not over.exists():  # all others have come meanwhile
                        time.sleep(0.001)
            except InputError:
                status = 2
                (answers / str(number)).touch()
            finally:
                os._exit(status)
        children.append(child)
    go.touch()
    wait_for(lambda: len(list(answers.iterdir())) == 40)
    over.touch()
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(ended) == [0] + [2] * 39
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "last"),
    [
        (signal.SIGTERM, "stopped, and its jobs are cancelled; submit it again to resume"),
        (signal.SIGUSR1, "this job is at the end of its time; it continues when it starts again"),
    ],
)
def test_a_signal_ends_snakemake_and_its_jobs(slurm: FakeSlurm, number: int, last: str) -> None:
    Path("long").touch()
    slurm.put()
    command = [sys.executable, "-m", "dynvision.cluster.head"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(Path("working").exists, process.pid)
        slurm.put(f"9 RUNNING {head.job_prefix(Path.cwd())}_x")  # what Snakemake has submitted
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 143 and Path("interrupted").exists()
    assert not Path(".snakemake/head-job").exists()
    assert said.splitlines()[-1] == f"snakejob: {last}"
    assert slurm.queue == []
    assert ("scontrol requeue 7" in slurm.asked) == (number == signal.SIGUSR1)


def test_a_snakemake_that_does_not_end(slurm: FakeSlurm) -> None:
    """It is killed, within the seconds that SLURM gives, and its locks are removed."""
    Path("long").touch()
    text = Path("snakemake.py").read_text().replace("sys.exit(1)", "pass")
    Path("snakemake.py").write_text(text)
    lock = Path(".snakemake/locks/0.input.lock")
    command = [sys.executable, "-m", "dynvision.cluster.head"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(Path("working").exists, process.pid)
        lock.parent.mkdir()
        lock.touch()
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143 and not lock.exists()


def test_snakemake_ends_with_the_head_job(slurm: FakeSlurm) -> None:
    Path("long").touch()
    text = Path("snakemake.py").read_text().replace("touch(); time", "write_text(str(os.getpid())); time")
    Path("snakemake.py").write_text(text)
    with subprocess.Popen([sys.executable, "-m", "dynvision.cluster.head"]) as process:
        wait_for(lambda: Path("working").exists() and Path("working").read_text() != "", process.pid)
        process.kill()
    child = Path("/proc", Path("working").read_text(), "status")
    wait_for(lambda: not child.exists() or "State:\tZ" in child.read_text())


def test_why_the_cluster_ended_jobs(slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]) -> None:
    endings = {
        "12": "slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-11-25T10:00:00 DUE TO TIME LIMIT ***",
        "13": "slurmstepd: error: Detected 1 oom_kill event in StepId=13.0.",
        "14": "dynvision train: val_loss is nan",
    }
    for job, text in endings.items():
        path = Path("logs/slurm/jobs/rule_train") / f"{job}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    time_limit = "job 12 (rule_train) was over its time; raise max_runtime in cluster/site.yaml"
    memory = "job 13 (rule_train) was over its memory; raise max_memory in cluster/site.yaml"
    logs = Path("logs/slurm/jobs")
    assert reasons(logs, 0) == [time_limit, memory]
    assert reasons(logs, time.time() + 60) == []  # of an earlier call
    Path("fails").touch()
    assert head.main([]) == 3
    assert (
        capfd.readouterr().err == "snakejob: not finished; submit it again to repeat only what is missing\n"
    )


SITES = [
    ("partition: debug # all\naccount: 'a b'\nqos: \"\"\n", "--partition=debug --account=a b "),
    ("partition: debug\r\naccount: 0042\r\nqos: 'it''s # one'\r\n", "--partition=debug --account=0042 --qos=it's # one "),
    ("{partition: debug, account: 42}", "--partition=debug --account=42 "),
    ("account: >-\n  a\n  b\npartition: $(touch gone)\nsetup: |\n  true\n", "--partition=$(touch gone) --account=a b "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "options"), SITES)
def test_outside_of_a_job(text: str, options: str, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called without sbatch, the script submits itself with what the site file says; the head alone refuses."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.delenv("SLURM_JOB_ID")
    assert head.main([]) == 2 and calls() == []
    Path("Snakefile").touch()
    Path("cluster/site.yaml").write_bytes(text.encode())
    script = REPOSITORY / "cluster" / "snakejob.sh"
    subprocess.run(["bash", script, "--config", "seed=2"], check=True)
    assert slurm.asked == [f"sbatch {options}cluster/snakejob.sh --config seed=2"]
    assert not Path("gone").exists()


def test_what_is_missing_is_one_line(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    script = REPOSITORY / "cluster" / "snakejob.sh"

    def said() -> str:
        done = subprocess.run(["bash", script], capture_output=True, text=True)
        assert done.returncode == 2 and done.stdout == ""
        return done.stderr

    assert said() == "snakejob: submit from the repository's root\n"
    Path("Snakefile").touch()
    Path("cluster/site.yaml").unlink()
    assert said() == "snakejob: copy cluster/site.example.yaml to cluster/site.yaml and fill it in\n"
    Path("cluster/site.yaml").write_text("environment: there\n")
    missing = "no Python in there; run make install, or set environment in cluster/site.yaml\n"
    assert said() == f"snakejob: {missing}"
    Path("cluster/site.yaml").write_text("cpus: 4\ncpus: 8\n")
    twice = "has the key 'cpus' twice, in lines 1 and 2; make one of the two\n"
    assert said() == f"snakejob: configuration file cluster/site.yaml {twice}"
    Path("cluster/site.yaml").write_text("environment: $NOWHERE/env\n")
    unset = "environment=$NOWHERE/env: the environment variable NOWHERE is not set; set it, or write the path out\n"
    assert said() == f"snakejob: cluster/site.yaml: {unset}"
