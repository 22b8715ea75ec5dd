"""The test of a trained model."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from dynvision.base import BaseModel
from dynvision.data import DataModule


@torch.inference_mode()
def test_accuracy(model: BaseModel, data: DataModule, trainer: pl.Trainer) -> dict[str, Any]:
    """Accuracy on the test images: at the last step that is scored, and as the mean over all scored steps."""
    model.eval()
    device = model.device
    last, every, n_images = 0.0, 0.0, 0
    with trainer.strategy.precision_plugin.forward_context():
        for images, labels in data.test_dataloader():
            images = trainer.strategy.precision_plugin.convert_input(images.to(device))
            outputs = model.respond((images, labels.to(device)), shuffle=False)
            valid = outputs.labels != outputs.ignore_index
            correct = (outputs.logits.argmax(dim=-1) == outputs.labels) & valid
            final = valid.shape[1] - 1 - valid.flip(1).int().argmax(dim=1)
            last += float(correct.gather(1, final[:, None]).sum())
            every += float((correct.sum(dim=1) / valid.sum(dim=1).clamp_min(1)).sum())
            n_images += len(labels)
    return {
        "test_accuracy": last / n_images,
        "test_accuracy_over_time": every / n_images,
        "n_images": n_images,
    }
