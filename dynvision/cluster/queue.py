"""What is asked of SLURM, each function one call of one of its commands; and why it ended a job, as the job's log shows."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dynvision.errors import InputError

TIMEOUT_S = 60


@dataclass(frozen=True)
class Job:
    """A job in the queue."""

    id: str
    state: str
    name: str


def ask(*command: str) -> str:
    """What a command of SLURM prints.

    Raises:
        InputError: it is not installed, does not answer or fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except FileNotFoundError:
        raise InputError(
            f"{command[0]} is not on the PATH; log in to a node of the cluster that can submit jobs"
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]} gave no answer in {TIMEOUT_S} s; try again later") from None
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise InputError(f"{' '.join(command[:2])} failed: {reason}")
    return done.stdout


def my_jobs() -> list[Job]:
    """All jobs of this user that are pending, running or ending."""
    lines = ask("squeue", "--noheader", "--user", str(os.getuid()), "--format", "%i %T %j").splitlines()
    return [Job(*line.split(maxsplit=2)) for line in lines if len(line.split(maxsplit=2)) == 3]


def cancel(jobs: list[Job]) -> None:
    """Cancel jobs; those that have ended in the meantime are no error."""
    if jobs:
        ask("scancel", "--quiet", *(job.id for job in jobs))


def requeue(job_id: str) -> None:
    """Put a running job back into the queue."""
    ask("scontrol", "requeue", job_id)


def keeps_accounts() -> bool:
    """Whether jobs are accounted for, so that `sacct` knows about those that have ended."""
    for line in ask("scontrol", "show", "config").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "AccountingStorageType":
            return not value.strip().endswith("none") and value.strip() != "(null)"
    return False


def state(job_id: str) -> tuple[str, str]:
    """State of a job and why it is in it; ENDED where the queue knows it no more."""
    lines = ask(
        "squeue", "--noheader", "--user", str(os.getuid()), "--states=all", "--format", "%i %T %r"
    ).splitlines()
    for line in lines:
        found, name, *reason = line.split(maxsplit=2)
        if found == job_id:
            return name, " ".join(reason)
    return "ENDED", ""


# What SLURM writes into the log of a job that it ends, and what can be done.
ENDINGS = {
    r"DUE TO TIME LIMIT": "was over its time; raise max_runtime in cluster/site.yaml",
    r"Exceeded job memory limit|memory limit|oom[-_ ]kill|Out Of Memory|OUT_OF_MEMORY": (
        "was over its memory; raise max_memory in cluster/site.yaml"
    ),
    r"DUE TO NODE FAILURE|NODE FAILURE": "lost its node",
    r"DUE TO PREEMPTION": "was preempted",
}


def reasons(logs: Path, since: float) -> list[str]:
    """A sentence for each job that the cluster ended.

    Args:
        logs: folder with the logs of jobs, one a job, named ``<job id>.log`` in a folder named after what it did.
        since: time in s since the epoch; logs that were written before are passed over.
    """
    sentences = []
    for path in sorted(logs.rglob("*.log")):
        if path.stat().st_mtime < since:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for pattern, sentence in ENDINGS.items():
            if re.search(pattern, text):
                sentences.append(f"job {path.stem} ({path.relative_to(logs).parent}) {sentence}")
                break
    return sentences
