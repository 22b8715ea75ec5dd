"""The bases of losses: of outputs, and of the activity of layers.

L = (1 / (B M T)) sum over images b, layers m and steps t of cost(a_m(b, t))

a is the monitored quantity: the state of a layer, its drive, its recurrent signal or the output of its convolution. T are
the steps of the trial, presentation and residual, the idle time excluded; a layer that has not started costs nothing. M are
the layers that have the quantity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.losses.checks import Checks


@dataclass(frozen=True)
class Outputs:
    """Outputs of a model for a batch, with their labels.

    Attributes:
        logits: (B, T, K).
        labels: (B, T), ``ignore_index`` where a step does not count.
        ignore_index: label of steps that do not count.
        costs: of each loss that monitors layers, by layer, its cost summed over the steps of the trial, (B,).
        checks: receives what a loss requires of the batch.
    """

    logits: Tensor
    labels: Tensor
    ignore_index: int
    costs: Mapping[Any, Mapping[str, Tensor]] = field(default_factory=dict)
    checks: Checks = field(default_factory=Checks)

    @property
    def scored(self) -> Tensor:
        """Whether a step counts, (B, T)."""
        return self.labels != self.ignore_index

    @property
    def finite(self) -> Tensor:
        """Whether every output of a step is a finite number, (B, T); where one is not there is no guess."""
        return self.logits.isfinite().all(dim=-1)

    @property
    def correct(self) -> Tensor:
        """Whether the guess of a step that counts is its label, (B, T)."""
        return (self.logits.argmax(dim=-1) == self.labels) & self.scored & self.finite


class BaseLoss(nn.Module):
    """A loss: from :class:`Outputs` to a scalar.

    A class of whose losses a GPU may replay the kernels sets ``depends_on_outputs_alone`` itself: what it computes depends
    on the outputs and its public attributes alone, and no value is looked at on the host.
    """

    depends_on_outputs_alone = False

    def forward(self, outputs: Outputs) -> Tensor:
        raise NotImplementedError


class MonitoringLoss(BaseLoss):
    """A mean cost over images, layers and steps; a subclass states what costs how much.

    Args:
        monitor: the quantity: ``state``, ``drive``, ``recurrent`` or ``conv`` (see :mod:`dynvision.base.observers`).
        layers: names of the layers to monitor; none named are all that have the quantity.
    """

    of_changes = False  # whether `cost` is given differences between steps instead of the quantity itself

    def __init__(self, monitor: str = "state", layers: Sequence[str] = ()) -> None:
        super().__init__()
        self.monitor, self.layers = monitor, tuple(layers)

    def cost(self, a: Tensor) -> Tensor:
        """Cost of each image at each step.

        Args:
            a: the quantity of one layer, (n, B, units); half precision is made float32 before.

        Returns:
            (n, B).
        """
        raise NotImplementedError

    def forward(self, outputs: Outputs) -> Tensor:
        """The mean cost over layers, images and steps, a scalar.

        Raises:
            InputError: no layer has the quantity, or one that is named does not.
        """
        costs = outputs.costs.get(self, {})
        missing = [layer for layer in self.layers if layer not in costs]
        if missing or not costs:
            who = f"layer {missing[0]} does not have" if missing else "no layer of this model has"
            raise InputError(
                f"{type(self).__name__} monitors {self.monitor!r}, which {who} in a trial of "
                f"{outputs.logits.shape[1]} steps; change monitor or layers in training.loss"
            )
        return torch.stack(list(costs.values())).mean() / outputs.logits.shape[1]

    def extra_repr(self) -> str:
        return f"monitor={self.monitor}, layers={', '.join(self.layers) or 'all'}"
