"""One GPU a process, where several processes share a machine: each takes one that no other holds, and keeps it to its end.

    snakemake -j 4        four jobs at a time: on a machine with four GPUs each has one

A GPU is held by a lock on a file named after it, which the kernel lets go however the process ends. GPUs are known by their
UUIDs, so that two jobs of a scheduler, which each call their own GPU 0, are not in each other's way. Nothing here imports
torch: CUDA_VISIBLE_DEVICES must be set before that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dynvision.errors import InputError

VISIBLE, LOCKS = "CUDA_VISIBLE_DEVICES", "DYNVISION_GPU_LOCKS"
POLL_S = 0.2


def visible_gpus() -> list[str]:
    """UUIDs of the GPUs of this machine that this process may use; empty where there are none."""
    listed = _listed()
    chosen = os.environ.get(VISIBLE)
    if chosen is None:
        return listed
    gpus = []
    for name in filter(None, (part.strip() for part in chosen.split(","))):
        if name.isdigit():
            if int(name) >= len(listed):  # CUDA, too, stops at the first that is not there
                break
            gpus.append(listed[int(name)])
        else:
            gpus += [uuid for uuid in listed if uuid.startswith(name)] or [name]
    return gpus if listed else []


@contextlib.contextmanager
def hold_gpus(n: int, accelerator: str) -> Iterator[list[str]]:
    """Hold n GPUs, and let this process and its children see no others.

    Waits until they are free. Does nothing where there are none, where none is to be used, or where the process is one
    of several that something else has started and given their GPUs.

    Args:
        n: how many.
        accelerator: as in ``execution.accelerator``.

    Yields:
        Their UUIDs; empty where nothing is held.

    Raises:
        InputError: there are fewer.
    """
    gpus = [] if accelerator == "cpu" or _is_one_of_several() else visible_gpus()
    if not gpus:
        yield []
        return
    if n > len(gpus):
        raise InputError(f"execution.devices={n}, but there are {len(gpus)} GPUs to use here; lower it")
    with contextlib.ExitStack() as stack:
        held = _hold(n, gpus, stack)
        before = os.environ.get(VISIBLE)
        os.environ[VISIBLE] = ",".join(held)
        try:
            yield held
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def _hold(n: int, gpus: list[str], stack: contextlib.ExitStack) -> list[str]:
    """Lock n of the GPUs, all or none at a time, so that two that wait for two cannot hold one each."""
    folder = _folder()
    said = False
    while True:
        with contextlib.ExitStack() as attempt:
            held = []
            for gpu in gpus:
                file = attempt.enter_context(open(folder / re.sub(r"\W", "-", gpu), "a"))
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held.append(gpu)
                if len(held) == n:
                    stack.push(attempt.pop_all())
                    return held
        if not said:
            print(f"waiting for a free GPU ({len(gpus)} are in use)", file=sys.stderr, flush=True)
            said = True
        time.sleep(POLL_S)


def _is_one_of_several() -> bool:
    """Whether srun, torchrun or Lightning has started this process beside others."""
    return "LOCAL_RANK" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def _listed() -> list[str]:
    """UUIDs of all GPUs, in the order of their numbers."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=60)
    return done.stdout.split() if done.returncode == 0 else []


def _folder() -> Path:
    """Where the locks are: on this machine, one folder a user."""
    folder = Path(os.environ.get(LOCKS) or Path(tempfile.gettempdir(), f"dynvision-gpus-{os.getuid()}"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
