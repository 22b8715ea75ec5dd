"""What weights on disk tell of themselves: the full configuration of their run, the version, and whose weights they are."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

import dynvision
from dynvision.config.run import RunConfig
from dynvision.config.yaml_text import to_yaml

IMAGES = "images"
AVERAGE, LAST = "moving average", "last update"


def kind_of_weights(run: RunConfig) -> str:
    """Whose weights are validated and kept: those of the last update, or their moving average."""
    return AVERAGE if run.training.ema_decay else LAST


def provenance(run: RunConfig) -> dict[str, str]:
    """What weights on disk are accompanied by."""
    return {
        "run_id": run.run_id,
        "config": to_yaml(run),
        "dynvision": dynvision.__version__,
        "weights": kind_of_weights(run),
    }


class Provenance(pl.Callback):
    """Writes it into every checkpoint, under the key ``dynvision``, with the identity of the images trained on."""

    def __init__(self, run: RunConfig, images: str) -> None:
        self._content = {**provenance(run), IMAGES: images}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["dynvision"] = self._content
