"""One dtype and one device in training: synchronised before a trainer starts a stage."""

from __future__ import annotations

import pytorch_lightning as pl

from dynvision.base.dtype_device import DtypeDeviceCoordinator


class DtypeDeviceCoordinatorMixin(DtypeDeviceCoordinator, pl.LightningModule):
    """Coordination with PyTorch Lightning hooks."""

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.propagate_dtype_sync()

    def on_validation_start(self) -> None:
        super().on_validation_start()
        self.propagate_dtype_sync()

    def on_test_start(self) -> None:
        super().on_test_start()
        self.propagate_dtype_sync()
