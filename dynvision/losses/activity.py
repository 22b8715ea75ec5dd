"""Activity loss: what it costs to be active.

absolute   cost(a) = mean over units of |a|
signed     cost(a) = |mean over units of a|         zero where excitation and inhibition balance

Source: ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dynvision.losses.base import MonitoringLoss


class ActivityLoss(MonitoringLoss):
    """Mean absolute activity per unit, over layers and steps.

    Args:
        monitor, layers: see :class:`MonitoringLoss`.
        signed: the absolute value of the mean over units, instead of the mean of absolute values.
    """

    depends_on_outputs_alone = True

    def __init__(self, monitor: str = "state", layers: Sequence[str] = (), signed: bool = False) -> None:
        super().__init__(monitor, layers)
        self.signed = signed

    def cost(self, a: Tensor) -> Tensor:
        return a.mean(dim=2).abs() if self.signed else a.abs().mean(dim=2)
