"""The foundations of a model. What needs Lightning is imported when it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dynvision.base.core_model import CoreModel, DtypeDeviceCoordinator, MonitoredModel
from dynvision.base.frames import Frames, ModelState
from dynvision.base.monitoring import Monitoring
from dynvision.base.storage import StorageBuffer
from dynvision.base.temporal_base import TemporalBase

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

_WITH_LIGHTNING = {
    "BaseModel": "base_model",
    "DtypeDeviceCoordinatorMixin": "base_model",
    "LightningBase": "lightning_base",
    "LightningOnlyModel": "base_model",
    "MonitoringMixin": "base_model",
    "StorageBufferMixin": "base_model",
}


def __getattr__(name: str) -> Any:
    if name in _WITH_LIGHTNING:
        return getattr(importlib.import_module(f"dynvision.base.{_WITH_LIGHTNING[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
