"""Models for Lightning: the complete one, and one without storage."""

from __future__ import annotations

from dynvision.base.dtype_device_mixin import DtypeDeviceCoordinatorMixin
from dynvision.base.lightning_base import LightningBase
from dynvision.base.monitoring_mixin import MonitoringMixin
from dynvision.base.storage_mixin import StorageBufferMixin
from dynvision.base.temporal_base import TemporalBase


class BaseModel(
    TemporalBase, LightningBase, StorageBufferMixin, MonitoringMixin, DtypeDeviceCoordinatorMixin
):
    """The class to derive a model from: implement ``_define_architecture``.

    It runs in time (:class:`TemporalBase`), trains (:class:`LightningBase`), keeps responses
    (:class:`StorageBufferMixin`), is monitored (:class:`MonitoringMixin`) and holds one dtype and device
    (:class:`DtypeDeviceCoordinatorMixin`). Each class documents its own arguments.
    """


class LightningOnlyModel(TemporalBase, LightningBase, MonitoringMixin):
    """Training framework without automatic storage."""
