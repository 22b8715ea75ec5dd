"""What went wrong in the jobs of a workflow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def failures(folders: Iterable[str | Path], since: float) -> list[str]:
    """What went wrong in jobs: the sentences with which commands ended that could not do what they should.

    Args:
        folders: the results folder, and that of the study.
        since: time in s since the epoch; logs that were written before are passed over.
    """
    found = (path for folder in folders for path in Path(folder, "logs").rglob("*.log"))
    logs = [path for path in found if path.stat().st_mtime >= since]
    last = [path.read_text(encoding="utf-8", errors="replace").splitlines()[-1:] for path in sorted(logs)]
    return [line for lines in last for line in lines if line.startswith("dynvision ")]
