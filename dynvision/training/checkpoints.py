"""Checkpoints of a training: the best by validation, the last, and every n-th, each whole or absent."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from dynvision.config.training import BEST, LAST, epoch_file
from dynvision.errors import InputError
from dynvision.files import atomic_path
from dynvision.models.weights import why_unreadable
from dynvision.training.provenance import IMAGES
from dynvision.training.stopping import MODES


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the final name and renames. Lightning's own way goes by way of the folder for temporary files,
    from where the file is copied if that is another disk: a training killed in that moment leaves half a file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint, whole or not at all."""
        content = io.BytesIO()  # torch hides why it could not write to a file, e.g. that the disk is full
        torch.save(checkpoint, content)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getbuffer())


class MovableCheckpoint(ModelCheckpoint):
    """Goes on also where the results folder was moved in the meantime."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of a checkpoint, with its paths in the folder of today."""
        paths = {name: self._here(state_dict[name]) for name in state_dict if name.endswith("_path")}
        ranked = {self._here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": ranked, "dirpath": self.dirpath})

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else path


class NumberedCheckpoint(MovableCheckpoint):
    """Named after its epoch, counted from 1."""

    def format_checkpoint_name(
        self,
        metrics: dict[str, Any],
        filename: str | None = None,
        ver: int | None = None,
        prefix: str | None = None,
    ) -> str:
        """The path of the checkpoint of an epoch."""
        return str(Path(self.dirpath or "") / epoch_file(int(metrics["epoch"]) + 1))


def keep_best(folder: Path, best_by: str) -> ModelCheckpoint:
    """Keeps ``best.ckpt``; of equals the first."""
    return MovableCheckpoint(
        dirpath=folder,
        filename=Path(BEST).stem,
        monitor=best_by,
        mode=MODES[best_by],
        enable_version_counter=False,
    )


def keep_last(folder: Path) -> ModelCheckpoint:
    """Keeps ``last.ckpt``, of every epoch; ``ModelCheckpoint(save_last=True)`` leaves out those that are not the best."""
    return MovableCheckpoint(dirpath=folder, filename=Path(LAST).stem, enable_version_counter=False)


def keep_every(folder: Path, n_epochs: int) -> ModelCheckpoint:
    """Keeps ``epoch-0005.ckpt``, ``epoch-0010.ckpt``, ... for 5 epochs."""
    return NumberedCheckpoint(
        dirpath=folder, every_n_epochs=n_epochs, save_top_k=-1, enable_version_counter=False
    )


def last_checkpoint(folder: Path, run_id: str, images: str) -> Path | None:
    """The checkpoint to go on from, or None to begin.

    Checkpoints of a training on other images are removed, since images that are now for the test may have been trained on.

    Args:
        folder: of the checkpoints.
        run_id: the run.
        images: identity of its images.

    Raises:
        InputError: there is one that cannot be read, or that is of another run.
    """
    path = folder / LAST
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        known = content.get("dynvision", {})
        found, trained_on = known.get("run_id", "an unknown run"), known.get(IMAGES, images)
    except Exception as error:  # torch raises many kinds for a damaged file; all mean the same to the user
        reason = why_unreadable(path, error)
        raise InputError(
            f"checkpoint {path} cannot be read ({reason}); delete it to train from the start"
        ) from None
    if found != run_id:
        raise InputError(
            f"checkpoint {path} is of {found}, not of {run_id}; delete it to train from the start"
        )
    if trained_on != images:
        print(
            f"{run_id}: the images are others than when this training was stopped; it begins anew", flush=True
        )
        for checkpoint in folder.glob("*.ckpt"):
            checkpoint.unlink(missing_ok=True)
        return None
    return path
