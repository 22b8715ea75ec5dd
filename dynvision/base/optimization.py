"""The optimiser and the learning rate schedule of a training, from their names in torch, and the weight of a batch.

Every schedule moves after every update of the weights. Its lengths are given in epochs and become updates here, and a
factor an epoch becomes one an update:

    n updates an epoch:    length e -> e n        factor g -> g^(1 / n)

Where n is not known (data without a length, or no trainer), it moves after every epoch instead; or after every update,
if all its lengths follow from the training and that has a number of updates.

A warm-up of w updates goes before it: (k + 1) / w of the learning rate at update k.

An update is made of k batches. Its gradient is that of the mean over all of its images, so a batch of b images weighs

    k b / N                N images of the k batches; 1 unless the last batches of an epoch are smaller or fewer

which undoes that the gradient of every batch, a mean over its images, is divided by k.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler, SequentialLR

from dynvision.config.optimization import SCHEDULES, Schedule
from dynvision.config.training import TrainingConfig
from dynvision.errors import InputError
from dynvision.text import first_few

TRAINING = TrainingConfig()
logger = logging.getLogger(__name__)


def parameter_groups(
    named: Iterable[tuple[str, Tensor]], learning_rate: float, factors: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Trainable parameters in groups of equal learning rate.

    Args:
        named: parameters by name.
        learning_rate: of parameters in whose name no word of ``factors`` occurs.
        factors: factor on the learning rate by word; the first word that occurs in a name decides. One that occurs in
            none is warned of, unless a training has it by default.
    """
    named = list(named)
    for word in set(factors) - set(TRAINING.learning_rate_factors):
        if not any(word in name for name, _ in named):
            logger.warning(
                "training.learning_rate_factors.%s changes nothing: no parameter has this word in its name; there are %s",
                word,
                first_few(sorted(name for name, _ in named)),
            )
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            found = [factor for word, factor in factors.items() if word in name]
            groups.setdefault(found[0] if found else 1.0, []).append(parameter)
    return [{"params": members, "lr": learning_rate * factor} for factor, members in groups.items()]


def build_optimizer(
    name: str,
    groups: list[dict[str, Any]],
    learning_rate: float,
    weight_decay: float,
    arguments: Mapping[str, Any],
    one_kernel: bool = False,
) -> Optimizer:
    """An optimiser by its name in ``torch.optim``.

    Args:
        name: of its class, which :func:`dynvision.config.optimization.check_optimization` has checked.
        groups: parameters with their learning rates, as :func:`parameter_groups` makes them.
        learning_rate: of groups that have none of their own.
        weight_decay: of all of them.
        arguments: further arguments of the class.
        one_kernel: whether one kernel moves all parameters, where torch has such a kernel for the class.

    Raises:
        InputError: torch does not take an argument, or there are no parameters.
    """
    if not groups:
        raise InputError(
            "no parameter is trained; set requires_grad of some, or name some in training.trainable"
        )
    optimizer_class = getattr(torch.optim, name)
    fused = {"fused": True} if one_kernel and "fused" in inspect.signature(optimizer_class).parameters else {}
    given = {**arguments, **fused}
    try:
        made: Optimizer = optimizer_class(groups, lr=learning_rate, weight_decay=weight_decay, **given)
    except (TypeError, ValueError) as error:
        raise _refused("optimizer", name, error) from None
    return made


def build_schedule(
    name: str,
    optimizer: Optimizer,
    arguments: Mapping[str, Any],
    n_updates: float,
    updates_per_epoch: float,
    warmup_epochs: float = 0.0,
) -> LRScheduler | None:
    """A schedule by its name in ``torch.optim.lr_scheduler``, to be moved after every update.

    Args:
        name: its name, checked as that of the optimiser; ``none`` keeps the rate after the warm-up.
        optimizer: what it moves.
        arguments: its arguments, lengths in epochs.
        n_updates: updates of the whole training; may be infinite for schedules that need not know.
        updates_per_epoch: updates of an epoch.
        warmup_epochs: time in which the rate grows linearly before, in epochs.

    Returns:
        The schedule; None where the rate stays as it is.

    Raises:
        InputError: torch does not take an argument.
    """
    warmup = round(warmup_epochs * updates_per_epoch)
    if name == "none":
        return linear_warmup(optimizer, warmup) if warmup else None
    settings = SCHEDULES[name]
    if math.isinf(n_updates):
        _check_own_length(name, settings, arguments)
    # A training that is cut short to try it (fast_dev_run) may end within the warm-up.
    given = in_updates(settings, arguments, max(n_updates - warmup, 1), updates_per_epoch)
    if name == "OneCycleLR":
        given.setdefault("max_lr", [group["lr"] for group in optimizer.param_groups])
    try:
        schedule: LRScheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **given)
    except (TypeError, ValueError, AttributeError) as error:
        raise _refused("scheduler", name, error) from None
    if not warmup:
        return schedule
    return SequentialLR(optimizer, [linear_warmup(optimizer, warmup), schedule], milestones=[warmup])


