"""Activity loss: what it costs to be active.

L = (1 / (B M T)) sum over images b, layers m and steps t of mean over units of |r_m(b, t)|
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynvision.losses.base import BaseLoss, Outputs


class ActivityLoss(BaseLoss):
    """Mean absolute activity per unit, over all layers and all steps of the presentation (idle excluded)."""

    needs_activity = True

    def forward(self, outputs: Outputs) -> Tensor:
        assert outputs.activity, "the model recorded no layer"
        return torch.stack(list(outputs.activity.values())).mean() / outputs.logits.shape[1]
