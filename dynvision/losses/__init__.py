"""Losses by name: which there are, with their arguments, is in :mod:`dynvision.config.optimization`."""

from __future__ import annotations

from typing import Any

from dynvision.config.optimization import LOSSES
from dynvision.losses.activity import ActivityLoss
from dynvision.losses.base import BaseLoss, MonitoringLoss, Outputs
from dynvision.losses.checks import Checks, Verdict
from dynvision.losses.cross_entropy import CrossEntropyLoss
from dynvision.losses.energy import EnergyLoss
from dynvision.losses.temporal_consistency import TemporalConsistencyLoss
from dynvision.registry import at_place

__all__ = [
    "ActivityLoss",
    "BaseLoss",
    "Checks",
    "CrossEntropyLoss",
    "EnergyLoss",
    "MonitoringLoss",
    "Outputs",
    "TemporalConsistencyLoss",
    "Verdict",
    "find_loss",
]


def find_loss(name: str) -> type[BaseLoss]:
    """A loss class by name.

    Raises:
        InputError: the name is not known.
    """
    loss: Any = LOSSES[name].computed_by
    return at_place(loss) if isinstance(loss, str) else loss  # type: ignore[no-any-return]
