"""Checks of this machine, and what a compute node answers: interpreter, packages, accelerators, configuration and folders.

Each check returns what it found, or raises an InputError that states what to do.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynvision.errors import InputError, check_extra
from dynvision.files import check_writable, write_text
from dynvision.gpus import visible_gpus
from dynvision.resources import config_folder

SHOWN = ("torch", "pytorch-lightning", "pandas")
WORKFLOW = ("snakemake", "snakemake-executor-plugin-slurm")
MODULES = tuple(name.replace("-", "_") for name in WORKFLOW)
TORCH_S = 120  # to be read from a slow disk, and to ask the driver
ROOM_MB = 2000
QUESTION, ANSWER = "question", "answer.json"


@dataclass(frozen=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[], str]


def run_checks(checks: Sequence[Check]) -> int:
    """Print a line for each; the number of those that failed."""
    width = max(len(check.name) for check in checks)
    failed = 0
    for check in checks:
        try:
            state, found = "ok  ", check.look()
        except InputError as error:
            state, found = "FAIL", str(error)
            failed += 1
        print(f"{state}  {check.name:<{width}}  {found}", flush=True)
    return failed


def machine_checks() -> list[Check]:
    """All of them."""
    return [
        Check("python", python),
        Check("packages", packages),
        Check("workflow", workflow),
        Check("FFCV", ffcv),
        Check("GPUs", gpus),
        Check("configuration", configuration),
        Check("folders", folders),
    ]


def python() -> str:
    """The interpreter and its environment."""
    return f"{sys.version.split()[0]} in {sys.prefix}"


def packages() -> str:
    """Everything that this package requires is installed."""
    missing = [name for name in required() if not _version(name)]
    if missing:
        raise InputError(f"not installed: {', '.join(missing)}; run make install, or pip install -e .")
    return ", ".join(f"{name} {_version(name)}" for name in SHOWN)


def required() -> list[str]:
    """Names of the distributions that are always needed."""
    if not _version("dynvision"):
        raise InputError("dynvision itself is not installed here; run make install, or pip install -e .")
    lines = importlib.metadata.requires("dynvision") or []
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line]


def workflow() -> str:
    """Snakemake and its plugin for SLURM; that they are absent is no fault, except on a cluster."""
    if not all(map(_version, WORKFLOW)):
        return (
            "not installed: commands are called one by one; for all of it: pip install 'dynvision[workflow]'"
        )
    return ", ".join(f"{name} {_version(name)}" for name in WORKFLOW)


def ffcv() -> str:
    """FFCV's version; that it is absent is no fault."""
    version = _version("ffcv")
    return version or "not installed: images are read with the torch loader, which gives the same results"


def gpus() -> str:
    """What the driver lists, torch can use."""
    listed = visible_gpus()
    if not listed:
        return "none: computing on the CPU"
    counted, _, version = ask_torch("print(torch.cuda.device_count(), torch.__version__)").partition(" ")
    if counted != str(len(listed)):
        raise InputError(
            f"{len(listed)} are listed by nvidia-smi, but PyTorch {version} can use {counted or 'none'}; install a build "
            "of PyTorch for GPUs that fits the driver: make clean install TORCH_BUILD=gpu"
        )
    return f"{counted}, usable by PyTorch {version}"


def ask_torch(code: str) -> str:
    """Return what code prints in another process: a driver that does not answer blocks whoever asks it for good.

    Raises:
        InputError: there is no answer in time.
    """
    command = [sys.executable, "-c", f"import torch; {code}"]
    asked = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        answer, _ = asked.communicate(timeout=TORCH_S)
    except subprocess.TimeoutExpired:
        asked.kill()  # not waited for: what waits for a driver cannot be killed
        raise InputError(
            f"PyTorch did not state within {TORCH_S} s which GPUs it can use; check the driver with nvidia-smi"
        ) from None
    return answer.strip()


def configuration() -> str:
    """The configuration files make a plan."""
    from dynvision.runs import plan_workflow

    plan = plan_workflow(config_folder(), {})
    return f"valid: {len(plan.runs)} runs, experiments {', '.join(plan.experiments)}"


def folders() -> str:
    """The working directory can be written to and has room."""
    check_writable(Path())
    free = shutil.disk_usage(Path()).free / 1e6
    if free < ROOM_MB:
        raise InputError(f"{Path().absolute()} has {free:.0f} MB left; make room for {ROOM_MB} MB at least")
    return f"{Path().absolute()} can be written to, {free / 1000:.0f} GB free"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def look_around(folder: Path) -> None:
    """Answer the question in a folder."""
    mark = folder / "mark"
    mark.touch()
    found: dict[str, Any] = {
        "host": socket.gethostname(),
        "read": _read(folder / QUESTION),
        "its_time": time.time(),
        "written_at": mark.stat().st_mtime,
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "python": sys.version.split()[0],
        "error": "",
        **_libraries(),
    }
    write_text(folder / ANSWER, json.dumps(found))


def _libraries() -> dict[str, Any]:
    import dynvision

    try:
        import pytorch_lightning  # noqa: F401
        import torch

        check_extra("workflow", "the head job", *MODULES)
    except (ImportError, OSError, InputError) as error:  # a library that is absent, or of another system
        return {"error": str(error).splitlines()[0], "gpus": []}
    found = {"torch": torch.__version__, "dynvision": dynvision.__version__, "gpus": []}
    try:
        names = ask_torch("[print(torch.cuda.get_device_name(k)) for k in range(torch.cuda.device_count())]")
    except InputError as error:
        return {**found, "error": str(error)}
    return {**found, "gpus": names.splitlines()}


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
