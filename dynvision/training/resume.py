"""Where a training stopped: the last checkpoint, if it is whole and of this run."""

from __future__ import annotations

from pathlib import Path

import torch

from dynvision.errors import InputError


def last_checkpoint(folder: Path, run_id: str) -> Path | None:
    """The checkpoint to go on from, or None to begin.

    Raises:
        InputError: there is one that cannot be read, or that is of another run.
    """
    path = folder / "last.ckpt"
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        states = [state for state in content["callbacks"].values() if "run_id" in state]
    except Exception as error:  # torch raises many kinds for a damaged file; all mean the same to the user
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"checkpoint {path} cannot be read ({reason}); delete it to train from the start") from None
    found = states[0]["run_id"] if states else "an unknown run"
    if found != run_id:
        raise InputError(f"checkpoint {path} is of {found}, not of {run_id}; delete it to train from the start")
    return path
