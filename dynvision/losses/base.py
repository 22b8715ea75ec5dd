"""What a loss is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(frozen=True)
class Outputs:
    """What a model did with a batch.

    Attributes:
        logits: (B, T, K).
        labels: (B, T), ``ignore_index`` where a step does not count.
        ignore_index: label of steps that do not count.
        activity: by layer, the mean over units of |r|, summed over the recorded steps, (B,); for losses that ask for it.
    """

    logits: Tensor
    labels: Tensor
    ignore_index: int
    activity: Mapping[str, Tensor] = field(default_factory=dict)


class BaseLoss(nn.Module):
    """A loss: from :class:`Outputs` to a scalar."""

    needs_activity = False

    def forward(self, outputs: Outputs) -> Tensor:
        raise NotImplementedError
