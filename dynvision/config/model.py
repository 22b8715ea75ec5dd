"""Model configuration: what is built, which solver integrates it, and how it runs in time.

Durations and time constants are in ms. A solver is imported when it is looked up, so that planning imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

from pydantic import ValidationInfo, field_validator, model_validator

from dynvision.config.section import (
    RULE,
    ByLayer,
    OneOf,
    Section,
    check_numbers,
    is_by_layer,
    key,
    layer_key,
    numbers_of,
    validate,
)
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry
from dynvision.units import ms_to_steps

SOLVERS: Registry[Any] = Registry("solver", key="model_args.dynamics_solver")
for _name, _class in {
    "euler": "solvers:EulerStep",
    "exponential_euler": "solvers:ExponentialEulerStep",
    "rk4": "solvers:RungeKuttaStep",
    "liquid": "solvers:LiquidStep",
    "organics": "normalization:OrganicsStep",
}.items():
    SOLVERS.add(_name, f"dynvision.model_components.{_class}")


RecurrenceType = Literal[
    "none",
    "self",
    "depthwise",
    "pointwise",
    "full",
    "depthpointwise",
    "pointdepthwise",
    "local",
    "localdepthwise",
]
RecurrenceTarget = Literal["output", "middle", "input"]
Merge = Literal["additive", "multiplicative"]
NonlinearityPosition = Literal["state", "drive"]

RECURRENCE_TYPES: tuple[str, ...] = get_args(RecurrenceType)
# The types that map C channels to C channels.
KEEPS_CHANNELS = frozenset({"self", "depthwise", "local", "localdepthwise"})
RECURRENCE_TARGETS: tuple[str, ...] = get_args(RecurrenceTarget)
DYNAMICS_SOLVERS: tuple[str, ...] = tuple(SOLVERS)  # of the package


class TemporalArgs(Section):
    """The time grid, the trial and the presentation, common to all models."""

    dt: float = key(2.0, "integration time step", "ms", gt=0)
    n_timesteps: int = key(20, "length of a presentation in steps of dt", "steps", ge=1)
    t_idle: float = key(0.0, "null input before the presentation, not recorded, without gradient", "ms", ge=0)
    t_feedforward: ByLayer = layer_key(
        0.0, "delay from one layer to the next; 0 is a cascade within a step", "ms", ge=0
    )
    data_presentation_pattern: str = key(
        "1", "symbols 0 and 1 stretched over the presentation; 0 shows the null input", pattern="^[01]+$"
    )
    shuffle_presentation_pattern: bool = key(False, "permute the pattern's symbols once per training batch")
    loss_reaction_time: float = key(0.0, "labels are ignored for this long after each onset", "ms", ge=0)
    non_input_value: float = key(0.0, "value of the null input after normalisation; 0 is the mean grey")
    non_label_index: int = key(-1, "label that the loss ignores", le=-1)
    truncated_bptt_timesteps: int = key(
        0, "cut the gradient every so many steps; 0 never does", "steps", ge=0
    )
    feedforward_only: bool = key(False, "remove recurrence and feedback, keep skips")
    lesion: str = key(
        "",
        "connection that is cooled, by name: V4->V1, or with its kind in front: skip V1->V2 (Kietzmann et al. 2019)",
    )
    lesion_gain: float = key(
        0.0, "factor on what the lesioned connection conveys; 0 is a lesion, 1 changes nothing", ge=0, le=1
    )
    t_lesion_start: float | None = key(
        None,
        "start of the lesion, from stimulus onset; null is the start of the trial, idle time included",
        "ms",
    )
    t_lesion_end: float | None = key(
        None, "end of the lesion, from stimulus onset; null is the end of the trial", "ms"
    )

    @classmethod
    def family(cls) -> str:
        """The family of models that takes these arguments."""
        return cls.__name__.removesuffix("Args")

    def owners(self) -> dict[str, tuple[bool, str]]:
        """For arguments that are of something else: whether that is there, and what it is and how to have it."""
        pattern = {*self.data_presentation_pattern} == {"0", "1"}
        return {
            "shuffle_presentation_pattern": (
                pattern,
                "a pattern of 0 and 1; set data_presentation_pattern, e.g. to 1011",
            )
        }

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_by_layer(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        if not is_by_layer(field):
            return value
        bounds: Any = field.json_schema_extra["by_layer"]  # type: ignore[index, call-overload]
        return check_numbers(value, bounds, str(info.field_name))

    @field_validator("data_presentation_pattern", mode="before")
    @classmethod
    def _pattern_is_text(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return "".join(str(symbol) for symbol in value)
        return str(value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _durations_fit_the_grid(self) -> TemporalArgs:
        for name in type(self).model_fields:
            if not is_duration(name) or name.startswith("t_lesion"):
                continue
            shortest = self.dt if name in ("t_recurrence", "t_feedback") else 0.0
            for layer, value in numbers_of(getattr(self, name)):
                ms_to_steps(value, self.dt, f"{name}{layer}", minimum_ms=shortest)
        lesion_window(self.t_lesion_start, self.t_lesion_end, self.dt)
        idle = {"lesion_gain": 0.0, "t_lesion_start": None, "t_lesion_end": None}
        for name, default in idle.items():
            if not self.lesion and getattr(self, name) != default:
                raise InputError(
                    f"{name}={getattr(self, name):g} is of a lesion, and none is there; name a connection in lesion, e.g. "
                    "lesion: V1->V2, or leave it out"
                )
        shown = self._longest_stimulus_steps() * self.dt
        if not shown:
            raise InputError(
                f"data_presentation_pattern={self.data_presentation_pattern!r} does not show the stimulus in every "
                f"presentation of {self.n_timesteps} steps; use more of 1, fewer symbols, or raise n_timesteps"
            )
        if self.loss_reaction_time >= shown:
            raise InputError(
                f"loss_reaction_time={self.loss_reaction_time:g} ms leaves nothing to score of a stimulus of "
                f"{shown:g} ms; lower it or raise n_timesteps"
            )
        return self

    @model_validator(mode="after")
    def _each_number_is_learned_once(self) -> TemporalArgs:
        learned = list(vars(self).get("train", ())) + (["tau"] if vars(self).get("train_tau") else [])
        for name in learned:
            if name.endswith(".channel") and name.removesuffix(".channel") in learned:
                raise InputError(
                    f"{name.removesuffix('.channel')} is learned one a layer and one a channel ({name}); leave one of them "
                    "out of train" + (", or set train_tau: false" if vars(self).get("train_tau") else "")
                )
        return self

    def _longest_stimulus_steps(self) -> int:
        """Steps for which the stimulus is on without a break at least once in every presentation."""
        symbols, steps = self.data_presentation_pattern, self.n_timesteps
        if self.shuffle_presentation_pattern and "1" in symbols and "0" in symbols:
            return steps // len(symbols)
        # Symbol k is shown from step ceil(k steps / n) on: counted, since a trial may have more steps than memory holds.
        begins = [-(-k * steps // len(symbols)) for k in range(len(symbols) + 1)]
        longest = shown = 0
        for symbol, (begin, end) in zip(symbols, pairwise(begins), strict=True):
            if begin < end:  # with more symbols than steps, some are never shown
                shown = shown + end - begin if symbol == "1" else 0
                longest = max(longest, shown)
        return longest


def is_duration(name: str) -> bool:
    """Return whether a model argument is in ms and a multiple of ``dt``."""
    return name.startswith("t_") or name == "loss_reaction_time"


def check_grid(name: str, numbers: Mapping[str, Any], given: Any, dt: float) -> None:
    """Check that the durations of all layers are on the time grid, those in the middle of a rule, too.

    Args:
        name: the argument.
        numbers: its value by layer, in ms where it is a duration.
        given: the value as it was given, for errors.
        dt: integration step in ms.

    Raises:
        InputError: naming the layer whose duration is not a multiple of dt.
    """
    if not is_duration(name) or not isinstance(given, Mapping) or {*given} != RULE:
        return
    for layer, value in numbers.items():
        try:
            ms_to_steps(value, dt, f"{name}.{layer}")
        except InputError as error:
            raise InputError(
                f"{name} from {given['first']:g} to {given['last']:g} ms in equal ratios: {error}; give {name} by layer"
            ) from None


def lesion_window(start: float | None, end: float | None, dt: float) -> tuple[int | None, int | None]:
    """Return the window of a lesion in steps from stimulus onset; None where it has no start or no end.

    Raises:
        InputError: it is off the time grid, or empty.
    """
    first, last = (
        None if at is None else ms_to_steps(at, dt, name, minimum_ms=-math.inf)
        for at, name in ((start, "t_lesion_start"), (end, "t_lesion_end"))
    )
    if first is not None and last is not None and last <= first:
        raise InputError(f"t_lesion_end={end:g} ms must be after t_lesion_start={start:g} ms")
    return first, last


def kinds_of(value: str | Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the types of recurrence of a value, each with what follows the key's name: nothing, or ``.V1``."""
    return (
        [(f".{layer}", kind) for layer, kind in value.items()]
        if isinstance(value, Mapping)
        else [("", value)]
    )


