"""The foundations of a model. What needs Lightning is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynvision.base.core_model import CoreModel, DtypeDeviceCoordinator, MonitoredModel, StorageBuffer
from dynvision.base.frames import Frames, ModelState
from dynvision.base.monitoring import Monitoring
from dynvision.base.temporal_base import TemporalBase
from dynvision.registry import lazy_names

if TYPE_CHECKING:
    from dynvision.base.base_model import (
        BaseModel,
        DtypeDeviceCoordinatorMixin,
        LightningOnlyModel,
        MonitoringMixin,
        StorageBufferMixin,
    )
    from dynvision.base.lightning_base import LightningBase

__all__ = [
    "BaseModel",
    "CoreModel",
    "DtypeDeviceCoordinator",
    "DtypeDeviceCoordinatorMixin",
    "Frames",
    "LightningBase",
    "LightningOnlyModel",
    "ModelState",
    "MonitoredModel",
    "Monitoring",
    "MonitoringMixin",
    "StorageBuffer",
    "StorageBufferMixin",
    "TemporalBase",
]

__getattr__ = lazy_names(__name__)
