"""What goes wrong on a cluster, done on purpose: each ends in a finished workflow or one clear message, and no half file.

The table in docs/cluster.md lists these tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable

import pytest

from dynvision.cluster.head import job_prefix
from tests.cluster.slurm_cluster import Clone
from tests.workflow.contents import contents

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

# A training that takes a while, so that there is a middle to be hit in.
LONG = {"model_args": "{n_timesteps: 3, trc: 2}", "training": "{epochs: 40, batch_size: 8}"}
TO_TRAINING = ("--until", "train")


def in_the_middle(here: Clone, head: str) -> str:
    """Wait until the training has a checkpoint; the id of its job."""
    here.until(lambda: "epoch 3/" in here.training_log())
    assert head in here.cluster.jobs()
    (job,) = here.training_jobs()
    return job


def kill(processes: list[int]) -> None:
    """Kill processes; one that another has taken with it is no error."""
    assert processes
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def check_trained(here: Clone, n_epochs: int = 40) -> None:
    """The training is whole: it has a row for each epoch and weights, and everything there can be read."""
    (run,) = (here.results / "runs").iterdir()
    read = contents(run)
    assert {"config.yaml", "model.safetensors", "test.json", "training.csv"} <= read.keys()
    assert [line.split(",")[1] for line in read["training.csv"].splitlines()[1:]] == [
        str(epoch) for epoch in range(1, n_epochs + 1)
    ]
    assert list(here.results.rglob(".*")) == []


def test_a_job_that_is_killed_is_tried_again(clone: Callable[..., Clone]) -> None:
    here = clone()
    head = here.submit(*TO_TRAINING, **LONG)
    job = in_the_middle(here, head)
    kill(here.cluster.processes_of_job(job))
    said = here.wait(head)
    assert said.rstrip().endswith("snakejob: finished"), said
    assert "Trying to restart" in said
    assert "resuming from" in here.training_log()
    check_trained(here)


def test_a_node_that_is_lost(clone: Callable[..., Clone]) -> None:
    """SLURM puts its jobs back into the queue; when it returns, the training goes on from its checkpoint."""
    here = clone()
    # The head job has so much of the other node that the training finds no room beside it.
    head = here.submit(*TO_TRAINING, before=("--nodelist=n1", "--cpus-per-task=3"), **LONG)
    job = in_the_middle(here, head)
    assert here.cluster.show(job)["NodeList"] == "n2"
    kill(here.cluster.processes_of("n2"))
    try:
        here.until(lambda: here.cluster.show(job)["JobState"] == "PENDING")
    finally:
        here.cluster.start_node("n2")
    said = here.wait(head)
    assert said.rstrip().endswith("snakejob: finished"), said
    assert here.cluster.show(job)["Restarts"] == "1"
    assert "resuming from" in here.training_log()
    check_trained(here)


def let_its_time_be_over(here: Clone, job: str) -> None:
    """A limit that the job has passed already; it is held up, so that it does not end before SLURM looks at the clock."""
    for process in here.cluster.processes_of_job(job):
        os.kill(process, signal.SIGSTOP)
    here.cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    here.cluster.run("scontrol", "update", f"JobId={job}", "EndTime=now")


def test_a_job_over_its_time(clone: Callable[..., Clone]) -> None:
    here = clone()
    head = here.submit(*TO_TRAINING, **LONG)
    job = in_the_middle(here, head)
    let_its_time_be_over(here, job)
    said = here.wait(head)
    assert "Trying to restart" in said and "DUE TO TIME LIMIT" in here.job_logs(), said
    assert "asked to stop; saved after" in here.job_logs()
    assert said.rstrip().endswith("snakejob: finished"), said
    assert "resuming from" in here.training_log()
    check_trained(here)


def test_a_job_over_its_time_for_good(clone: Callable[..., Clone]) -> None:
    here = clone(retries="0")
    head = here.submit(*TO_TRAINING, **LONG)
    let_its_time_be_over(here, in_the_middle(here, head))
    said = here.wait(head)
    assert "was over its time; raise max_runtime in cluster/site.yaml" in said, said + here.job_logs()
    assert said.rstrip().endswith("snakejob: not finished; submit it again to repeat only what is missing")
    assert "Traceback" not in said
    (run,) = (here.results / "runs").iterdir()
    assert not (run / "model.safetensors").exists() and (run / "checkpoints" / "last.ckpt").exists()
    contents(run)  # what is there can be read


def test_a_job_over_its_memory(clone: Callable[..., Clone]) -> None:
    """The first attempt has too little; the second, with twice as much, ends well."""
    here = clone(max_memory="5000")
    few = {**LONG, "training": "{epochs: 3, batch_size: 8}"}
    # "400 * attempt" is what a profile would say in set-resources
    head = here.submit(*TO_TRAINING, "--set-resources", "train:mem_mb=500 * attempt**2", **few)
    said = here.wait(head)
    assert "Trying to restart" in said, said
    assert said.rstrip().endswith("snakejob: finished"), said
    assert len(list(here.results.glob("runs/*/model.safetensors"))) == 1
    assert list(here.results.rglob(".*")) == []


def test_a_job_over_its_memory_for_good(clone: Callable[..., Clone]) -> None:
    here = clone(max_memory="500", retries="0")
    said = here.wait(here.submit(*TO_TRAINING, **LONG))
    assert "was over its memory; raise max_memory in cluster/site.yaml" in said, said + here.job_logs()
    assert "Traceback" not in said


@pytest.mark.parametrize("how", ["cancelled", "killed"])
def test_the_head_job_is_ended_and_submitted_again(clone: Callable[..., Clone], how: str) -> None:
    here = clone()
    head = here.submit(*TO_TRAINING, **LONG)
    first = in_the_middle(here, head)
    if how == "killed":
        kill(here.cluster.processes_of_job(head))
    else:
        here.cluster.run("scancel", head)
    said = here.wait(head)
    if how == "killed":  # nobody was left to cancel the training
        assert first in here.cluster.jobs()
    else:
        assert said.rstrip().endswith(
            "snakejob: stopped, and its jobs are cancelled; submit it again to resume"
        )
        assert first not in here.training_jobs()
        assert not list((here.root / ".snakemake" / "locks").iterdir())
    again = here.submit(*TO_TRAINING, **LONG)
    said = here.wait(again)
    assert ("cancelling 1 jobs that an earlier head job left in the queue" in said) == (how == "killed"), said
    assert said.rstrip().endswith("snakejob: finished"), said
    assert "resuming from" in here.training_log()
    check_trained(here)


def test_the_configuration_is_edited_meanwhile(clone: Callable[..., Clone]) -> None:
    """For the next sweep: jobs of this one that are submitted later do not see it."""
    here = clone()
    head = here.submit(*TO_TRAINING, **{**LONG, "training": "{batch_size: 8}"})
    here.until(lambda: "submitted with SLURM jobid" in here.log(head))
    path = here.root / "config" / "config_defaults.yaml"
    text = path.read_text()
    path.write_text(text.replace("  epochs: ", "  epochs: 7"))
    assert path.read_text() != text
    said = here.wait(head)
    assert said.rstrip().endswith("snakejob: finished"), said + here.job_logs()


def test_two_head_jobs_at_once(clone: Callable[..., Clone]) -> None:
    here = clone()
    head = here.submit(*TO_TRAINING, **LONG)
    here.until(lambda: (here.root / ".snakemake" / "head-job").exists())
    second = here.submit(*TO_TRAINING, **LONG)
    said = here.wait(second)
    assert said.splitlines()[-1] == (
        f"snakejob: job {head} is already at work in {here.root}; wait for it, or end it with: scancel {head}"
    )
    assert head in here.cluster.jobs()
    here.cluster.run("scancel", head)
    here.wait(head)
    assert not (here.root / ".snakemake" / "head-job").exists()


def test_a_local_snakemake_holds_the_folder(clone: Callable[..., Clone]) -> None:
    here = clone()
    lock = here.root / ".snakemake" / "locks" / "0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    note = here.root / ".snakemake" / "calls" / "0.json"
    note.parent.mkdir()
    elsewhere = {"process": 7, "machine": "elsewhere", "kernel": "x", "since": "now", "command": "snakemake"}
    note.write_text(json.dumps({**elsewhere, "locks": []}))
    said = here.wait(here.submit(*TO_TRAINING, **LONG))
    assert "another call is at work in this folder: process 7 on elsewhere" in said
    assert "locked by a Snakemake that no head job started" in said
    assert lock.exists() and not here.results.exists()


def test_a_full_partition(clone: Callable[..., Clone]) -> None:
    """Jobs wait until there is room; nothing is given up."""
    here = clone()
    head = here.submit(*TO_TRAINING, **{**LONG, "training": "{epochs: 2, batch_size: 8}"})
    blockers = [
        here.cluster.run("sbatch", "--parsable", "--partition=urgent", f"--nodelist={node}", "--cpus-per-task=3",
                         "--mem=3000", "--output=/dev/null", "--wrap", "sleep 600").strip()
        for node in ("n1", "n2")
    ]  # fmt: skip
    here.until(lambda: "submitted with SLURM jobid" in here.log(head))
    here.until(lambda: "PENDING" in here.cluster.jobs().values())
    time.sleep(20)
    assert "PENDING" in here.cluster.jobs().values() and head in here.cluster.jobs()
    here.cluster.run("scancel", *blockers)
    said = here.wait(head)
    assert said.rstrip().endswith("snakejob: finished"), said


def test_a_training_that_is_preempted(clone: Callable[..., Clone]) -> None:
    """A job of a partition that goes first takes its node; SLURM puts it back into the queue, and it goes on."""
    here = clone()
    head = here.submit(*TO_TRAINING, before=("--partition=urgent",), **LONG)
    job = in_the_middle(here, head)
    node = here.cluster.show(job)["NodeList"]
    urgent = here.cluster.run(
        "sbatch", "--parsable", "--partition=urgent", f"--nodelist={node}", "--cpus-per-task=3", "--mem=100",
        "--output=/dev/null", "--wrap", "sleep 25",
    ).strip()  # fmt: skip
    here.until(lambda: here.cluster.show(job)["Restarts"] == "1")
    said = here.wait(head)
    assert said.rstrip().endswith("snakejob: finished"), said
    assert urgent not in here.cluster.jobs()
    assert "asked to stop; saved after" in here.job_logs()
    assert "resuming from" in here.training_log()
    check_trained(here)


def test_the_end_of_the_head_jobs_time(clone: Callable[..., Clone]) -> None:
    """Told so by SLURM, it puts itself back into the queue and goes on."""
    here = clone()
    head = here.submit(*TO_TRAINING, **LONG)
    in_the_middle(here, head)
    here.cluster.run("scancel", "--signal=USR1", "--batch", head)
    here.until(lambda: "it continues when it starts again" in here.log(head))
    said = here.wait(head)
    assert said.rstrip().endswith("snakejob: finished"), said
    assert here.cluster.show(head)["Restarts"] == "1"
    check_trained(here)


def test_names_of_jobs_are_of_the_folder(clone: Callable[..., Clone]) -> None:
    """Jobs of another folder are none of its business."""
    one, other = clone(), clone()
    assert job_prefix(one.root) != job_prefix(other.root)
    head = one.submit(*TO_TRAINING, **LONG)
    job = in_the_middle(one, head)
    said = other.wait(other.submit("--dry-run"))
    assert said.rstrip().endswith("snakejob: finished")
    assert job in one.training_jobs()