def presentation_arguments(**arguments: Any) -> TemporalArgs:
    """Check how a batch is shown where that comes as arguments in Python, by the rules of a configuration.

    The time grid of the model is not known there, so one is taken on which every duration and pattern fits.

    Args:
        **arguments: of :class:`TemporalArgs`, without the grid.

    Raises:
        InputError: one is unknown or not possible.
    """
    reaction, pattern = (
        arguments.get("loss_reaction_time", 0),
        str(arguments.get("data_presentation_pattern")),
    )
    dt = reaction if isinstance(reaction, (int, float)) and 0 < reaction < float("inf") else 1.0
    return validate(TemporalArgs, {"dt": dt, "n_timesteps": 2 * max(1, len(pattern)), **arguments}, "")


class RecurrentArgs(TemporalArgs):
    """Leak and recurrence within a layer, common to the models that can have both."""

    tau: ByLayer = layer_key(5.0, "time constant (the starting value where it is learned)", "ms", gt=0)
    train_tau: bool = key(False, "learn one positive time constant per layer")
    dynamics_solver: Annotated[str, OneOf(SOLVERS)] = key(
        "euler",
        "how the units are integrated; liquid: units whose time constant depends on their drive (Hasani et al. 2021); "
        "organics: units that normalise each other (Heeger & Mackey 2019)",
    )
    nonlinearity_position: NonlinearityPosition = key(
        "state", "state: r = Phi(step(h, z)), as DynVision 0.1; drive: r = step(h, Phi(z)), the rate equation"
    )
    recurrence_type: RecurrenceType | dict[str, RecurrenceType] = key(
        "full", "operator from a layer's delayed activity to its own target; also by layer"
    )
    recurrence_target: RecurrenceTarget = key("output", "where the recurrent signal enters the layer")
    recurrence_merge: Merge = key("additive", "additive: x + h; multiplicative: x (1 + tanh h)")
    t_recurrence: ByLayer = layer_key(6.0, "delay of the recurrent connection, at least dt", "ms", gt=0)
    max_weight_init: float = key(0.001, "recurrent weights start uniform in +- this", ge=0)
    train: list[Literal["tau", "tau.channel", "t_feedforward", "t_recurrence"]] = key(
        [],
        "numbers that are learned, one a layer: tau (tau.channel: one a channel) and delays (whole steps "
        "in a test)",
    )

    @property
    def leaks(self) -> bool:
        """Whether the layers integrate in time."""
        return True

    @property
    def recurs(self) -> bool:
        """Whether a layer has a recurrence; one that a mapping leaves out has the type that is the default."""
        default = type(self).model_fields["recurrence_type"].default
        left_out = isinstance(self.recurrence_type, Mapping) and default != "none"
        return left_out or any(kind != "none" for _, kind in kinds_of(self.recurrence_type))

    def owners(self) -> dict[str, tuple[bool, str]]:
        recurrence = (self.recurs, "the recurrence; set recurrence_type, e.g. to full")
        names = ("recurrence_target", "recurrence_merge", "t_recurrence", "max_weight_init")
        return {**super().owners(), **dict.fromkeys(names, recurrence)}

    @model_validator(mode="after")
    def _what_is_learned_is_there(self) -> RecurrentArgs:
        owners = self.owners()
        for name in (*self.train, *(["tau"] if self.train_tau else [])):
            there, owner = owners.get(name.partition(".")[0], (True, ""))
            if not there:
                key_name = f"train: {name}" if name in self.train else "train_tau"
                raise InputError(f"{key_name} is of {owner}, or leave {name} out of train")
        return self

    @field_validator("recurrence_type", mode="before")
    @classmethod
    def _types_are_known(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and (not value or RULE & {*value}):
            raise InputError(
                f"recurrence_type={dict(value)!r} is not valid: types form no series; give one, or types by layer, e.g. "
                "{V1: self}"
            )
        annotation = cls.model_fields["recurrence_type"].annotation
        allowed = [name for part in get_args(annotation) for name in (get_args(part) or (part,))]
        allowed = [name for name in allowed if name in RECURRENCE_TYPES]
        for layer, name in kinds_of(value):
            if name not in allowed:
                raise unknown_name("value", name, allowed, key=f"model_args.recurrence_type{layer}")
        return value

    @model_validator(mode="after")
    def _euler_can_integrate(self) -> RecurrentArgs:
        for layer, tau in numbers_of(self.tau):
            if self.leaks and self.dynamics_solver == "euler" and self.dt > tau:
                raise InputError(
                    f"dt={self.dt:g} ms is larger than tau{layer}={tau:g} ms, which the Euler solver cannot integrate; "
                    f"lower dt, raise tau, or set dynamics_solver: exponential_euler"
                )
        return self
