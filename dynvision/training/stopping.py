"""Stopping early, also where the training that goes on from a checkpoint had just been stopped."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping

from dynvision.config.training import TrainingConfig

MODES = {"val_loss": "min", "val_accuracy": "max"}  # which of two values of `best_by` is the better one


class Patience(EarlyStopping):
    """Stops when the validation has not become better for a number of epochs."""

    def __init__(self, training: TrainingConfig) -> None:
        super().__init__(
            monitor=training.best_by,
            mode=MODES[training.best_by],
            patience=training.early_stopping_patience,
            min_delta=training.early_stopping_min_delta,
        )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A training that was killed between its decision to stop and its end must not go on for another epoch."""
        trainer.should_stop = self.wait_count >= self.patience
