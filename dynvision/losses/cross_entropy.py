"""Cross-entropy over the steps that count.

L = - (1 / N) sum over valid (b, t) of log softmax(logits[b, t])[label[b, t]]        N number of valid (b, t)
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dynvision.errors import InputError
from dynvision.losses.base import BaseLoss, Outputs


class CrossEntropyLoss(BaseLoss):
    """Mean cross-entropy over all valid steps of all images.

    Raises:
        InputError: no step of the batch counts.
    """

    def forward(self, outputs: Outputs) -> Tensor:
        if not bool((outputs.labels != outputs.ignore_index).any()):
            raise InputError(
                "no step of the presentation is scored: loss_reaction_time is longer than every stretch in which the "
                "stimulus is on; lower loss_reaction_time or change data_presentation_pattern"
            )
        logits = outputs.logits.flatten(0, 1)
        return F.cross_entropy(logits.float(), outputs.labels.flatten(), ignore_index=outputs.ignore_index)
