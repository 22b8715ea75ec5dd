"""Trials in ms, as steps of different grids."""

from __future__ import annotations

from typing import Any

import pytest

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.trials import Trial
from dynvision.trials.presentation import experiment_trials


def experiment(**values: Any) -> ExperimentConfig:
    defaults = {"stimulus": {"duration_ms": 6}, "baseline_ms": 4, "recorded_ms": 20}
    return validate(ExperimentConfig, {**defaults, **values}, "")


def parts(trial: Trial) -> tuple[float, list[tuple[Any, ...]]]:
    """The value of a trial, and of each segment what is shown, its steps, and the contrast unless it is blank."""
    return trial.value, [
        (s.content.shown, s.n_steps) if s.is_null else (s.content.shown, s.n_steps, s.contrast)
        for s in trial.segments
    ]


def test_contrasts() -> None:
    shown = experiment_trials(
        experiment(stimulus={"duration_ms": 6}, parameter="contrast", values=[0.25, 1]), dt=2
    )
    assert [parts(trial) for trial in shown] == [
        (0.25, [("blank", 2), ("image", 3, 0.25), ("blank", 7)]),
        (1.0, [("blank", 2), ("image", 3, 1.0), ("blank", 7)]),
    ]
    assert [segment.scored for segment in shown[0].segments] == [False, True, False]
    assert shown[0].onset_step == 2


def test_durations() -> None:
    shown = experiment_trials(
        experiment(stimulus={"contrast": 0.5}, parameter="duration_ms", values=[2, 20]), dt=2
    )
    assert [parts(trial) for trial in shown] == [
        (2.0, [("blank", 2), ("image", 1, 0.5), ("blank", 9)]),
        (20.0, [("blank", 2), ("image", 10, 0.5)]),
    ]


def test_no_baseline() -> None:
    (shown,) = experiment_trials(experiment(baseline_ms=0, stimulus={"duration_ms": 6}), dt=2)
    assert parts(shown)[1][0] == ("image", 3, 1.0)
    assert shown.times_ms[0] == 2


@pytest.mark.parametrize("dt", [0.1, 0.5, 1, 2])
def test_stimulus_is_on_from_0_for_its_duration_on_every_grid(dt: float) -> None:
    protocol = experiment(parameter="duration_ms", values=[2, 6, 14])
    for condition in experiment_trials(protocol, dt):
        times = condition.times_ms
        assert len(times) == condition.n_steps == len(condition.stimulus_on) == round(24 / dt)
        on = [time for time, shown in zip(times, condition.stimulus_on, strict=True) if shown]
        assert on[0] == dt
        assert on[-1] == pytest.approx(condition.value)
        assert len(on) == round(condition.value / dt)
        assert times[0] == pytest.approx(dt - 4) and times[-1] == 20


def test_times_are_decimal() -> None:
    short = experiment(baseline_ms=0.3, recorded_ms=0.4, stimulus={"duration_ms": 0.3})
    assert experiment_trials(short, 0.1)[0].times_ms == [
        -0.2,
        -0.1,
        0.0,
        0.1,
        0.2,
        0.3,
        0.4,
    ]


def test_a_contrast_of_zero_is_a_stimulus() -> None:
    (shown,) = experiment_trials(experiment(stimulus={"duration_ms": 6}, values=[0]), dt=2)
    assert shown.stimulus_on == [False] * 2 + [True] * 3 + [False] * 7


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"baseline_ms": 3}, "baseline_ms=3 ms is not a multiple of dt=2 ms"),
        ({"recorded_ms": 41}, "recorded_ms=41 ms is not a multiple of dt=2 ms"),
        ({"stimulus": {"duration_ms": 7}}, "stimulus.duration_ms=7 ms is not a multiple of dt=2 ms"),
        (
            {"stimulus": {"duration_ms": 1}},
            "stimulus.duration_ms=1 ms is too small; the smallest value allowed is 2 ms",
        ),
        (
            {"parameter": "duration_ms", "values": [2, 5]},
            "stimulus.duration_ms=5 ms is not a multiple of dt=2 ms",
        ),
    ],
)
def test_what_is_off_the_grid_is_an_error(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        experiment_trials(experiment(**values), dt=2)
