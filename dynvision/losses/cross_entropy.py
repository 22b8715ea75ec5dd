"""Cross-entropy over the steps that count.

L = - sum over valid (b, t) of w(b, t) log softmax(logits[b, t])[label[b, t]]  /  sum of the weights

    uniform      w = 1
    last         w = 1 at the last valid step of an image, else 0
    linear       w = k + 1
    discounted   w = gamma^k

k = 0, 1, 2, ... counts the valid steps of an image: linear makes late answers count most, discounted early ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dynvision.errors import InputError, unknown_name
from dynvision.losses.base import BaseLoss, Outputs

TIME_WEIGHTINGS = ("uniform", "last", "linear", "discounted")


class CrossEntropyLoss(BaseLoss):
    """Weighted mean of the cross-entropy over all valid steps of all images.

    Args:
        label_smoothing: part of the target that is spread evenly over all classes.
        time_weighting: ``uniform``, ``last``, ``linear`` or ``discounted``.
        discount: gamma.
    """

    depends_on_outputs_alone = True

    def __init__(
        self, label_smoothing: float = 0.0, time_weighting: str = "uniform", discount: float = 0.9
    ) -> None:
        super().__init__()
        if time_weighting not in TIME_WEIGHTINGS:
            raise unknown_name(
                "weighting", time_weighting, TIME_WEIGHTINGS, key="training.loss_time_weighting"
            )
        self.label_smoothing, self.time_weighting, self.discount = label_smoothing, time_weighting, discount

    def forward(self, outputs: Outputs) -> Tensor:
        """The loss, a scalar: the weighted mean over images and steps that count.

        Raises:
            InputError: no step of the batch counts.
        """
        valid = outputs.labels != outputs.ignore_index
        outputs.checks.require(valid.any(), _nothing_scored)
        each = F.cross_entropy(
            outputs.logits.flatten(0, 1).float(),
            outputs.labels.flatten(),
            ignore_index=outputs.ignore_index,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        weights = step_weights(valid, self.time_weighting, self.discount).flatten()
        return (each * weights).sum() / weights.sum()


def _nothing_scored() -> InputError:
    return InputError(
        "no step of the presentation is scored: loss_reaction_time is longer than every stretch in which the stimulus is "
        "on; lower loss_reaction_time or change data_presentation_pattern"
    )


def step_weights(valid: Tensor, weighting: str, discount: float) -> Tensor:
    """The weight of every step.

    Args:
        valid: which steps count, (B, T) booleans.
        weighting: one of ``TIME_WEIGHTINGS``.
        discount: gamma, above 0 and up to 1.

    Returns:
        (B, T), float32, 0 where a step does not count.
    """
    number = valid.cumsum(dim=1)  # k + 1 at valid steps
    if weighting == "last":
        weights = number == number[:, -1:]
    elif weighting == "linear":
        weights = number
    elif weighting == "discounted":
        weights = torch.as_tensor(discount, device=valid.device) ** (number - 1)
    else:
        weights = torch.ones_like(number)
    return weights.float() * valid
