"""Arguments of published models: feedforward networks that can be given a recurrence, and models of visual cortex.

Durations and time constants are in ms. The delays that these networks count in steps are durations here, so that halving
``dt`` is the same physical network. A feedforward network is stateless until it has a ``recurrence_type``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from dynvision.config.model import RecurrentArgs, TemporalArgs
from dynvision.config.section import ByLayer, key, layer_key, numbers_of
from dynvision.errors import InputError

# All but those on the topographic sheet, which need square numbers of channels.
RecurrenceWithoutSheet = Literal[
    "none", "self", "depthwise", "pointwise", "full", "depthpointwise", "pointdepthwise"
]


class OptionallyRecurrentArgs(RecurrentArgs):
    """Leak and recurrence, both there only with a ``recurrence_type`` other than none."""

    recurrence_type: RecurrenceWithoutSheet | dict[str, RecurrenceWithoutSheet] = key(  # type: ignore[assignment]
        "none",
        "operator from a layer's delayed activity to its own target; none is the published, stateless layer; also by layer",
    )

    @property
    def leaks(self) -> bool:
        """Whether the layers integrate in time."""
        return self.recurs

    def owners(self) -> dict[str, tuple[bool, str]]:
        leak = (self.leaks, "a recurrence and its leak; set recurrence_type, e.g. to full")
        names = [name for name in super().owners() if name not in TemporalArgs.model_fields]
        names += ["tau", "train_tau", "dynamics_solver", "nonlinearity_position"]
        return {**super().owners(), **dict.fromkeys(names, leak)}


class AlexNetArgs(OptionallyRecurrentArgs):
    """AlexNet: five layers of one convolution."""

    recurrence_target: Literal["output", "input"] = key(  # type: ignore[assignment]
        "output", "where the recurrent signal enters the layer"
    )
    classifier_width: int = key(4096, "units of each of the two hidden layers of the classifier", ge=1)
    dropout: float = key(0.5, "dropout before the first two linear layers of the classifier", ge=0, lt=1)


class ResNetArgs(OptionallyRecurrentArgs):
    """ResNet for photographs: four stages of residual blocks, each a layer; `middle` is before a stage's last block."""


class CifarResNetArgs(OptionallyRecurrentArgs):
    """ResNet for images of 32 px: three stages of residual blocks, each a layer; `middle` is before the last block."""


LEARNED = "numbers that are learned, one a layer or connection; delays are whole numbers of steps in a test"
GROUPS = 32  # of the group normalisations of CORnet-R and -RT


class CORnetArgs(TemporalArgs):
    """CORnet-Z and -S, which see each frame for itself."""

    n_timesteps: int = key(1, "length of a presentation in steps of dt", "steps", ge=1)
    width: float = key(1.0, "factor on the published number of channels", gt=0)


class CORnetRArgs(CORnetArgs):
    """CORnet-R: areas that add their own last output, and receive the area below in the same step."""

    n_timesteps: int = key(5, "length of a presentation in steps of dt", "steps", ge=1)
    t_recurrence: ByLayer = layer_key(2.0, "delay of an area's own output, at least dt", "ms", gt=0)
    train: list[Literal["t_recurrence"]] = key([], LEARNED)

    @model_validator(mode="after")
    def _groups_share_channels(self) -> CORnetRArgs:
        if (64 * self.width) % GROUPS:
            raise InputError(
                f"width={self.width:g} gives V1 {64 * self.width:g} channels, which {GROUPS} groups cannot share; "
                "set width to a multiple of 0.5"
            )
        return self


class CORnetRTArgs(CORnetRArgs):
    """CORnet-RT: as CORnet-R, with the output of the area below one step old."""

    t_feedforward: ByLayer = layer_key(2.0, "delay from one area to the next", "ms", ge=0)


class CordsNetArgs(TemporalArgs):
    """CordsNet: rate units in ResNet's arrangement, from spontaneous activity."""

    n_timesteps: int = key(100, "length of a presentation in steps of dt", "steps", ge=1)
    t_idle: float = key(
        200.0, "null input before the presentation, not recorded, without gradient", "ms", ge=0
    )
    t_feedforward: ByLayer = layer_key(
        2.0, "delay from one area to the next and to the one after", "ms", ge=0
    )
    t_recurrence: ByLayer = layer_key(2.0, "delay of an area's own activity, at least dt", "ms", gt=0)
    tau: ByLayer = layer_key(10.0, "time constant of every unit", "ms", gt=0)
    train: list[Literal["tau", "tau.channel", "t_recurrence"]] = key(
        [], f"{LEARNED}; tau.channel is one time constant a channel"
    )
    width: float = key(1.0, "factor on the published number of channels", gt=0)

    @model_validator(mode="after")
    def _euler_can_integrate(self) -> CordsNetArgs:
        for layer, tau in numbers_of(self.tau):
            if self.dt > tau:
                raise InputError(
                    f"dt={self.dt:g} ms is larger than tau{layer}={tau:g} ms, which the Euler solver cannot integrate; "
                    "lower dt or raise tau"
                )
        return self


class BLArgs(TemporalArgs):
    """BL: bottom-up and lateral connections."""

    n_timesteps: int = key(8, "length of a presentation in steps of dt", "steps", ge=1)
    t_feedforward: ByLayer = layer_key(
        0.0,
        "delay from one layer to the next; 0 unrolls in engineering time, dt in biological time",
        "ms",
        ge=0,
    )
    t_recurrence: ByLayer = layer_key(2.0, "delay of a layer's own activity, at least dt", "ms", gt=0)
    train: list[Literal["t_recurrence"]] = key([], LEARNED)
    norm_steps: int = key(
        0, "steps with a batch normalisation of their own; 0: as many as a presentation has", "steps", ge=0
    )
    width: float = key(1.0, "factor on the published number of channels", gt=0)


class BLTArgs(BLArgs):
    """BLT: bottom-up, lateral and top-down connections."""

    t_feedback: ByLayer = layer_key(2.0, "delay from a layer to the one below, at least dt", "ms", gt=0)
    train: list[Literal["t_recurrence", "t_feedback"]] = key([], LEARNED)  # type: ignore[assignment]
