"""With which software, from which state of the code, and when."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import dynvision

PACKAGES = (
    "torch", "pytorch-lightning", "ffcv", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "matplotlib",
    "seaborn", "pydantic", "safetensors", "snakemake", "jinja2",
)  # fmt: skip
GIT_SECONDS = 5


def software_versions() -> dict[str, str]:
    """Versions of Python, this package and what it builds on, as installed where the report is made."""
    versions = {"dynvision": dynvision.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def code_state() -> str:
    """The commit of the code, and whether files that are under version control were changed since."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "not under version control"
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"commit {commit}" + (", with changes that are not committed" if changed else "")


def report_date() -> str:
    """Now in UTC, or the time of SOURCE_DATE_EPOCH, which makes reports reproducible."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    utc = datetime.UTC
    moment = (
        datetime.datetime.fromtimestamp(int(epoch), utc) if epoch.isdigit() else datetime.datetime.now(utc)
    )
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _git(*arguments: str) -> str:
    """Output of a git command in the code's folder; empty where there is no git or no repository."""
    command = ["git", "-C", str(Path(dynvision.__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
