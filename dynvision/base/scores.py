"""The scores of a batch: its loss, the terms of it, the accuracy, and whether the batch is as it must be.

On a GPU they are many small kernels, which take less time than their launch: a graph of their own launches them, where the
losses allow it. Whether all is as it must be is one boolean there, which is copied to the host without waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dynvision.base.batches import check_range, only_known
from dynvision.base.cuda_graphs import CudaGraphs
from dynvision.base.frames import Frames
from dynvision.base.monitoring import explain_non_finite_loss
from dynvision.base.observers import Watch
from dynvision.base.versions import ModelVersions
from dynvision.errors import InputError
from dynvision.losses import BaseLoss, Checks, Outputs, find_loss

FINE = "fine"


def weighted_losses(params: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, tuple[float, BaseLoss]]:
    """Weight and loss by name; a name that occurs again is numbered."""
    losses: dict[str, tuple[float, BaseLoss]] = {}
    for i, (name, settings) in enumerate(params):
        again = sum(other == name for other, _ in params[:i])
        arguments = dict(settings)
        weight = float(arguments.pop("weight", 1.0))
        losses[f"{name}_{again + 1}" if again else name] = weight, find_loss(name)(**arguments)
    return losses


class HasLosses(Protocol):
    """A model with losses."""

    @property
    def losses(self) -> Mapping[str, tuple[float, BaseLoss]]:
        """Weight and loss by name."""

    @property
    def captures_loss(self) -> bool:
        """Whether a GPU may replay the loss, if the losses allow it."""

    def loss_terms(self, outputs: Outputs) -> dict[str, Tensor]:
        """Every loss that has a weight, by name, each a scalar."""

    def weighted_sum(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The loss, a scalar."""


@dataclass(frozen=True)
class Scores:
    """Scores of one batch.

    Attributes:
        loss: the weighted sum of the terms, a scalar.
        accuracy: part of the steps that count whose guess is right, a scalar.
        terms: of the loss, where there are several, scalars without gradient.
        fine: whether all conditions hold, a boolean on a GPU; None where they have been looked at.
    """

    loss: Tensor
    accuracy: Tensor
    terms: dict[str, Tensor]
    fine: Tensor | None


class Scoring:
    """Computes the scores of the batches of one model."""

    def __init__(self) -> None:
        self._graphs, self._versions = CudaGraphs(), ModelVersions()
        self._criteria = nn.ModuleList()

    def __call__(self, model: HasLosses, outputs: Outputs, labels: Tensor, finite: bool) -> Scores:
        """The scores of a batch.

        Args:
            model: whose losses they are.
            outputs: of the model.
            labels: of the batch, before they were laid on the steps of the trial.
            finite: whether a loss that is not finite is not fine; on a CPU it is not looked at.

        Raises:
            InputError: on a CPU, the batch is not as it must be.
        """
        places = [(criterion, layer) for criterion, costs in outputs.costs.items() for layer in costs]
        inputs = [outputs.logits, outputs.labels, labels, *(outputs.costs[c][layer] for c, layer in places)]
        found: dict[str, Tensor] = {}
        watch: Watch = {"scores": lambda name, frames: found.update({name: frames.values})}

        def score(tensors: Sequence[Tensor], watch: Watch) -> Tensor:
            costs: dict[Any, dict[str, Tensor]] = {}
            for (criterion, layer), cost in zip(places, tensors[3:], strict=True):
                costs.setdefault(criterion, {})[layer] = cost
            given = replace(outputs, logits=tensors[0], labels=tensors[1], costs=costs)
            loss, values = _scores(model, given, tensors[2], finite)
            for name, value in values.items():
                watch["scores"](name, Frames(0, 1, value.detach()))
            return loss

        criteria = [criterion for _, criterion in model.losses.values()]
        if self.captures(model, outputs):
            if [*self._criteria] != criteria:
                self._criteria = nn.ModuleList(criteria)
            weights = tuple((name, weight) for name, (weight, _) in model.losses.items())
            costs = tuple((criteria.index(criterion), layer) for criterion, layer in places)
            key = (finite, outputs.ignore_index, weights, costs)
            loss = self._graphs.run(self._versions.of(self._criteria), key, score, inputs, watch)
        else:
            loss = score(inputs, watch)
        return Scores(
            loss, found.pop("accuracy"), {k: v for k, v in found.items() if k != FINE}, found.get(FINE)
        )

    @staticmethod
    def captures(model: HasLosses, outputs: Outputs) -> bool:
        """Whether a graph computes the scores."""
        allowed = (may_be_captured(criterion) for _, criterion in model.losses.values())
        return outputs.logits.is_cuda and model.captures_loss and all(allowed)


def may_be_captured(criterion: BaseLoss) -> bool:
    return bool(
        vars(type(criterion)).get("depends_on_outputs_alone", False)
    )  # of the class itself, not of a base


def _scores(
    model: HasLosses, outputs: Outputs, labels: Tensor, finite: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    checks = Checks(later=outputs.logits.is_cuda)
    n_classes = outputs.logits.shape[-1]
    check_range(labels, n_classes, outputs.ignore_index, checks)
    known = only_known(outputs.labels, n_classes, outputs.ignore_index)
    outputs = replace(outputs, labels=known, checks=checks)
    terms = model.loss_terms(outputs)
    loss = model.weighted_sum(terms)
    values = {"accuracy": outputs.correct.sum() / outputs.scored.sum().clamp_min(1)}
    if len(terms) > 1:
        values.update(terms)
    if checks.later:
        values[FINE] = torch.stack([*checks.conditions, *([loss.isfinite()] if finite else [])]).all()
    return loss, values


def explanation(model: Any, batch: tuple[Tensor, Tensor], stage: str, loss: Tensor) -> Callable[[], None]:
    """What raises what is wrong with a batch: it is shown again, with the precision of now, and each condition looked at.

    Args:
        model: as it is when the batch is shown again.
        batch: images (B, C, H, W) or videos (B, T, C, H, W), and their labels.
        stage: ``train``, ``val`` or ``test``.
        loss: of the batch, without gradient.
    """
    kind = batch[0].device.type
    dtype, enabled = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)

    def explain() -> None:
        with torch.no_grad(), torch.autocast(kind, dtype, enabled):
            outputs = model.respond(batch, stage == "train")
            check_range(batch[1], outputs.logits.shape[-1], outputs.ignore_index, outputs.checks)
            model.loss_terms(outputs)
            raise InputError(explain_non_finite_loss(model, batch, loss))

    return explain
