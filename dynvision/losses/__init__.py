"""Losses by name."""

from __future__ import annotations

from dynvision.errors import unknown_name
from dynvision.losses.activity import ActivityLoss
from dynvision.losses.base import BaseLoss, Outputs
from dynvision.losses.cross_entropy import CrossEntropyLoss
from dynvision.losses.energy import EnergyLoss
from dynvision.losses.monitoring import MonitoringLoss
from dynvision.losses.temporal_consistency import TemporalConsistencyLoss

LOSSES: dict[str, type[BaseLoss]] = {
    "CrossEntropyLoss": CrossEntropyLoss,
    "ActivityLoss": ActivityLoss,
    "EnergyLoss": EnergyLoss,
    "TemporalConsistencyLoss": TemporalConsistencyLoss,
}

__all__ = [
    "LOSSES",
    "ActivityLoss",
    "BaseLoss",
    "CrossEntropyLoss",
    "EnergyLoss",
    "MonitoringLoss",
    "Outputs",
    "TemporalConsistencyLoss",
    "find_loss",
]


def find_loss(name: str) -> type[BaseLoss]:
    """A loss class by name.

    Raises:
        InputError: the name is not known.
    """
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES, key="training.loss")
    return LOSSES[name]
