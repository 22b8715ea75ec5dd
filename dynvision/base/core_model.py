"""Models without Lightning: the temporal core with device coordination, and with monitoring."""

from __future__ import annotations

from dynvision.base.dtype_device import DtypeDeviceCoordinator
from dynvision.base.monitoring import Monitoring
from dynvision.base.temporal_base import TemporalBase


class CoreModel(TemporalBase, DtypeDeviceCoordinator):
    """Neural network with device coordination only."""


class MonitoredModel(TemporalBase, Monitoring, DtypeDeviceCoordinator):
    """Neural network with monitoring but no Lightning integration."""
