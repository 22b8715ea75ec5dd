"""What training minimises, and how: terms of the loss, optimizers and learning rate schedules, each with its arguments.

Optimizers and schedules are those of torch. Left out are those that need more than numbers (functions, other schedules, a
measured value) or a closure, or that do not take every parameter. Nothing here imports torch; tests compare with torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import SerializeAsAny

from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry

Quantity = Literal["state", "drive", "recurrent", "conv"]
MONITOR = (
    "what is monitored in each layer: state (activity), drive (what the solver integrates), recurrent (the recurrent "
    "signal) or conv (output of the layer's own convolution)"
)


class LossConfig(Section):
    """One term of the loss.

    Attributes:
        computed_by: the loss itself, a class; or the place of it, so that planning does not import torch.
    """

    identifying = ("name",)
    computed_by: ClassVar[str | type] = ""

    name: str = key("CrossEntropyLoss", "loss by name")
    weight: float = key(1.0, "factor of this term in the sum", ge=0)


class CrossEntropyTerm(LossConfig):
    """Cross-entropy over the scored steps."""

    computed_by = "dynvision.losses.cross_entropy:CrossEntropyLoss"
    name: Literal["CrossEntropyLoss"] = key("CrossEntropyLoss", "loss by name")


class MonitoringTerm(LossConfig):
    """A term that monitors layers."""

    layers: tuple[str, ...] = key((), "layers that are monitored; empty: all that have this quantity")


class ActivityTerm(MonitoringTerm):
    """Mean absolute activity."""

    computed_by = "dynvision.losses.activity:ActivityLoss"
    name: Literal["ActivityLoss"] = key("ActivityLoss", "loss by name")
    monitor: Quantity = key("state", MONITOR)
    signed: bool = key(False, "absolute value of the mean over units, instead of mean of absolute values")


class EnergyTerm(MonitoringTerm):
    """Mean squared activity."""

    computed_by = "dynvision.losses.energy:EnergyLoss"
    name: Literal["EnergyLoss"] = key("EnergyLoss", "loss by name")
    monitor: Quantity = key("state", MONITOR)


class TemporalConsistencyTerm(MonitoringTerm):
    """Mean squared change from step to step."""

    computed_by = "dynvision.losses.temporal_consistency:TemporalConsistencyLoss"
    name: Literal["TemporalConsistencyLoss"] = key("TemporalConsistencyLoss", "loss by name")
    monitor: Literal["output", "state", "drive", "recurrent", "conv"] = key(
        "output", f"output (class probabilities, between scored steps), or {MONITOR}"
    )


LOSSES: Registry[type[LossConfig]] = Registry("loss", key="training.loss")
for _term_of in (CrossEntropyTerm, ActivityTerm, EnergyTerm, TemporalConsistencyTerm):
    LOSSES.add(_term_of.model_fields["name"].default, _term_of)

LossTerm = SerializeAsAny[LossConfig]  # every term with the keys of its own


def loss_terms(value: Any) -> tuple[LossConfig, ...]:
    """The terms of a loss, in whichever form it is written.

    Args:
        value: a name, ``{name: weight}``, ``{name: {argument: value}}``, ``{name: ..., argument: value}``, or a list of
            these.

    Raises:
        InputError: another form, an unknown loss or argument, no term at all, or none that weighs.
    """
    terms = tuple(_term(values) for values in loss_forms(value))
    if not terms:
        raise InputError("training.loss is empty; name at least one loss, e.g. loss: [CrossEntropyLoss]")
    if not any(term.weight for term in terms):
        raise InputError("training.loss: no term has a weight above 0; raise at least one")
    return terms


def _term(values: Mapping[str, Any]) -> LossConfig:
    name = values.get("name", LossConfig.model_fields["name"].default)
    return validate(LOSSES[str(name)], values, f"training.loss.{name}")


def loss_forms(value: Any) -> list[dict[str, Any]]:
    """Name and settings of each term, as :func:`loss_terms` takes them, unchecked.

    Raises:
        InputError: another form.
    """
    if isinstance(value, str):
        return [{"name": value}]
    if isinstance(value, LossConfig):
        return [value.model_dump()]
    if isinstance(value, Mapping):
        if "name" in value:
            return [dict(value)]
        return [_named(name, spec) for name, spec in value.items()]
    if isinstance(value, (list, tuple)):
        return [form for item in value for form in loss_forms(item)]
    raise InputError(
        f"loss={value!r} is not valid; write a list of loss names, e.g. loss: [CrossEntropyLoss]"
    )


def _named(name: Any, spec: Any) -> dict[str, Any]:
    return {"name": name, **(spec if isinstance(spec, Mapping) else {"weight": spec})}


# With the arguments that may be given beside learning_rate and weight_decay.
OPTIMIZERS: dict[str, tuple[str, ...]] = {
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
