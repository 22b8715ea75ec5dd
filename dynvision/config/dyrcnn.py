"""Arguments of the DyRCNN family: its connections, and what adapts and normalises its layers. Times are in ms."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from dynvision.config.model import RecurrentArgs
from dynvision.config.section import ByLayer, key, layer_key, numbers_of
from dynvision.errors import InputError

Trained = Literal[
    "tau",
    "tau.channel",
    "t_feedforward",
    "t_recurrence",
    "t_skip",
    "t_feedback",
    "sigma",
    "sigma.channel",
    "normalization_gain",
    "normalization_gain.channel",
]
UnitBias = Literal["none", "spatial", "feature", "scalar"]


def layers_of_area(area: str, extra_layers: int) -> list[str]:
    """Return the names of an area's layers, in their order: V1_1, V1_2, V1."""
    return [*(f"{area}_{number + 1}" for number in range(extra_layers)), area]


class DyRCNNArgs(RecurrentArgs):
    """Architecture and dynamics of the DyRCNN family."""

    width: float = key(1.0, "factor on the number of channels of every layer", gt=0)
    extra_layers: int = key(
        0,
        "further convolutional layers in each area, before the one that the area is named after",
        ge=0,
        le=8,
    )
    skip: bool = key(True, "skip connections from an earlier to a later layer")
    without_skip: bool = key(False, "silence the skip connections of a model that has them")
    t_skip: ByLayer = layer_key(0.0, "delay of the skip connections; by target layer", "ms", ge=0)
    feedback: Literal["none", "additive", "multiplicative"] = key(
        "none",
        "feedback connections and their merge (true or add: additive; mul: multiplicative; false: none)",
    )
    t_feedback: ByLayer = layer_key(
        30.0, "delay of the feedback connections, at least dt; by target layer", "ms", gt=0
    )
    bias: bool = key(True, "biases in convolutions")
    unit_bias: UnitBias = key(
        "none", "further additive bias on the drive: per unit, per feature or one per layer"
    )
    supralinearity: ByLayer = layer_key(
        1.0, "exponent n of k sign(x) |x|^n after the nonlinearity; 1 switches it off", gt=0
    )
    supralinearity_gain: ByLayer = layer_key(0.8, "gain k of the supralinearity", gt=0)
    retina: bool = key(
        False, "retinal bottleneck of 18 channels before the first layer (Lindsey et al. 2019)"
    )
    input_adaptation: ByLayer = layer_key(
        0.0,
        "strength of the gain adaptation of an input; 0 switches it off; one number is of the image alone",
        ge=0,
        le=1,
    )
    tau_input_adaptation: ByLayer = layer_key(50.0, "time constant of input adaptation", "ms", gt=0)
    input_adaptation_offset: ByLayer = layer_key(
        0.0, "recent input below which it does not adapt", "a.u.", ge=0
    )
    intrinsic_suppression: ByLayer = layer_key(
        0.0, "strength b of intrinsic suppression (Vinken et al. 2020); 0 switches it off", ge=0
    )
    tau_intrinsic_suppression: ByLayer = layer_key(50.0, "time constant of the suppression state", "ms", gt=0)
    intrinsic_suppression_offset: ByLayer = layer_key(
        0.0, "recent activity below which nothing is suppressed", "a.u.", ge=0
    )
    synaptic_depression: ByLayer = layer_key(
        0.0,
        "part of its synaptic resources that an activity of 1 uses in a ms (Tsodyks & Markram 1997); 0 switches it off",
        "1/ms",
        ge=0,
    )
    tau_recovery: ByLayer = layer_key(
        800.0, "time constant with which inactive resources recover", "ms", gt=0
    )
    tau_inactivation: ByLayer = layer_key(
        3.0, "time constant with which used resources become inactive", "ms", gt=0
    )
    divisive_normalization: bool = key(
        False, "divide a layer's output by its own low-pass (delayed normalisation, Groen et al. 2022)"
    )
    tau_divisive_normalization: ByLayer = layer_key(
        100.0,
        "time constant of the normalisation pool, or of the normalising cells of organics, tau_n",
        "ms",
        gt=0,
    )
    sigma: ByLayer = layer_key(
        1.0,
        "semi-saturation of the normalisation, in units of activity (of organics, of the drive)",
        "a.u.",
        gt=0,
    )
    normalization_exponent: ByLayer = layer_key(1.0, "exponent n of the normalisation", ge=1)
    normalization_gain: ByLayer = layer_key(
        0.0, "gain of the normalisation; 0 is sigma^n, with which a silent pool changes nothing", ge=0
    )
    normalization_pool: Literal["unit", "channel", "layer"] = key(
        "unit",
        "what a unit is divided by: its own past, or the mean over a neighbourhood of its channel or all channels",
    )
    normalization_size: int = key(0, "side of that neighbourhood, odd; 0 is the whole map", "px", ge=0)
    train: list[Trained] = key(  # type: ignore[assignment]
        [],
        "numbers that are learned, one a layer or connection: tau, delays (whole numbers of steps in a test), "
        "sigma, normalization_gain; but delays with .channel after the name, one a channel",
    )
    drive_noise: ByLayer = layer_key(0.0, "standard deviation of Gaussian noise on the drive", ge=0)

    @field_validator("feedback", mode="before")
    @classmethod
    def _feedback_forms(cls, value: Any) -> Any:
        forms = {
            "true": "additive", "add": "additive", "mul": "multiplicative", "false": "none", "null": "none"
        }  # fmt: skip
        return forms.get(str(value).lower(), "none" if value is None else value)

    @model_validator(mode="after")
    def _adaptation_is_possible(self) -> DyRCNNArgs:
        for name in (
            "tau_input_adaptation",
            "tau_intrinsic_suppression",
            "tau_recovery",
            "tau_divisive_normalization",
        ):
            for layer, tau in numbers_of(getattr(self, name)):
                if tau < self.dt:
                    raise InputError(f"{name}{layer}={tau:g} ms must not be smaller than dt={self.dt:g} ms")
        if self.normalization_size and self.normalization_size % 2 == 0:
            raise InputError(
                f"normalization_size={self.normalization_size} px must be odd, or 0 for the whole map"
            )
        return self

    def owners(self) -> dict[str, tuple[bool, str]]:
        def on(name: str, off: float = 0.0) -> tuple[bool, str]:
            there = any(value != off for _, value in numbers_of(getattr(self, name)))
            return there, f"{name}; set {name}"

        normalizes, organics = self.divisive_normalization, self.dynamics_solver == "organics"
        whose = "the normalisation; set divisive_normalization: true"
        either = (normalizes or organics, f"{whose} or dynamics_solver: organics")
        normalization, depression = (normalizes, whose), on("synaptic_depression")
        pool = (
            normalizes and self.normalization_pool != "unit",
            f"{whose} and normalization_pool, e.g. to channel",
        )
        skips = "the skip connections; set skip: true"
        feedback = (self.feedback != "none", "the feedback; set feedback, e.g. to additive")
        return {
            **super().owners(),
            "sigma": either,
            "tau_divisive_normalization": either,
            **dict.fromkeys(
                ("normalization_exponent", "normalization_gain", "normalization_pool"), normalization
            ),
            "normalization_size": pool,
            "t_skip": (self.skip, skips),
            "without_skip": (self.skip, skips),
            "t_feedback": feedback,
            "supralinearity_gain": on("supralinearity", 1.0),
            **dict.fromkeys(("tau_input_adaptation", "input_adaptation_offset"), on("input_adaptation")),
            **dict.fromkeys(
                ("tau_intrinsic_suppression", "intrinsic_suppression_offset"), on("intrinsic_suppression")
            ),
            **dict.fromkeys(("tau_recovery", "tau_inactivation"), depression),
        }
