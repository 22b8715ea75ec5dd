"""The weights of a run after some epoch of its training, from the checkpoints that it kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dynvision.config.checkpoint_files import LAST
from dynvision.errors import InputError


def checkpoint_weights(folder: Path, epoch: int, run_id: str) -> tuple[dict[str, Tensor], Path]:
    """Weights at the end of an epoch, and the file that they are from.

    Args:
        folder: the run's ``checkpoints/``.
        epoch: the epoch, counted from 1.
        run_id: the run that the checkpoint has to be of.

    Raises:
        InputError: the run kept no checkpoint of that epoch, or its file is damaged or of another run.
    """
    found: dict[int, Path] = {}
    for path in sorted(
        set(folder.glob("*.ckpt")) - {folder / LAST}
    ):  # that one may be of the middle of an epoch
        found.setdefault(int(_read(path)["epoch"]) + 1, path)  # Lightning counts from 0
    if epoch not in found:
        kept = ", ".join(str(number) for number in sorted(found)) or "none"
        raise InputError(
            f"run {run_id} kept no checkpoint of epoch {epoch} in {folder} (epochs kept: {kept}); set "
            "execution.checkpoint_every to keep one every so many epochs and train again, or change the values"
        )
    content = _read(found[epoch])
    owner = content.get("dynvision", {}).get("run_id", run_id)
    if owner != run_id:
        raise InputError(f"checkpoint {found[epoch]} is of run {owner}, not of {run_id}")
    return content["state_dict"], found[epoch]


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        content["epoch"], content["state_dict"]
    except Exception as error:  # torch raises many kinds for a damaged file; all mean the same to the user
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(f"checkpoint {path} cannot be read ({reason}); delete it and train again") from None
    return content
