"""This machine: interpreter, packages, accelerators, configuration and folders.

Each check returns what it found, or raises an InputError that says what to do.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dynvision.doctor.check import Check
from dynvision.errors import InputError
from dynvision.files import check_writable
from dynvision.gpus import visible_gpus

SHOWN = ("torch", "pytorch-lightning", "snakemake", "pandas")
TORCH_S = 120  # to be read from a slow disk, and to ask the driver
ROOM_MB = 2000


def machine_checks() -> list[Check]:
    """All of them."""
    return [
        Check("python", python),
        Check("packages", packages),
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


def ffcv() -> str:
    """FFCV's version; that it is absent is no fault."""
    version = _version("ffcv")
    return version or "not installed: images are read with the torch loader, which gives the same results"


def gpus() -> str:
    """What the driver lists, torch can use."""
    listed = visible_gpus()
    if not listed:
        return "none: computing on the CPU"
    code = "import torch; print(torch.cuda.device_count(), torch.__version__)"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=TORCH_S)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"PyTorch did not say within {TORCH_S} s which GPUs it can use; see what ails the driver"
        ) from None
    counted, _, version = done.stdout.strip().partition(" ")
    if counted != str(len(listed)):
        raise InputError(
            f"{len(listed)} are listed by nvidia-smi, but PyTorch {version} can use {counted or 'none'}; install a build "
            "of PyTorch for GPUs that fits the driver: make clean install TORCH_BUILD=gpu"
        )
    return f"{counted}, usable by PyTorch {version}"


def configuration() -> str:
    """The configuration files make a plan."""
    from dynvision.runs import plan_workflow

    plan = plan_workflow("config", {})
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
