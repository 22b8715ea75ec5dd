"""Experiment configuration: what is shown, what is varied and what is measured, in ms from stimulus onset."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Literal

from pydantic import GetJsonSchemaHandler, SerializeAsAny, ValidationInfo, field_validator, model_validator
from pydantic_core import CoreSchema

from dynvision import plugins
from dynvision.config.identity import PLUGINS, plugins_of_experiment
from dynvision.config.measures import DEFAULT_MEASURES, DEFINED_FOR, MEASURES, NOT_OF_A_LAYER
from dynvision.config.parameter import ONLY_IN_TRAINING, Parameter, find_parameter
from dynvision.config.section import Section, key, validate
from dynvision.config.transforms import ALL, Classes, class_list, resolve_group
from dynvision.errors import InputError, unknown_name
from dynvision.noise.blend import NoiseConfig
from dynvision.stimuli.stimulus import STIMULI, Span, Stimulus, read_stimulus, trial_spans
from dynvision.trials.content import Image, Null
from dynvision.units import ms_to_steps


class _OneOfTheStimuli:
    """The JSON schema of a stimulus: any of the registered ones."""

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"oneOf": [handler(stimulus.__pydantic_core_schema__) for stimulus in STIMULI.values()]}


AnyStimulus = Annotated[SerializeAsAny[Stimulus], _OneOfTheStimuli()]

TestGroup = str | Classes | dict[str, Classes]


@dataclass(frozen=True)
class Setting:
    """An experiment at one value of its parameter.

    Attributes:
        value: the value; true is 1 and false is 0.
        stimulus, noise: what is shown.
        model_args: arguments of the model that apply instead of the run's.
        checkpoint: epoch whose weights are used, from 1; None for the best ones.
    """

    value: float
    stimulus: Stimulus
    noise: NoiseConfig
    model_args: dict[str, Any]
    checkpoint: int | None = None


class ExperimentConfig(Section):
    """One experiment: a stimulus, the parameter that varies, and the time that is recorded."""

    like: str = key("", "another experiment, whose keys apply where this one has none")
    stimulus: AnyStimulus = key(read_stimulus({}), "what is shown")
    noise: NoiseConfig = key(NoiseConfig(), "noise on the image")
    parameter: str = key(
        "contrast", "what varies: a key of the stimulus or noise, an argument of the model, or checkpoint"
    )
    values: tuple[bool | float, ...] = key((1.0,), "the values that the parameter takes")
    baseline_ms: float = key(2.0, "blank recorded before stimulus onset", "ms", ge=0)
    recorded_ms: float = key(60.0, "time recorded from stimulus onset", "ms", gt=0)
    model_args: dict[str, Any] = key({}, "model arguments that apply during the test, e.g. t_idle")
    n_images: int = key(0, "test images that are shown, as many of each class as can be; 0 shows all", ge=0)
    group: TestGroup = key(
        ALL, "test images of these classes only: a group of the data set, or a list; labels stay as trained"
    )
    measures: tuple[str, ...] = key(DEFAULT_MEASURES, "measures of the responses")
    focus_layer: str = key("", "layer that the summary figure shows first; empty is the model's first layer")
    save_responses: Literal["none", "unit"] = key(
        "none", "unit also keeps the activity of every unit, of as many images as save_responses_mb allows"
    )
    save_responses_mb: float = key(
        500.0, "bound on the activity that is kept, before compression", "MB", gt=0
    )

    @field_validator("values", mode="before")
    @classmethod
    def _one_value_is_a_list(cls, value: Any) -> Any:
        try:
            values = (value,) if isinstance(value, (str, Mapping)) else tuple(value)
        except TypeError:  # one value
            values = (value,)
        for given in values:
            if not isinstance(given, Real):  # a truth value is one
                raise InputError(f"values: {given!r} is neither a number nor true or false")
            if not math.isfinite(given):
                raise InputError(f"values: {given!r} is not finite; list the values that are shown")
        return [given if isinstance(given, bool) else float(given) for given in values]

    @field_validator("group", mode="before")
    @classmethod
    def _group_by_name_or_list(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {str(data): class_list(classes, f"group.{data}") for data, classes in value.items()}
        return class_list(value, "group") if isinstance(value, (list, tuple)) else str(value)

    @field_validator("stimulus", mode="before")
    @classmethod
    def _stimulus_by_its_type(cls, value: Any, info: ValidationInfo) -> Any:
        where = (info.context or {}).get("where")
        return read_stimulus(value, f"{where}.stimulus" if where else "stimulus")

    @model_validator(mode="after")
    def _everything_is_possible(self) -> ExperimentConfig:
        self.find_parameter()
        for measure in self.measures:
            if measure not in MEASURES:
                raise unknown_name("measure", measure, MEASURES, key="measures")
        if not self.values:
            raise InputError(f"values is empty; list the values that {self.parameter} takes")
        for value in self.values:
            if self.values.count(value) > 1:
                raise InputError(f"values has {value:g} twice; list every value once")
            self.trial(value)
        shown = [f"{value:g}" for value in self.values]
        for value, text in zip(self.values, shown, strict=True):
            if shown.count(text) > 1:
                raise InputError(
                    f"values has {value!r} and another that is {text} to six digits, as figures write it; "
                    "leave one out or move them apart"
                )
        self._measures_are_defined()
        for name in self.model_args:
            if name in ONLY_IN_TRAINING:
                raise InputError(f"model_args.{name} changes nothing in a test: {ONLY_IN_TRAINING[name]}")
        if self.stimulus.type == "film" and self.n_images != 1:
            raise InputError("a film is the same for every image; set n_images: 1")
        return self

    def _measures_are_defined(self) -> None:
        """Check that each measure holds for what varies, and that one of them is of a layer."""
        for measure in self.measures:
            varies, fewest = DEFINED_FOR.get(measure, (self.parameter, 0))
            if self.parameter != varies:
                raise InputError(
                    f"measure {measure!r} is of experiments that vary {varies}, not {self.parameter}; "
                    f"remove it from measures, or set parameter: {varies}"
                )
            if sum(value > 0 for value in self.values) < fewest:
                raise InputError(
                    f"measure {measure!r} needs at least {fewest} values of {varies} above 0, and values has "
                    f"{', '.join(f'{value:g}' for value in self.values)}; add values or remove it from measures"
                )
        recovers = {*self.measures} & {"recovery", "mean_recovery"}
        if recovers and not self._varies_a_gap():
            raise InputError(
                f"measure {min(recovers)!r} is of pairs of pulses whose gap varies, not of the stimulus "
                f"{self.stimulus.type!r} with {self.parameter}; remove it from measures, or set stimulus.type: pair and "
                "parameter: gap_ms"
            )
        fits = [measure for measure in self.measures if measure.startswith("dn_")]
        if fits and not all(self._is_a_box(value) for value in self.values):
            raise InputError(
                f"measure {fits[0]!r} is fitted to an image that is on and off at one contrast, and the stimulus "
                f"{self.stimulus.type!r} shows more; remove it from measures"
            )
        if not set(self.measures) - set(NOT_OF_A_LAYER):
            given = ", ".join(self.measures) or "none"
            raise InputError(
                f"measures ({given}) has no measure of a layer at each value, which figures show; add one, e.g. peak"
            )

    def _varies_a_gap(self) -> bool:
        """Return whether each trial has one or two pulses, some have two, and the first pulse is always the same."""
        trials = [[span for span in self.trial(value) if span.content.is_stimulus] for value in self.values]
        firsts = {(spans[0].duration_ms, spans[0].contrast) for spans in trials if spans}
        n_pulses = {len(spans) for spans in trials}
        return self.find_parameter().kind == "stimulus" and 2 in n_pulses <= {1, 2} and len(firsts) == 1

    def _is_a_box(self, value: bool | float) -> bool:
        """Return whether a trial shows nothing but the image, on and off at one contrast."""
        spans = [span for span in self.trial(value) if not isinstance(span.content, Null)]
        alike = all(type(span.content) is Image and span.modulation is None for span in spans)
        return alike and len({span.contrast for span in spans}) == 1

    def on(self, data_names: Iterable[str], groups: Mapping[str, Mapping[str, Any]]) -> ExperimentConfig:
        """Return the experiment with the classes of its group written out for each data set.

        Args:
            data_names: the data sets.
            groups: the user's groups, by data set and name.

        Raises:
            InputError: a data set has no group of that name.
        """
        if self.group == ALL:
            return self
        if isinstance(self.group, Mapping):
            for name in {*data_names} & {*self.group}:
                resolve_group(name, self.group[name], f"group.{name}", groups)
            return self
        classes = {name: resolve_group(name, self.group, "group", groups) for name in data_names}
        return self.model_copy(update={"group": classes})

    def classes(self, data_name: str) -> Classes:
        """Return the classes of a data set that are shown; none stands for all of them."""
        if isinstance(self.group, Mapping):
            return tuple(self.group.get(data_name, ()))
        return resolve_group(data_name, self.group, "group")

    def find_parameter(self) -> Parameter:
        """Return the parameter that varies."""
        return find_parameter(self.parameter, self.stimulus, self.noise, self.model_args)

    def at(self, value: bool | float) -> Setting:
        """Return the experiment at one value of its parameter.

        Raises:
            InputError: the value is not possible.
        """
        kind, changed = self.find_parameter().kind, {self.parameter: value}
        stimulus, noise, model_args, checkpoint = self.stimulus, self.noise, dict(self.model_args), None
        if kind == "stimulus":
            stimulus = validate(type(stimulus), {**stimulus.model_dump(), **changed}, "values")
        elif kind == "noise":
            noise = validate(NoiseConfig, {**noise.model_dump(), **changed}, "values")
        elif kind == "model":
            model_args |= changed
        elif value != int(value) or value < 1:
            raise InputError(f"values: checkpoint {value:g} is no epoch; epochs count 1, 2, 3, ...")
        else:
            checkpoint = int(value)
        return Setting(float(value), stimulus, noise, model_args, checkpoint)

    def trial(self, value: bool | float) -> tuple[Span, ...]:
        """Return what is on the screen at one value of the parameter, baseline included.

        Raises:
            InputError: the value is not possible, or the record too short for it.
        """
        return trial_spans(self.at(value).stimulus, self.baseline_ms, self.recorded_ms)

    def steps(self, value: bool | float, dt: float, where: str = "") -> list[int]:
        """Return the number of steps of everything in :meth:`trial`.

        Args:
            value: the value of the parameter.
            dt: integration step in ms.
            where: dotted prefix of the keys, for errors.

        Raises:
            InputError: a duration is no multiple of dt.
        """
        noise = self.at(value).noise
        if noise.type != "none":
            ms_to_steps(noise.refresh_ms, dt, f"{where}noise.refresh_ms")
        recorded = ms_to_steps(self.recorded_ms, dt, f"{where}recorded_ms")
        if recorded < 2:
            raise InputError(
                f"{where}recorded_ms={self.recorded_ms:g} ms is a record of {recorded} step of dt={dt:g} ms after onset; "
                f"record at least {2 * dt:g} ms"
            )
        for span in self.trial(value):
            if span.modulation is not None:
                span.modulation.check(dt, where)
        return [
            ms_to_steps(
                span.duration_ms, dt, where + span.key, minimum_ms=0.0 if span.show == "blank" else dt
            )
            for span in self.trial(value)
        ]


def frozen_experiment(name: str, experiment: ExperimentConfig) -> dict[str, Any]:
    """Return what a frozen experiment holds: its name, every value, and the plugins that it is from."""
    used = plugins_of_experiment(experiment.stimulus.type, experiment.noise.type, experiment.measures)
    own = {PLUGINS: list(used)} if used else {}
    return {"name": name, **own, **experiment.model_dump(mode="json")}


def thaw_experiment(name: str, values: Mapping[str, Any]) -> ExperimentConfig:
    """Return an experiment of what a frozen one holds beside its name.

    Raises:
        InputError: a plugin is not there, or it is not a valid experiment.
    """
    plugins.load(plugins.names(values.get(PLUGINS)))
    own = {key: value for key, value in values.items() if key != PLUGINS}
    return validate(ExperimentConfig, own, f"experiments.{name}")
