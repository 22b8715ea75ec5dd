"""The state of torch's random numbers travels in the checkpoint, so that noise goes on where a training stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch


class RandomState(pl.Callback):
    """Saves the generators with every checkpoint, and sets them when a training goes on from one."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._loaded is not None:
            torch.set_rng_state(self._loaded["cpu"].cpu())
            if len(self._loaded["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all([state.cpu() for state in self._loaded["cuda"]])
        if trainer.global_rank:  # the checkpoint is of the first process; each has a noise of its own
            drawn = [int(torch.randint(2**31, ())), trainer.global_rank]
            torch.manual_seed(int(np.random.SeedSequence(drawn).generate_state(1)[0]))
