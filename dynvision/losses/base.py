"""What a loss is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Outputs:
    """What a model did with a batch.

    Attributes:
        logits: (B, T, K).
        labels: (B, T), ``ignore_index`` where a step does not count.
        ignore_index: label of steps that do not count.
        costs: of each loss that monitors layers, by layer, its cost summed over the steps of the trial, (B,).
    """

    logits: Tensor
    labels: Tensor
    ignore_index: int
    costs: Mapping[Any, Mapping[str, Tensor]] = field(default_factory=dict)

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
    """A loss: from :class:`Outputs` to a scalar."""

    def forward(self, outputs: Outputs) -> Tensor:
        raise NotImplementedError
