"""The test of a trained model."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from dynvision.base import BaseModel
from dynvision.base.monitoring import NotFinite
from dynvision.data import DataModule


@torch.inference_mode()
def test_accuracy(model: BaseModel, data: DataModule, trainer: pl.Trainer) -> dict[str, Any]:
    """Accuracy on the test images: at the last step that is scored, and as the mean over all scored steps."""
    model.eval()
    device = model.device
    last, every, n_images, not_finite = 0.0, 0.0, 0, NotFinite()
    with trainer.strategy.precision_plugin.forward_context():
        for images, labels in data.test_dataloader():
            images = trainer.strategy.precision_plugin.convert_input(images.to(device))
            batch = images, labels.to(device)
            outputs = model.respond(batch, shuffle=False)
            not_finite(model, batch, outputs.finite)
            valid, correct = outputs.scored, outputs.correct
            final = valid.shape[1] - 1 - valid.flip(1).int().argmax(dim=1)
            last += float(correct.gather(1, final[:, None]).sum())
            every += float((correct.sum(dim=1) / valid.sum(dim=1).clamp_min(1)).sum())
            n_images += len(labels)
    not_finite.warn("test")
    return {
        "test_accuracy": last / n_images,
        "test_accuracy_over_time": every / n_images,
        "n_images": n_images,
    }
