"""What layers spend during a trial, for the losses that monitor them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dynvision.base.frames import Frames
from dynvision.base.watch import Observer, Watch, all_of
from dynvision.errors import unknown_name
from dynvision.losses import MonitoringLoss


class CostObserver:
    """Listens to one quantity and sums one loss's cost of it over the steps of a trial.

    Args:
        criterion: the loss.
        chain: names of the model's layers.

    Attributes:
        costs: by layer, (B,).

    Raises:
        InputError: the loss names a layer that is not there.
    """

    def __init__(self, criterion: MonitoringLoss, chain: Sequence[str]) -> None:
        for layer in criterion.layers:
            if layer not in chain:
                raise unknown_name("layer", layer, chain, key="training.loss")
        self.criterion = criterion
        self.layers = criterion.layers or tuple(chain)
        self.costs: dict[str, Tensor] = {}
        # The last step of each piece by the step behind it: a piece may be computed a second time, for the gradient.
        self._ends: dict[tuple[str, int], Tensor] = {}

    def __call__(self, layer: str, frames: Frames) -> None:
        """Take a piece of time of a layer."""
        if layer not in self.layers:
            return
        values = frames.values.movedim(
            1, -1
        )  # as maps lie in memory, so that units are flattened without a copy
        a = values.unflatten(0, (-1, frames.batch)).flatten(2)
        a = a.to(torch.promote_types(a.dtype, torch.float32))
        repeats = frames.n if frames.constant else 1
        if self.criterion.of_changes:
            a, repeats = self._changes(layer, frames, a), 1
        spent = repeats * self.criterion.cost(a).sum(dim=0)
        self.costs[layer] = self.costs[layer] + spent if layer in self.costs else spent

    def _changes(self, layer: str, frames: Frames, a: Tensor) -> Tensor:
        """Differences between steps, the step before the piece included where there was one; (m, B, units)."""
        before = self._ends.get((layer, frames.first))
        self._ends[layer, frames.end] = a[-1:]
        return a.diff(dim=0) if before is None else torch.cat([before, a]).diff(dim=0)


def watch_costs(observers: Sequence[CostObserver]) -> Watch:
    """All observers by the quantity that they listen to, as the engine wants them."""
    by_quantity: dict[str, list[Observer]] = {}
    for observer in observers:
        by_quantity.setdefault(observer.criterion.monitor, []).append(observer)
    return {quantity: all_of(listeners) for quantity, listeners in by_quantity.items()}
