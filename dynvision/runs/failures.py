"""What went wrong in the jobs of a workflow."""

from __future__ import annotations

from pathlib import Path


def failures(results: str | Path, since: float) -> list[str]:
    """What went wrong in jobs: the sentences with which commands ended that could not do what they should.

    Args:
        results: the results folder.
        since: time in s since the epoch; logs that were written before are passed over.
    """
    logs = [path for path in Path(results, "logs").rglob("*.log") if path.stat().st_mtime >= since]
    last = [path.read_text(encoding="utf-8", errors="replace").splitlines()[-1:] for path in sorted(logs)]
    return [line for lines in last for line in lines if line.startswith("dynvision ")]
