"""A quiet trainer and some images, for the examples of the pages that train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset


@pytest.fixture
def quick_trainer(tmp_path: Path) -> pl.Trainer:
    """Two training batches, one validation batch, on the CPU."""
    return pl.Trainer(
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=1,
        accelerator="cpu",
        logger=CSVLogger(tmp_path),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@pytest.fixture
def loader() -> Callable[..., DataLoader]:
    """Makes a loader of random images with random labels."""

    def make(shape: tuple[int, int, int], n_classes: int = 10, n_images: int = 8) -> DataLoader:
        torch.manual_seed(0)
        images, labels = torch.randn(n_images, *shape), torch.randint(0, n_classes, (n_images,))
        return DataLoader(TensorDataset(images, labels), batch_size=4)

    return make
