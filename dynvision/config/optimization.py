"""The optimizers and learning rate schedules of torch that a configuration can name, and what they must be told.

Left out are those that need more than numbers (functions, other schedules, a measured value) or a closure, or that do not
take every parameter. Nothing here imports torch; a test compares with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dynvision.errors import InputError, unknown_name

OPTIMIZERS: dict[
    str, tuple[str, ...]
] = {  # with the arguments that may be given beside learning_rate and weight_decay
    "Adadelta": ("rho", "eps"),
    "Adafactor": ("beta2_decay", "eps", "d"),
    "Adagrad": ("lr_decay", "initial_accumulator_value", "eps"),
    "Adam": ("betas", "eps", "amsgrad", "decoupled_weight_decay"),
    "AdamW": ("betas", "eps", "amsgrad"),
    "Adamax": ("betas", "eps"),
    "ASGD": ("lambd", "alpha", "t0"),
    "NAdam": ("betas", "eps", "momentum_decay", "decoupled_weight_decay"),
    "RAdam": ("betas", "eps", "decoupled_weight_decay"),
    "RMSprop": ("alpha", "eps", "momentum", "centered"),
    "SGD": ("momentum", "dampening", "nesterov"),
}
WITHOUT_MOMENTUM = frozenset({"Adadelta", "Adafactor", "Adagrad", "ASGD"})


@dataclass(frozen=True)
class Schedule:
    """Arguments of a schedule, and how it goes with the rest.

    Attributes:
        required: arguments that must be given.
        optional: arguments that may be.
        in_epochs: those that are lengths, given in epochs.
        lengths: what a length is unless it is given; None is what the warm-up leaves of the training.
        per_epoch: those that are a factor an epoch.
        cycles_momentum: whether the momentum moves too.
        warms_up: whether it begins with a low rate of its own.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    in_epochs: tuple[str, ...] = ()
    lengths: Mapping[str, float | None] = field(default_factory=dict)
    per_epoch: tuple[str, ...] = ()
    cycles_momentum: bool = False
    warms_up: bool = False


_MOMENTUM = ("cycle_momentum", "base_momentum", "max_momentum")
_ONE_CYCLE = ("max_lr", "pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase")
SCHEDULES: dict[str, Schedule] = {
    "none": Schedule(),
    "ConstantLR": Schedule((), ("factor", "total_iters"), ("total_iters",), {"total_iters": 5}),
    "CosineAnnealingLR": Schedule((), ("T_max", "eta_min"), ("T_max",), {"T_max": None}),
    "CosineAnnealingWarmRestarts": Schedule(("T_0",), ("T_mult", "eta_min"), ("T_0",)),
    "CyclicLR": Schedule(
        ("base_lr", "max_lr"),
        ("step_size_up", "step_size_down", "mode", "gamma", *_MOMENTUM),
        ("step_size_up", "step_size_down"),
        {"step_size_up": 4},
        cycles_momentum=True,
        warms_up=True,
    ),
    "ExponentialLR": Schedule(("gamma",), per_epoch=("gamma",)),
    "LinearLR": Schedule(
        (), ("start_factor", "end_factor", "total_iters"), ("total_iters",), {"total_iters": None}
    ),
    "MultiStepLR": Schedule(("milestones",), ("gamma",), ("milestones",)),
    "OneCycleLR": Schedule(
        (),
        (*_ONE_CYCLE, *_MOMENTUM),
        ("total_steps",),
        {"total_steps": None},
        cycles_momentum=True,
        warms_up=True,
    ),
    "PolynomialLR": Schedule((), ("total_iters", "power"), ("total_iters",), {"total_iters": None}),
    "StepLR": Schedule((), ("step_size", "gamma"), ("step_size",), {"step_size": 30}),
}


# Arguments that are no numbers.
WORDS = ("mode", "anneal_strategy")
SWITCHES = ("amsgrad", "centered", "cycle_momentum", "decoupled_weight_decay", "nesterov", "three_phase")


def numbers(arguments: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Arguments with numbers that were written as text as numbers.

    Raises:
        InputError: an argument that must be a number is none, or one that must be true or false is neither.
    """
    for name in SWITCHES:
        if not isinstance(arguments.get(name, True), bool):
            raise InputError(f"{key}.{name}={arguments[name]!r} must be true or false")
    return {
        str(name): value if name in (*WORDS, *SWITCHES) else _number(value, f"{key}.{name}")
        for name, value in arguments.items()
    }


def _number(value: Any, key: str) -> Any:
    if isinstance(value, (list, tuple)):
        return [_number(item, key) for item in value]
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    if isinstance(value, (bool, str, Mapping)):
        raise InputError(f"{key}={value!r} must be a number")
    return value


def check_optimization(
    optimizer: str, optimizer_args: Mapping[str, Any], scheduler: str, scheduler_args: Mapping[str, Any]
) -> None:
    """Check that optimizer and schedule exist, have the arguments that they need, and go together.

    Raises:
        InputError: they do not.
    """
    if optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS, key="training.optimizer")
    for name in optimizer_args:
        if name not in OPTIMIZERS[optimizer]:
            key = f"training.optimizer_args.{name}"
            raise unknown_name(f"argument of {optimizer}", name, OPTIMIZERS[optimizer], key=key)
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
