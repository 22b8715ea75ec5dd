"""Losses by name."""

from __future__ import annotations

from dynvision.losses.activity import ActivityLoss
from dynvision.losses.base import BaseLoss, MonitoringLoss, Outputs
from dynvision.losses.cross_entropy import CrossEntropyLoss
from dynvision.losses.energy import EnergyLoss
from dynvision.losses.temporal_consistency import TemporalConsistencyLoss
from dynvision.registry import Registry

LOSSES: Registry[type[BaseLoss]] = Registry("loss", key="training.loss")
for _loss in (CrossEntropyLoss, ActivityLoss, EnergyLoss, TemporalConsistencyLoss):
    LOSSES.add(_loss.__name__, _loss)

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
    return LOSSES[name]
