"""One head job a folder: a file that says which job works here, which no two jobs can hold at once.

The file is put in its place by linking, which fails if there is one, also on network file systems. The queue says whether
its holder is still there; the file of one that is not is renamed away by the first that finds it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from dynvision.errors import InputError

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
