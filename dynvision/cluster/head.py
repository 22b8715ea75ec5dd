"""The head job: it calls Snakemake, which submits all other jobs, and leaves the queue in order however it ends.

    python -m dynvision.cluster.head <arguments of snakemake>

One head job works in a folder at a time: a file names it, and no two jobs can hold it at once. It is put in place by
linking, which fails if there is one, also on network file systems. The queue shows whether its holder is still there; the
file of one that is not is renamed away by the first that finds it. Jobs of a killed head job, known by their names,
are cancelled first, so that nothing runs twice at once; a training that is cancelled resumes from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dynvision.cluster import queue
from dynvision.cluster.machine import MODULES
from dynvision.cluster.queue import reasons
from dynvision.cluster.settings import SiteConfig, read_site, write_profile
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError, check_extra
from dynvision.resources import CONFIG, IMAGE, LAUNCHER
from dynvision.runs import CallFolder
from dynvision.runs.calls import end_with_parent

CLAIM = Path(".snakemake/head-job")


@contextlib.contextmanager
def claimed(job_id: str, is_there: Callable[[str], bool], path: Path = CLAIM) -> Iterator[bool]:
    """Hold the folder.

    Args:
        job_id: who asks.
        is_there: whether a job is in the queue, by its id.
        path: the file.

    Yields:
        Whether a head job was here that could not finish.

    Raises:
        InputError: another one is at work.
    """
    interrupted = False
    while not _link(job_id, path):
        holder = _read(path)
        if holder == job_id:  # this job, put back into the queue
            interrupted = True
            break
        if holder and is_there(holder):
            raise InputError(
                f"job {holder} is already at work in {path.absolute().parent.parent}; wait for it, or end it with: "
                f"scancel {holder}"
            )
        interrupted |= _remove_stale(holder, path, job_id)
    try:
        yield interrupted
    finally:
        if _read(path) == job_id:
            path.unlink(missing_ok=True)


def _link(job_id: str, path: Path) -> bool:
    """Put the file in its place; False if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"{path.name}.{job_id}")
    own.write_text(job_id)
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    finally:
        own.unlink()
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def _remove_stale(holder: str, path: Path, job_id: str) -> bool:
    """Take the file of a job that is gone away; one that has come there in the meantime is put back."""
    aside = path.with_name(f"{path.name}.stale-{job_id}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    try:
        if _read(aside) != holder:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
            return False
        return True
    finally:
        aside.unlink()


PROFILE, CONFIGURATION = Path(".snakemake/slurm-profile"), Path(".snakemake/slurm-config")
JOB_LOGS = Path("logs/slurm/jobs")
LOCKS, CALLS = Path(".snakemake/locks"), Path(".snakemake/calls")
GONE_S, STOP_S = 120, 4  # time that cancelled jobs have to end, and that Snakemake has
STOPPED, WOULD_GO_ON = 143, signal.SIGUSR1


def job_prefix(folder: Path) -> str:
    """What the names of all jobs of a folder begin with."""
    return f"dv-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def main(arguments: list[str]) -> int:
    """Run the workflow on the cluster; the exit status is Snakemake's."""
    try:
        job_id = os.environ.get("SLURM_JOB_ID", "")
        if not job_id:
            raise InputError(
                "this is the head job of the cluster; submit it with: sbatch cluster/snakejob.sh"
            )
        check_extra("workflow", "a head job", *MODULES)
        site = read_site()
        with claimed(job_id, _is_there) as interrupted, _signals() as received:
            return _work(arguments, site, job_id, interrupted, received)
    except InputError as error:
        log(str(error))
        return 2


def _work(arguments: list[str], site: SiteConfig, job_id: str, interrupted: bool, received: list[int]) -> int:
    prefix = job_prefix(Path.cwd())
    leftovers = _named(prefix)
    if leftovers:
        log(f"cancelling {len(leftovers)} jobs that an earlier head job left in the queue")
        clear_queue(prefix)
    accounts = "sacct" if queue.keeps_accounts() else "squeue"
    profile = write_profile(PROFILE, site, prefix, accounts)
    environment = {
        **os.environ,
        LAUNCHER: "srun",
        CONFIG: str(copy_configuration()),
        "SBATCH_OPEN_MODE": "append",  # a job that is queued again keeps what it has printed
        **_image(site),
    }
    if interrupted:
        remove_locks()
    for sentence in CallFolder().look_around():
        log(sentence)
    if LOCKS.is_dir() and any(LOCKS.iterdir()):
        raise InputError(
            "the folder is locked by a Snakemake that no head job started; wait for it, or if its machine is gone, "
            "remove the lock with: snakemake --unlock"
        )
    started = time.time()
    status = 0
    if not received:
        status = _run_snakemake(
            ["--workflow-profile", str(profile), *arguments], environment, prefix, received
        )
    if received:
        return _stopped(received[0], job_id)
    clear_queue(prefix)
    if status:
        for sentence in reasons(JOB_LOGS, started):
            log(sentence)
    log("finished" if status == 0 else "not finished; submit it again to repeat only what is missing")
    return status


def log(text: str) -> None:
    """A line in the log of the head job."""
    print(f"snakejob: {text}", file=sys.stderr, flush=True)


def clear_queue(prefix: str) -> None:
    """Cancel all jobs whose names begin so, and wait until they are gone.

    Raises:
        InputError: some are still there after a while.
    """
    end = time.monotonic() + GONE_S
    while jobs := _named(prefix):
        if time.monotonic() > end:
            raise InputError(
                f"jobs do not end: {', '.join(job.id for job in jobs)}; ask the cluster's support"
            )
        queue.cancel([job for job in jobs if job.state != "COMPLETING"])
        time.sleep(1)


def _named(prefix: str) -> list[queue.Job]:
    return [job for job in queue.my_jobs() if job.name.startswith(f"{prefix}_")]


def _is_there(job_id: str) -> bool:
    return any(job.id == job_id for job in queue.my_jobs())


def _image(site: SiteConfig) -> dict[str, str]:
    """What makes commands run in an image, where the site has one."""
    if site.image is None:
        return {}
    bind = ",".join(filter(None, [*site.bind, os.environ.get("APPTAINER_BIND", "")]))
    return {IMAGE: str(site.image), **({"APPTAINER_BIND": bind} if bind else {})}


def copy_configuration() -> Path:
    """Copy the configuration, so that editing it changes nothing for jobs that are submitted later."""
    for path in Path("config").rglob("*.yaml"):
        read_yaml(path)  # what cannot be read is stated with the name that the user knows
    shutil.rmtree(CONFIGURATION, ignore_errors=True)
    shutil.copytree("config", CONFIGURATION)
    return CONFIGURATION


def remove_locks() -> None:
    """Remove what Snakemake has locked. Only for who holds the folder, and once its Snakemake is gone."""
    for path in LOCKS.glob("*.lock"):
        path.unlink(missing_ok=True)
    for path in CALLS.glob("*.json"):
        if str(PROFILE) in path.read_text():  # it was a head job that called
            for note in (*CALLS.glob(f"{path.stem}.*.lock"), path):
                note.unlink()


def _run_snakemake(
    arguments: list[str], environment: dict[str, str], prefix: str, received: list[int]
) -> int:
    """Run Snakemake to its end; after a signal to this process, end it and its jobs at once.

    SLURM gives a job that it ends some seconds; Snakemake, which may be asleep until its next look at the queue, is not
    waited for any longer than that.
    """
    command = [sys.executable, "-m", "snakemake", *arguments]
    # In a session of its own, so that only what is meant for it reaches it, and never longer alive than this process.
    child = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=end_with_parent)
    while (status := child.poll()) is None and not received:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.5)
    if status is None:
        child.send_signal(signal.SIGINT)
        queue.cancel(_named(prefix))
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_S)
        child.kill()
        child.wait()
        queue.cancel(_named(prefix))  # what it may still have submitted
        remove_locks()
    return child.returncode


def _stopped(number: int, job_id: str) -> int:
    if number == WOULD_GO_ON:
        log("this job is at the end of its time; it continues when it starts again")
        queue.requeue(job_id)
    else:
        log("stopped, and its jobs are cancelled; submit it again to resume")
    return STOPPED


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals to stop that have come."""
    received: list[int] = []

    def stop(number: int, frame: Any) -> None:
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop)
    yield received


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
