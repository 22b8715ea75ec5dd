"""GPUs that are not there: a program called nvidia-smi lists them; torch finds none, and computes on the CPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dynvision.gpus import LOCKS, VISIBLE


def pretend_gpus(n: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretend that there are so many, and return their names.

    Args:
        n: how many.
        folder: receives the program and the locks.
        monkeypatch: of the test.
    """
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv(LOCKS, str(folder / "locks"))
    if str(folder) not in os.environ["PATH"].split(os.pathsep):
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    names = [f"GPU-{number:04}" for number in range(n)]
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '%s\\n' " + " ".join(names) + "\n")
    program.chmod(0o755)
    return names
