"""Experiment configuration: what is shown, what is varied and what is measured, in ms from stimulus onset."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from dynvision.config.measures import MEASURES
from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError, unknown_name

STIMULUS_PARAMETERS: dict[str, str] = {
    "contrast": "",
    "duration_ms": "ms",
}


class Stimulus(Section):
    """One image shown once: blank, image, blank."""

    type: Literal["pulse"] = key("pulse", "pulse: the image is on for duration_ms from time 0")
    duration_ms: float = key(40.0, "how long the image is on", "ms", gt=0)
    contrast: float = key(
        1.0, "amplitude about the mean grey of the pixels; 1 is the image itself", ge=0, le=1
    )


class ExperimentConfig(Section):
    """One experiment: a stimulus, the parameter that varies, and the time that is recorded."""

    stimulus: Stimulus = key(Stimulus(), "what is shown")
    parameter: str = key("contrast", "the key of the stimulus that varies")
    values: tuple[float, ...] = key((1.0,), "the values that the parameter takes")
    baseline_ms: float = key(2.0, "blank recorded before stimulus onset", "ms", ge=0)
    recorded_ms: float = key(60.0, "time recorded from stimulus onset", "ms", gt=0)
    model_args: dict[str, Any] = key({}, "model arguments that apply during the test, e.g. t_idle")
    measures: tuple[str, ...] = key(tuple(MEASURES), "measures of the responses")
    focus_layer: str = key("", "layer that the summary figure shows first; empty is the model's first layer")

    @field_validator("values", mode="before")
    @classmethod
    def _one_value_is_a_list(cls, value: Any) -> Any:
        return value if isinstance(value, (list, tuple)) else (value,)

    @model_validator(mode="after")
    def _names_are_known(self) -> ExperimentConfig:
        if self.parameter not in STIMULUS_PARAMETERS:
            raise unknown_name("experiment parameter", self.parameter, STIMULUS_PARAMETERS, key="parameter")
        for measure in self.measures:
            if measure not in MEASURES:
                raise unknown_name("measure", measure, MEASURES, key="measures")
        if not self.values:
            raise InputError(f"values is empty; list the values that {self.parameter} takes")
        for value in self.values:
            validate(Stimulus, {**self.stimulus.model_dump(), self.parameter: value}, "values")
        longest = max([*self.values] if self.parameter == "duration_ms" else [self.stimulus.duration_ms])
        if longest > self.recorded_ms:
            raise InputError(
                f"recorded_ms={self.recorded_ms:g} ms ends before the longest stimulus of {longest:g} ms does; "
                f"raise recorded_ms"
            )
        return self
