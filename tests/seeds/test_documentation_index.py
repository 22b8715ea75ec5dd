"""The code of the page "DynVision Documentation", as it stands there; what had to be adapted says so."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image


def test_data_preparation(tmp_path):
    from dynvision.data import get_dataset

    path = tmp_path / "data"  # on the page: path/to/data
    for label, name in enumerate(("cat", "dog")):
        (path / name).mkdir(parents=True)
        Image.fromarray(np.full((32, 32, 3), 100 * label, np.uint8)).save(path / name / "1.png")

    # Load dataset
    dataset = get_dataset(path=path, data_transform="cifar10_train")

    image, label = dataset[1]
    assert (len(dataset), image.shape, label) == (2, (3, 32, 32), 1)


def test_model_creation_and_training(loader):
    from dynvision.models import DyRCNNx4

    # Initialize model
    model = DyRCNNx4(input_dims=(20, 3, 32, 32), n_classes=10, recurrence_type="full", tau=8.0)

    y = model(torch.randn(1, 3, 32, 32))
    assert y.shape == (1, 20, 10) and y.isfinite().all()

    from pytorch_lightning import Trainer

    # Configure trainer
    trainer = Trainer(
        max_epochs=1,  # on the page 200
        accelerator="cpu",  # on the page "gpu"
        devices=1,
        limit_train_batches=1,  # here and below: not on the page, to be quick and to leave nothing behind
        limit_val_batches=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )

    # Train model
    train_dataloader, val_dataloader = loader((3, 32, 32)), loader((3, 32, 32))  # the page does not say which
    trainer.fit(model, train_dataloader, val_dataloader)

    assert trainer.global_step == 1
    assert 0 < trainer.callback_metrics["val_loss"] < 10


def test_custom_models():
    from dynvision.models import DyRCNN

    class CustomModel(DyRCNN):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            # Custom initialization

        def _define_architecture(self):
            # Define model architecture
            pass

    model = CustomModel(recurrence_type="self")
    assert model.args.recurrence_type == "self"
    assert not list(model.parameters())
