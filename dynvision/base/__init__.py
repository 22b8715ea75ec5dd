"""The foundations of a model. What needs Lightning is imported when it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dynvision.base.core_model import CoreModel, MonitoredModel
from dynvision.base.dtype_device import DtypeDeviceCoordinator
from dynvision.base.frames import Frames
from dynvision.base.monitoring import Monitoring
from dynvision.base.state import ModelState
from dynvision.base.storage_buffer import StorageBuffer
from dynvision.base.temporal_base import TemporalBase

if TYPE_CHECKING:
    from dynvision.base.base_model import BaseModel, LightningOnlyModel
    from dynvision.base.dtype_device_mixin import DtypeDeviceCoordinatorMixin
    from dynvision.base.lightning_base import LightningBase
    from dynvision.base.monitoring_mixin import MonitoringMixin
    from dynvision.base.storage_mixin import StorageBufferMixin

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

_WITH_LIGHTNING = {
    "BaseModel": "base_model",
    "DtypeDeviceCoordinatorMixin": "dtype_device_mixin",
    "LightningBase": "lightning_base",
    "LightningOnlyModel": "base_model",
    "MonitoringMixin": "monitoring_mixin",
    "StorageBufferMixin": "storage_mixin",
}


def __getattr__(name: str) -> Any:
    if name in _WITH_LIGHTNING:
        return getattr(importlib.import_module(f"dynvision.base.{_WITH_LIGHTNING[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
