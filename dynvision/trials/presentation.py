"""The trials of a training and of an experiment, as segments.

Of a training, a presentation pattern:

    step t takes symbol floor(t P / T)          P symbols over T steps
    symbol 1 shows the image, symbol 0 the null input, which has no label
    a step is scored if the image is on and its onset is at least the reaction time ago

Of an experiment, what is shown in ms, on the time grid of a network:

    [baseline_ms: null] [the stimulus, from time 0] [null until recorded_ms]

A part of the stimulus whose contrast changes in time becomes one segment a step, with the contrast in its middle; a film
one segment a frame.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dynvision.trials.content import IMAGE, NULL
from dynvision.trials.segment import Segment, TimedNoise, Trial
from dynvision.units import ms_to_steps

if TYPE_CHECKING:
    import torch

    from dynvision.config.experiment import ExperimentConfig
    from dynvision.stimuli.stimulus import Span


def presentation_trial(
    pattern: str,
    n_timesteps: int,
    dt: float,
    reaction_steps: int = 0,
    idle_steps: int = 0,
    residual_steps: int = 0,
    generator: torch.Generator | None = None,
) -> Trial:
    """Return the trial of the training.

    Args:
        pattern: symbols 0 and 1, stretched over the presentation.
        n_timesteps: T, steps of the presentation.
        dt: integration step in ms.
        reaction_steps: steps after each onset at which no label counts.
        idle_steps: steps of null input before the presentation, which are not recorded.
        residual_steps: R, steps of null input after it.
        generator: permutes the symbols of the pattern first; None leaves them in their order.
    """
    on = tuple(stretch_pattern(pattern, n_timesteps, generator))
    return _presentation(on, dt, reaction_steps, idle_steps, residual_steps)


@functools.lru_cache(maxsize=64)
def _presentation(
    on: tuple[bool, ...], dt: float, reaction_steps: int, idle_steps: int, residual_steps: int
) -> Trial:
    """The trial in which the stimulus is on at some steps; made once, since a training asks for it at every batch."""
    segments = [Segment(idle_steps, phase="idle")] if idle_steps else []
    for (shown, counts), steps in itertools.groupby(zip(on, scored_steps(on, reaction_steps), strict=True)):
        n_steps = sum(1 for _ in steps)
        segments.append(Segment(n_steps, IMAGE if shown else NULL, scored=counts))
    segments += [Segment(residual_steps, phase="residual")] if residual_steps else []
    return Trial(tuple(segments), dt)


def stretch_pattern(pattern: str, n_timesteps: int, generator: torch.Generator | None = None) -> list[bool]:
    """Return whether the stimulus is on at each step.

    Args:
        pattern: symbols 0 and 1.
        n_timesteps: T, length of the presentation in steps.
        generator: if given, the symbols are permuted with it first.

    Returns:
        T booleans.
    """
    symbols = [symbol == "1" for symbol in pattern]
    if generator is not None:
        import torch

        symbols = [symbols[i] for i in torch.randperm(len(symbols), generator=generator).tolist()]
    return [symbols[t * len(symbols) // n_timesteps] for t in range(n_timesteps)]


def scored_steps(on: Sequence[bool], reaction_steps: int) -> list[bool]:
    """Return the steps whose label counts: the stimulus is on, and its onset is at least the reaction time ago.

    Args:
        on: whether the stimulus is on at each step.
        reaction_steps: reaction time in steps, >= 0.
    """
    scored, since_onset = [], 0
    for t, shown in enumerate(on):
        since_onset = 0 if shown and (t == 0 or not on[t - 1]) else since_onset + 1
        scored.append(shown and since_onset >= reaction_steps)
    return scored


def shuffled_by(seed: int, batch: int) -> torch.Generator:
    """Return the generator that permutes the pattern of a training batch, by the number of batches before it."""
    import numpy as np
    import torch

    mixed = np.random.SeedSequence([seed, batch]).generate_state(1)
    return torch.Generator().manual_seed(int(mixed[0]))  # torch uses 32 bits of a seed, no more


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
        is_shown = experiment.find_parameter().kind in ("stimulus", "noise")
        refresh = ms_to_steps(setting.noise.refresh_ms, dt, "noise.refresh_ms")
        noise = TimedNoise(setting.noise, refresh, setting.value if is_shown else 0.0)
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