@dataclass(frozen=True)
class TrainingLength:
    """Length of a training, infinite where it is not known beforehand.

    Attributes:
        n_epochs: epochs.
        updates_per_epoch: updates of the weights in an epoch.
        n_updates: updates of the whole training.
    """

    n_epochs: float = math.inf
    updates_per_epoch: float = math.inf
    n_updates: float = math.inf

    def schedule_units(
        self, name: str, arguments: Mapping[str, Any], warmup_epochs: float
    ) -> tuple[float, float, str]:
        """Return the length of a schedule, in the unit in which it moves.

        Args:
            name, arguments, warmup_epochs: as for :func:`build_schedule`.

        Returns:
            Moves of the whole training, moves of an epoch, and the unit: ``step`` for updates, or ``epoch``.

        Raises:
            InputError: it would move after every epoch, and has a length that is no whole number of epochs.
        """
        if math.isfinite(self.updates_per_epoch):
            return self.n_updates, self.updates_per_epoch, "step"
        schedule = SCHEDULES[name]
        lengths = {key: value for key, value in arguments.items() if key in schedule.in_epochs}
        defaults = {key: value for key, value in schedule.lengths.items() if value is not None}
        lengths = {**defaults, **lengths, "warmup_epochs": warmup_epochs}
        if math.isfinite(self.n_updates) and not any(lengths.values()) and not schedule.per_epoch:
            return self.n_updates, 1, "step"
        for key, value in lengths.items():
            for epochs in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(epochs, float) and not epochs.is_integer():
                    raise InputError(
                        f"{key}={value}: the number of updates in an epoch is not known here, so the schedule moves once "
                        "an epoch; give a whole number of epochs, or training data that have a length"
                    )
        return self.n_epochs, 1, "epoch"


def training_length(trainer: Any) -> TrainingLength:
    """Return the length of a training by Lightning, which looks at its data for that.

    Raises:
        InputError: there is nothing to train on.
    """
    if trainer.train_dataloader is None:
        trainer.fit_loop.setup_data()
    n_epochs = math.inf if trainer.max_epochs in (None, -1) else max(trainer.max_epochs, 1)
    n_updates = math.inf if trainer.max_steps == -1 else trainer.max_steps
    batches = trainer.num_training_batches
    if batches == math.inf and isinstance(trainer.limit_train_batches, int) and trainer.limit_train_batches:
        batches = trainer.limit_train_batches
    if batches == math.inf:
        return TrainingLength(n_epochs, math.inf, n_updates)
    if batches == 0 and trainer.limit_train_batches != 0:
        raise InputError(
            "the training data loader has no batch; give it at least one image, or batch_size images "
            "where it drops the last batch"
        )
    per_epoch = max(-(-batches // trainer.accumulate_grad_batches), 1)
    return TrainingLength(n_epochs, per_epoch, min(n_epochs * per_epoch, n_updates))


def linear_warmup(optimizer: Optimizer, n_updates: int) -> LRScheduler:
    """From a fraction ``1 / n_updates`` of the learning rate to all of it."""
    return LinearLR(optimizer, start_factor=1 / n_updates, total_iters=n_updates)


def in_updates(
    schedule: Schedule, arguments: Mapping[str, Any], n_updates: float, updates_per_epoch: float
) -> dict[str, Any]:
    """Arguments of a schedule counted in updates.

    Args:
        schedule: what its arguments mean.
        arguments: counted in epochs.
        n_updates: updates that the schedule has by default.
        updates_per_epoch: updates of an epoch.
    """
    given = dict(arguments)
    for name, length in schedule.lengths.items():
        given.setdefault(name, n_updates / updates_per_epoch if length is None else length)
    for name in schedule.in_epochs:
        if name in given:
            given[name] = _updates(given[name], updates_per_epoch, f"scheduler_args.{name}")
    for name in schedule.per_epoch:
        if not isinstance(given[name], (int, float)) or given[name] <= 0:
            raise InputError(f"training.scheduler_args.{name}={given[name]!r} must be a number above 0")
        given[name] = given[name] ** (1 / updates_per_epoch)
    return given


def _updates(epochs: Any, updates_per_epoch: float, key: str) -> int | list[int]:
    if isinstance(epochs, (list, tuple)):
        return [round(value * updates_per_epoch) for value in epochs]
    if not isinstance(epochs, (int, float)) or epochs <= 0:
        raise InputError(f"training.{key}={epochs!r} must be a number of epochs above 0")
    return max(1, round(epochs * updates_per_epoch))


def _check_own_length(name: str, schedule: Schedule, arguments: Mapping[str, Any]) -> None:
    for key, length in schedule.lengths.items():
        if length is None and key not in arguments:
            own = f", or {key} in scheduler_args" if key in schedule.optional else ""
            raise InputError(
                f"scheduler={name} takes its length from the training, and this one has no end; give the trainer "
                f"max_epochs or max_steps{own}"
            )


def _refused(kind: str, name: str, error: Exception) -> InputError:
    reason = str(error).rstrip(".")
    return InputError(f"{kind}={name} does not take its arguments ({reason}); change training.{kind}_args")


@dataclass(frozen=True)
class Epoch:
    """The images that one process is shown in an epoch.

    Attributes:
        n_images: how many.
        batch_size: images of every batch but the last.
        accumulate_batches: k.
    """

    n_images: int
    batch_size: int
    accumulate_batches: int = 1

    def weight(self, batch: int) -> float:
        """The weight of a batch by its number, counted from 0."""
        first = batch - batch % self.accumulate_batches
        together = self._images(first, first + self.accumulate_batches)
        return self.accumulate_batches * self._images(batch, batch + 1) / together

    def _images(self, first: int, end: int) -> int:
        """Images of the batches from ``first`` up to ``end``."""
        return min(end * self.batch_size, self.n_images) - first * self.batch_size
