"""The optimizers and learning rate schedules of torch that a configuration can name, and what they must be told.

Left out are those that need more than numbers (functions, other schedules, a measured value) or a closure, or that do not
take every parameter. Nothing here imports torch; a test compares with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynvision.errors import InputError, unknown_name

OPTIMIZERS = (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "SGD"
)  # fmt: skip
WITHOUT_MOMENTUM = frozenset({"Adadelta", "Adafactor", "Adagrad", "ASGD"})


@dataclass(frozen=True)
class Schedule:
    """Arguments of a schedule: those that must be given, and those that may be."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    cycles_momentum: bool = False


_MOMENTUM = ("cycle_momentum", "base_momentum", "max_momentum")
_ONE_CYCLE = (
    "max_lr",
    "total_steps",
    "pct_start",
    "anneal_strategy",
    "div_factor",
    "final_div_factor",
    "three_phase",
)
SCHEDULES: dict[str, Schedule] = {
    "none": Schedule(),
    "ConstantLR": Schedule((), ("factor", "total_iters")),
    "CosineAnnealingLR": Schedule((), ("T_max", "eta_min")),
    "CosineAnnealingWarmRestarts": Schedule(("T_0",), ("T_mult", "eta_min")),
    "CyclicLR": Schedule(
        ("base_lr", "max_lr"),
        ("step_size_up", "step_size_down", "mode", "gamma", *_MOMENTUM),
        cycles_momentum=True,
    ),
    "ExponentialLR": Schedule(("gamma",)),
    "LinearLR": Schedule((), ("start_factor", "end_factor", "total_iters")),
    "MultiStepLR": Schedule(("milestones",), ("gamma",)),
    "OneCycleLR": Schedule((), (*_ONE_CYCLE, *_MOMENTUM), cycles_momentum=True),
    "PolynomialLR": Schedule((), ("total_iters", "power")),
    "StepLR": Schedule((), ("step_size", "gamma")),
}


def check_optimization(optimizer: str, scheduler: str, scheduler_args: Mapping[str, Any]) -> None:
    """Check that optimizer and schedule exist, have the arguments that they need, and go together.

    Raises:
        InputError: they do not.
    """
    if optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS, key="training.optimizer")
    if scheduler not in SCHEDULES:
        raise unknown_name("scheduler", scheduler, SCHEDULES, key="training.scheduler")
    schedule = SCHEDULES[scheduler]
    allowed = (*schedule.required, *schedule.optional)
    for name in scheduler_args:
        if name not in allowed:
            key = f"training.scheduler_args.{name}"
            raise unknown_name(f"argument of {scheduler}", name, allowed, key=key)
    missing = [name for name in schedule.required if name not in scheduler_args]
    if missing:
        raise InputError(
            f"scheduler={scheduler} needs {' and '.join(missing)}; give them in training.scheduler_args"
        )
    if (
        schedule.cycles_momentum
        and optimizer in WITHOUT_MOMENTUM
        and scheduler_args.get("cycle_momentum", True)
    ):
        raise InputError(
            f"scheduler={scheduler} cycles the momentum, which optimizer={optimizer} does not have; "
            "set training.scheduler_args: {cycle_momentum: false}, or another scheduler"
        )
