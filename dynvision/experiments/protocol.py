"""A trial in ms, as stretches of constant input.

    [baseline_ms: blank] [the stimulus, from time 0] [blank until recorded_ms]

Contrast c is about the mean grey of the training images: a normalised image x is shown as c x.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynvision.config.experiment import ExperimentConfig, Stimulus
from dynvision.config.section import validate
from dynvision.units import ms_to_steps


@dataclass(frozen=True)
class Stretch:
    """A number of steps in which the image is shown at some contrast; None is blank."""

    n_steps: int
    contrast: float | None = None


@dataclass(frozen=True)
class Condition:
    """One value of the parameter that varies, and the trial that it makes."""

    value: float
    stretches: tuple[Stretch, ...]

    @property
    def n_steps(self) -> int:
        """Steps that are recorded."""
        return sum(stretch.n_steps for stretch in self.stretches)

    @property
    def stimulus_on(self) -> list[bool]:
        """Whether the image is on at each step, be it at contrast 0."""
        return [stretch.contrast is not None for stretch in self.stretches for _ in range(stretch.n_steps)]


def conditions(experiment: ExperimentConfig, dt: float) -> list[Condition]:
    """The conditions of an experiment on a time grid of ``dt`` ms.

    Raises:
        InputError: a duration is no multiple of dt.
    """
    return [_condition(experiment, value, dt) for value in experiment.values]


def _condition(experiment: ExperimentConfig, value: float, dt: float) -> Condition:
    stimulus = validate(
        Stimulus, {**experiment.stimulus.model_dump(), experiment.parameter: value}, "stimulus"
    )
    before = ms_to_steps(experiment.baseline_ms, dt, "baseline_ms")
    total = ms_to_steps(experiment.recorded_ms, dt, "recorded_ms")
    on = ms_to_steps(stimulus.duration_ms, dt, "stimulus.duration_ms", minimum_ms=dt)
    parts = (Stretch(before), Stretch(on, stimulus.contrast), Stretch(total - on))
    return Condition(float(value), tuple(part for part in parts if part.n_steps))


def times_ms(experiment: ExperimentConfig, dt: float) -> list[float]:
    """Time of every recorded step in ms from stimulus onset."""
    before = ms_to_steps(experiment.baseline_ms, dt, "baseline_ms")
    total = ms_to_steps(experiment.recorded_ms, dt, "recorded_ms")
    return [round(k * dt, 9) for k in range(-before, total)]  # 0.3 ms, not 0.30000000000000004 ms
