"""A cluster: SLURM, what the site file names, and a small job that looks around on a compute node.

Each check returns what it found, or raises an InputError that states what to do.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from dynvision.cluster import queue
from dynvision.cluster.machine import ANSWER, QUESTION, Check
from dynvision.cluster.settings import SITE_FILE, SiteConfig, read_site
from dynvision.errors import InputError
from dynvision.files import write_text
from dynvision.resources import IMAGE

LOGS = Path("logs/slurm")
SKEW_S = 5.0


def site_checks(wait_s: float) -> list[Check]:
    """All of them; those that ask the same share the answer.

    Args:
        wait_s: how long the small job may take to begin and end.
    """
    site = cache(read_site)
    answer = cache(lambda: ask_a_node(site(), wait_s))

    def of_site(look: Callable[[SiteConfig], str]) -> Callable[[], str]:
        return lambda: look(site())

    return [
        Check("site file", lambda: f"{SITE_FILE} is valid, environment {site().environment}"),
        Check("SLURM", slurm),
        Check("partitions", of_site(partitions)),
        Check("account", of_site(account)),
        Check("ended jobs", of_site(ended_jobs)),
        Check("head job", of_site(head_job)),
        Check("a compute node", lambda: compute_node(answer())),
        Check("environment there", lambda: environment_there(answer())),
        Check("GPU there", lambda: gpu_there(answer(), site())),
        Check("shared folder", lambda: shared_folder(answer())),
    ]


def slurm() -> str:
    """SLURM answers: its version and the number of nodes."""
    version = queue.ask("sbatch", "--version").strip()
    states = queue.ask("sinfo", "--noheader", "--Node", "--format", "%N %t").splitlines()
    return f"{version}, {len({line.split()[0] for line in states})} nodes"


def partitions(site: SiteConfig) -> str:
    """Those of the site file exist, are up, and allow jobs of the longest time."""
    lines = queue.ask("sinfo", "--noheader", "--format", "%R %a %l").splitlines()
    known = {name: (state, limit) for name, state, limit in (line.split() for line in lines)}
    named = [name for name in (site.partition, site.gpu_partition) if name]
    for name in named:
        if name not in known:
            raise InputError(
                f"{SITE_FILE}: there is no partition {name!r}; known: {', '.join(sorted(known))}"
            )
        state, limit = known[name]
        if state != "up":
            raise InputError(f"partition {name} is {state}; wait, or name another in {SITE_FILE}")
        if _minutes(limit) < site.max_runtime:
            raise InputError(
                f"partition {name} allows jobs of {limit}, less than max_runtime: {site.max_runtime} min; lower it in "
                f"{SITE_FILE}"
            )
    return f"{', '.join(named)} up" if named else "the cluster's default"


def account(site: SiteConfig) -> str:
    """The account of the site file is one of the user's, where the cluster keeps accounts."""
    if not queue.keeps_accounts():
        return "this cluster keeps no accounts" + (f", {site.account} is passed on" if site.account else "")
    format = ("--noheader", "--parsable2", "format=account")
    mine = {*queue.ask("sacctmgr", "show", "associations", f"user={_user()}", *format).split()}
    if site.account and site.account not in mine:
        raise InputError(
            f"{SITE_FILE}: account {site.account!r} is none of yours; yours: {', '.join(sorted(mine)) or 'none'}"
        )
    return site.account or f"the default of {', '.join(sorted(mine))}"


def ended_jobs(site: SiteConfig) -> str:
    """SLURM remembers a job that has ended for long enough to be asked about it."""
    if queue.keeps_accounts():
        return "asked for with sacct"
    for line in queue.ask("scontrol", "show", "config").splitlines():
        if line.startswith("MinJobAge"):
            age = int(line.partition("=")[2].split()[0])
            if age < 3 * site.poll_s:
                raise InputError(
                    f"SLURM forgets a job {age} s after its end, and keeps no accounts; set poll_s: {age // 3} or less in "
                    f"{SITE_FILE}"
                )
            return f"asked for with squeue, which knows them for {age} s"
    raise InputError(
        "scontrol does not state how long ended jobs are known (MinJobAge); ask the cluster's support"
    )


def head_job(site: SiteConfig) -> str:
    """What `sbatch cluster/snakejob.sh` needs."""
    if not LOGS.is_dir():
        raise InputError(f"the folder {LOGS} is missing, and SLURM would not make it; run: mkdir -p {LOGS}")
    if site.image is not None and not site.image.exists():
        raise InputError(
            f"there is no image {site.image}; build it with: apptainer build {site.image} cluster/dynvision.def"
        )
    if site.image is None and not Path(site.environment, "bin", "python").exists():
        raise InputError(
            f"no Python in {site.environment}; run make install, or set environment in {SITE_FILE}"
        )
    return "can be submitted: sbatch cluster/snakejob.sh"


