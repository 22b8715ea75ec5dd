"""One GPU for each process where several share a machine: each takes a free one and holds it until it ends.

    snakemake -j 4                                    four jobs at a time: on a machine with four GPUs each has one
    snakemake -j 8 --config execution='{pack: 2}'     eight jobs at a time: each of the four GPUs has two

A process holds a GPU by a lock on a file with the GPU's name; the kernel releases the lock however the process ends. A GPU
without sharing is locked exclusively. A shared GPU is locked by several, each of which locks one of its places exclusively.
GPUs are named by their UUIDs, since two jobs of a scheduler may each have a GPU 0 of their own.
Nothing here imports torch: CUDA_VISIBLE_DEVICES must be set before that.
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
PROBE_S = 20.0  # a driver that is loaded for the first time takes some seconds


def visible_gpus() -> list[str]:
    """Return the UUIDs of the GPUs of this machine that this process may use; empty where there are none."""
    chosen = os.environ.get(VISIBLE)
    if chosen is not None and not re.match(r"\s*([+]?\d|GPU-|MIG-)", chosen):
        return []  # -1, an empty text, NoDevFiles: no GPU is to be used
    listed = _listed()
    return listed if chosen is None or not listed else _chosen(chosen, listed)


def _chosen(names: str, listed: list[str]) -> list[str]:
    """Return what CUDA makes of the variable: it stops at the first name that is no GPU, and a name given twice means none.

    Numbers and the beginnings of UUIDs are names. Parts of a GPU (MIG) are not listed, and taken as they are.

    Source: NVIDIA, CUDA C++ Programming Guide, sec. "CUDA Environment Variables".
    """
    gpus: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        number = re.match(r"\+?\d+", name)
        if number is not None:
            found = listed[int(number[0]) : int(number[0]) + 1]
        elif name.startswith("MIG-"):
            found = [name]
        else:
            found = [uuid for uuid in listed if name.startswith("GPU-") and uuid.startswith(name)]
        if len(found) != 1:
            break
        if found[0] in gpus:
            return []
        gpus += found
    return gpus


@contextlib.contextmanager
def hold_gpus(n: int, accelerator: str, share: int = 1) -> Iterator[list[str]]:
    """Hold n GPUs, and let this process and its children see no others.

    Waits until they are free. Does nothing where there are none, where none is to be used, or where the process is one
    of several that something else has started and given their GPUs.

    Args:
        n: how many.
        accelerator: as in ``execution.accelerator``.
        share: processes that may hold a GPU at the same time, if all of them share it; 1 holds it alone.

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
        held = _hold(n, gpus, share, stack)
        before = os.environ.get(VISIBLE)
        os.environ[VISIBLE] = ",".join(held)
        try:
            yield held
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def _hold(n: int, gpus: list[str], share: int, stack: contextlib.ExitStack) -> list[str]:
    """Lock n of the GPUs, all or none at a time, so that two that wait for two cannot hold one each."""
    has_printed = False
    while True:
        for place in range(share):  # the first place of every GPU before the second of any
            with contextlib.ExitStack() as attempt:
                held: list[str] = []
                for gpu in gpus:
                    if _lock(gpu, place if share > 1 else None, attempt):
                        held.append(gpu)
                    if len(held) == n:
                        stack.push(attempt.pop_all())
                        return held
        if not has_printed:
            print(f"waiting for a free GPU ({len(gpus)} are in use)", file=sys.stderr, flush=True)
            has_printed = True
        time.sleep(POLL_S)


def _lock(gpu: str, place: int | None, stack: contextlib.ExitStack) -> bool:
    """Lock a place of a GPU, or without one all of it; False where another holds it."""
    path = _folder() / re.sub(r"\W", "-", gpu)
    locks = [(path, fcntl.LOCK_EX)]
    if place is not None:
        locks = [(path, fcntl.LOCK_SH), (path.with_name(f"{path.name}.{place}"), fcntl.LOCK_EX)]
    with contextlib.ExitStack() as attempt:
        for file, kind in locks:
            try:
                fcntl.flock(attempt.enter_context(open(file, "a")), kind | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        stack.push(attempt.pop_all())
    return True


def _is_one_of_several() -> bool:
    """Return whether srun, torchrun or Lightning has started this process beside others."""
    return "LOCAL_RANK" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def _listed() -> list[str]:
    """Return the UUIDs of all GPUs, in the order of their numbers."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        asked = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return []
    try:
        listed, _ = asked.communicate(timeout=PROBE_S)
    except subprocess.TimeoutExpired:
        asked.kill()  # not waited for: what waits for a driver cannot be killed
        print(
            f"nvidia-smi did not answer within {PROBE_S:g} s, so no GPU is used; check the driver, or set "
            f"{VISIBLE} to nothing",
            file=sys.stderr,
            flush=True,
        )
        return []
    return listed.split() if asked.returncode == 0 else []


def _folder() -> Path:
    """Return the folder of the locks: on this machine, one for each user."""
    folder = Path(os.environ.get(LOCKS) or Path(tempfile.gettempdir(), f"dynvision-gpus-{os.getuid()}"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
