"""The trials of an experiment: what is shown in ms, as segments on a time grid.

    [baseline_ms: null] [the stimulus, from time 0] [null until recorded_ms]

A part of the stimulus whose contrast changes in time becomes one segment a step, with the contrast in its middle; a film
one segment a frame.
"""

from __future__ import annotations

from collections.abc import Iterator

from dynvision.config.experiment import ExperimentConfig
from dynvision.stimuli.stimulus import Span
from dynvision.trials.segment import Segment, TimedNoise, Trial
from dynvision.units import ms_to_steps


def experiment_trials(experiment: ExperimentConfig, dt: float) -> list[Trial]:
    """Return the trials of an experiment, one for each value of its parameter.

    Args:
        experiment: the experiment.
        dt: integration step in ms.

    Raises:
        InputError: a duration is no multiple of dt.
    """
    return [experiment_trial(experiment, value, dt) for value in experiment.values]


def experiment_trial(experiment: ExperimentConfig, value: bool | float, dt: float) -> Trial:
    """Return the trial of one value; arguments and errors as of :func:`experiment_trials`."""
    setting = experiment.at(value)
    spans, steps = experiment.trial(value), experiment.steps(value, dt)
    noise = None
    if setting.noise.type != "none":
        noise = TimedNoise(setting.noise, ms_to_steps(setting.noise.refresh_ms, dt, "noise.refresh_ms"))
    segments = [
        segment
        for part, (span, n_steps) in enumerate(zip(spans, steps, strict=True))
        for segment in _segments(span, n_steps, dt, part)
    ]
    onset = ms_to_steps(experiment.baseline_ms, dt, "baseline_ms")
    return Trial(tuple(segments), dt, setting.value, noise, onset)


def _segments(span: Span, n_steps: int, dt: float, part: int) -> Iterator[Segment]:
    if span.modulation is not None:
        for step in range(n_steps):
            contrast = span.contrast * span.modulation.at((step + 0.5) * dt)
            yield Segment(1, span.content, contrast, span.content.is_stimulus, part=part)
        return
    for length, content in span.content.split(n_steps, dt):
        yield Segment(length, content, span.contrast, content.is_stimulus, part=part)


def times_ms(experiment: ExperimentConfig, dt: float) -> list[float]:
    """Return the time of every recorded sample in ms from stimulus onset: that of the end of its step."""
    before = ms_to_steps(experiment.baseline_ms, dt, "baseline_ms")
    total = ms_to_steps(experiment.recorded_ms, dt, "recorded_ms")
    return [round(k * dt, 9) for k in range(1 - before, total + 1)]  # 0.3 ms, not 0.30000000000000004 ms
