"""Temporal consistency: what it costs to change from one step to the next.

output     L = (1 / N) sum over (b, t) of mean over classes of (p(b, t) - p(b, t - 1))^2
layers     cost = mean over units of (a(t) - a(t - 1))^2, summed and divided as every cost of what layers do

p are the probabilities of the classes, and the N pairs are those of which both steps count. Source: ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dynvision.errors import InputError
from dynvision.losses.base import MonitoringLoss, Outputs


class TemporalConsistencyLoss(MonitoringLoss):
    """Mean squared change of the outputs, or of what layers do.

    Args:
        monitor: ``output``, or a quantity of the layers.
        layers: see :class:`MonitoringLoss`.
    """

    depends_on_outputs_alone = True

    of_changes = True

    def __init__(self, monitor: str = "output", layers: Sequence[str] = ()) -> None:
        super().__init__(monitor, layers)
        if monitor == "output" and layers:
            raise InputError(
                "TemporalConsistencyLoss of the output looks at no layers; remove layers, or change monitor"
            )

    def cost(self, a: Tensor) -> Tensor:
        return a.square().mean(dim=2)

    def forward(self, outputs: Outputs) -> Tensor:
        """The mean squared change, a scalar.

        Raises:
            InputError: there are no two steps to compare.
        """
        if outputs.logits.shape[1] < 2:
            raise InputError(
                "TemporalConsistencyLoss compares steps, and there is one only; raise n_timesteps"
            )
        if self.monitor != "output":
            return super().forward(outputs)
        counts = outputs.labels != outputs.ignore_index
        pairs = counts[:, 1:] & counts[:, :-1]
        outputs.checks.require(pairs.any(), _no_pairs)
        changes = outputs.logits.float().softmax(dim=2).diff(dim=1).square().mean(dim=2)
        return (changes * pairs).sum() / pairs.sum()


def _no_pairs() -> InputError:
    return InputError(
        "TemporalConsistencyLoss compares outputs that are scored one after the other, and there are no two such steps; "
        "lower loss_reaction_time or change data_presentation_pattern"
    )
