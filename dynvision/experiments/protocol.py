"""A trial as stretches of steps.

    [baseline_ms: blank] [the stimulus, from time 0] [blank until recorded_ms]

Contrast c is about the mean grey of the training images: a normalised image x is shown as c x.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynvision.config.experiment import ExperimentConfig
from dynvision.noise.blend import NoiseConfig
from dynvision.stimuli import Span
from dynvision.units import ms_to_steps


@dataclass(frozen=True)
class Stretch:
    """A number of steps in which the image, or a mask of some kind of noise, is shown at some contrast; None is blank."""

    n_steps: int
    contrast: float | None = None
    mask: str = ""

    @property
    def shown(self) -> str:
        """``blank``, ``image`` or ``mask``."""
        return "blank" if self.contrast is None else "mask" if self.mask else "image"


@dataclass(frozen=True)
class TimedNoise:
    """Noise on the image, drawn anew every ``refresh_steps`` from the step of stimulus onset on; 0 draws once."""

    config: NoiseConfig
    refresh_steps: int
    onset_step: int


@dataclass(frozen=True)
class Condition:
    """One value of the parameter that varies, and the trial that it makes.

    Attributes:
        value: the value.
        stretches: the trial.
        noise: noise on the image, if any.
    """

    value: float
    stretches: tuple[Stretch, ...]
    noise: TimedNoise | None = None

    @property
    def n_steps(self) -> int:
        """Steps that are recorded."""
        return sum(stretch.n_steps for stretch in self.stretches)

    @property
    def shown(self) -> list[str]:
        """What is on the screen at each step: ``blank``, ``image`` or ``mask``."""
        return [stretch.shown for stretch in self.stretches for _ in range(stretch.n_steps)]

    @property
    def stimulus_on(self) -> list[bool]:
        """Whether the image is on at each step, be it at contrast 0."""
        return [shown == "image" for shown in self.shown]


def conditions(experiment: ExperimentConfig, dt: float) -> list[Condition]:
    """The conditions of an experiment on a time grid of ``dt`` ms.

    Raises:
        InputError: a duration is no multiple of dt.
    """
    return [condition(experiment, value, dt) for value in experiment.values]


def condition(experiment: ExperimentConfig, value: bool | float, dt: float) -> Condition:
    """The condition of one value."""
    setting = experiment.at(value)
    spans, steps = experiment.trial(value), experiment.steps(value, dt)
    noise = None
    if setting.noise.type != "none":
        before = ms_to_steps(experiment.baseline_ms, dt, "baseline_ms")
        noise = TimedNoise(
            setting.noise, ms_to_steps(setting.noise.refresh_ms, dt, "noise.refresh_ms"), before
        )
    stretches = tuple(_stretch(span, n_steps) for span, n_steps in zip(spans, steps, strict=True))
    return Condition(setting.value, stretches, noise)


def _stretch(span: Span, n_steps: int) -> Stretch:
    return Stretch(n_steps) if span.show == "blank" else Stretch(n_steps, span.contrast, span.mask)


def times_ms(experiment: ExperimentConfig, dt: float) -> list[float]:
    """Return the time of every recorded sample in ms from stimulus onset: that of the end of its step."""
    before = ms_to_steps(experiment.baseline_ms, dt, "baseline_ms")
    total = ms_to_steps(experiment.recorded_ms, dt, "recorded_ms")
    return [round(k * dt, 9) for k in range(1 - before, total + 1)]  # 0.3 ms, not 0.30000000000000004 ms
