"""Energy loss: a metabolic cost that grows with the square of activity, so that few strong responses cost most.

cost(a) = mean over units of a^2

Source: Sussillo, Churchland, Kaufman & Shenoy (2015), Nature Neuroscience 18, 1025: the penalty on firing rates.
"""

from __future__ import annotations

from torch import Tensor

from dynvision.losses.base import MonitoringLoss


class EnergyLoss(MonitoringLoss):
    """Mean squared activity per unit, over layers and steps."""

    depends_on_outputs_alone = True

    def cost(self, a: Tensor) -> Tensor:
        return a.square().mean(dim=2)