def ask_a_node(site: SiteConfig, wait_s: float) -> dict[str, Any]:
    """Run ``dynvision doctor --node`` as a job, and read what it answers.

    Raises:
        InputError: it cannot be submitted, does not begin in time, or does not answer.
    """
    head_job(site)
    folder = LOGS / f"doctor-{secrets.token_hex(4)}"
    token = secrets.token_hex(16)
    write_text(folder / QUESTION, token)
    try:
        job = queue.ask(*_submission(site, folder)).strip().partition(";")[0]
        state = _wait_for_end(job, wait_s)
        if not _appears(folder / ANSWER):
            printed = (
                " ".join((folder / "log").read_text().split()[-30:])
                if (folder / "log").exists()
                else "nothing"
            )
            raise InputError(f"job {job} ended as {state} without an answer; it printed: {printed}")
        return {**json.loads((folder / ANSWER).read_text()), "token": token}
    finally:
        shutil.rmtree(folder)


def _submission(site: SiteConfig, folder: Path) -> list[str]:
    partition = (site.gpu_partition if site.gpus else "") or site.partition
    options = {
        "partition": partition,
        "account": site.account,
        "qos": site.qos,
        "constraint": site.constraint,
    }
    given = [f"--{name}={value}" for name, value in options.items() if value]
    if site.gpus:
        given.append(f"--gpus={site.gpu_type}:1" if site.gpu_type else "--gpus=1")
    if site.image is None:
        command = str(Path(site.environment, "bin", "dynvision").absolute())
    else:
        command = f"{IMAGE}={shlex.quote(str(site.image))} {shlex.quote(str(Path('cluster/bin/dynvision').absolute()))}"
    script = f"{site.setup}\n{command} doctor --node {shlex.quote(str(folder))}"
    size = ("--ntasks=1", "--cpus-per-task=1", "--mem=2000", "--time=5", "--job-name=dv-doctor")
    return ["sbatch", "--parsable", *size, *given, f"--output={folder}/log", "--wrap", script]


def _wait_for_end(job: str, wait_s: float) -> str:
    end = time.monotonic() + wait_s
    while True:
        state, reason = queue.state(job)
        if state not in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING"):
            return state
        if time.monotonic() > end:
            queue.ask("scancel", "--quiet", job)
            raise InputError(
                f"job {job} is {state} ({reason}) after {wait_s:.0f} s and was cancelled; try again later, or with a "
                "longer --wait"
            )
        time.sleep(1)


def _appears(path: Path, within_s: float = 30) -> bool:
    """Whether a file of another node shows up; network file systems may take some seconds."""
    end = time.monotonic() + within_s
    while not path.exists():
        if time.monotonic() > end:
            return False
        os.listdir(path.parent)  # makes some of them look again
        time.sleep(0.2)
    return True


def compute_node(answer: dict[str, Any]) -> str:
    """A small job was run and answered."""
    return f"{answer['host']} answered"


def environment_there(answer: dict[str, Any]) -> str:
    """The node can use the environment of the site file."""
    if answer["error"]:
        raise InputError(f"the environment cannot be used on {answer['host']}: {answer['error']}")
    return f"Python {answer['python']}, PyTorch {answer['torch']}, dynvision {answer['dynvision']}"


def gpu_there(answer: dict[str, Any], site: SiteConfig) -> str:
    """A job that asks for a GPU sees one."""
    if not site.gpus:
        return f"not asked for (gpus: false in {SITE_FILE})"
    if not answer["gpus"]:
        raise InputError(
            f"PyTorch sees no GPU on {answer['host']} in a job that asked for one (CUDA_VISIBLE_DEVICES="
            f"{answer['visible'] or ''}); set gpu_partition or gpu_type, or gpus: false, in {SITE_FILE}"
        )
    return f"{', '.join(answer['gpus'])}"


def shared_folder(answer: dict[str, Any]) -> str:
    """Node and this machine see the same files, and agree on the time."""
    if answer["read"] != answer["token"]:
        raise InputError(
            f"{answer['host']} does not see what is written here; put the repository on a file system that all nodes share"
        )
    skew = abs(answer["written_at"] - answer["its_time"])
    if skew > SKEW_S:
        raise InputError(
            f"the clock of {answer['host']} and that of the file system differ by {skew:.0f} s, which Snakemake takes for "
            "changed files; ask the cluster's support"
        )
    return f"{Path().absolute()} is written to and read on both sides"


def _minutes(limit: str) -> float:
    """A limit as sinfo prints it: infinite, or [days-][hours:]minutes:seconds."""
    if limit in ("infinite", "n/a"):
        return float("inf")
    days, _, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    hours, minutes, seconds = [0] * (3 - len(parts)) + parts
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name
