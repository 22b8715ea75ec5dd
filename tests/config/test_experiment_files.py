"""The experiments as shipped: the protocols of DynVision 0.1 and of physiology, in ms."""

from __future__ import annotations

from typing import Any

import pytest

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.workflow import load_workflow_config

DT = 2.0
# DynVision 0.1: value list in steps of 2 ms; then duration (steps), onset, length and idle time of the record, in steps.
PULSES: dict[str, tuple[str, list[float], int | None, int, int, int]] = {
    "response": ("duration_ms", [30], None, 1, 60, 20),
    "stability": ("duration_ms", [25, 100], None, 0, 125, 20),
    "nullcondition": ("duration_ms", [10], None, 95, 200, 0),
    "idleresponse": ("t_idle", [0, 1, 5, 10, 20, 40], 15, 5, 30, 0),
    "hundred": ("duration_ms", [100], None, 0, 200, 100),
    "ten": ("duration_ms", [5], None, 0, 10, 0),
}
NOISES = {
    "uniformnoise": ("uniform", [0.2, 0.4, 0.6, 0.8, 1]),
    "uniformnoiseffonly": ("uniform", [0.2, 0.4, 0.6, 0.8, 1]),
    "poissonnoise": ("poisson", [0.2, 0.4, 0.6, 0.8, 1]),
    "poissonnoiseffonly": ("poisson", [0, 0.2, 0.4, 0.6, 0.8, 1]),
    "saltpeppernoise": ("saltpepper", [0.2, 0.4, 0.6, 0.8, 1]),
    "gaussiannoise": ("gaussian", [k / 10 for k in range(11)]),
    "gaussiannoiseffonly": ("gaussian", [k / 10 for k in range(11)]),
    "gaussiancorrnoise": ("gaussiancorr", [k / 10 for k in range(11)]),
    "gaussiancorrnoiseffonly": ("gaussiancorr", [k / 10 for k in range(11)]),
    "phasescramblednoise": ("phasescrambled", [0, 0.2, 0.4, 0.6, 0.8, 1]),
    "phasescramblednoiseffonly": ("phasescrambled", [0, 0.2, 0.4, 0.6, 0.8, 1]),
}
OTHERS = {
    "responseffonly", "responseintermediate", "stabilityintermediate", "duration", "contrast", "interval", "repetition",
    "masking", "noise_jang", "contrast_ecog", "duration_ecog", "interval_ecog", "rsvp", "flicker", "flickerreversal",
    "width", "occlusion", "occlusionffonly", "clutter", "clutterffonly", "adaptation", "adaptationother", "decision",
    "decision_repeats", "noise_people", "rate", "adaptation_noise", "challenge",
}  # fmt: skip


@pytest.fixture(scope="module")
def experiments() -> dict[str, ExperimentConfig]:
    return load_workflow_config("config").experiments


def test_these_and_no_others(experiments: dict[str, ExperimentConfig]) -> None:
    assert set(experiments) == {*PULSES, *NOISES, *OTHERS}


@pytest.mark.parametrize("name", PULSES)
def test_pulses_of_the_old_toolbox(experiments: dict[str, ExperimentConfig], name: str) -> None:
    parameter, steps, stimulus, intro, length, idle = PULSES[name]
    experiment = experiments[name]
    assert experiment.parameter == parameter
    assert experiment.values == tuple(DT * n for n in steps)
    assert experiment.baseline_ms == DT * intro
    assert experiment.recorded_ms == DT * (length - intro)
    assert experiment.model_args.get("t_idle", 0) == DT * idle
    if stimulus is not None:
        assert experiment.stimulus.model_dump()["duration_ms"] == DT * stimulus


@pytest.mark.parametrize("name", NOISES)
def test_noise_of_the_old_toolbox(experiments: dict[str, ExperimentConfig], name: str) -> None:
    """Dynamic noise for 20 steps after 20 idle ones."""
    kind, levels = NOISES[name]
    experiment = experiments[name]
    assert (experiment.noise.type, experiment.noise.definition, experiment.parameter) == (
        kind,
        "additive",
        "ssnr",
    )
    assert list(experiment.values) == pytest.approx(levels)
    assert experiment.noise.refresh_ms == DT
    assert (experiment.baseline_ms, experiment.recorded_ms) == (0, 20 * DT)
    assert [span.duration_ms for span in experiment.trial(1.0)] == [20 * DT]
    assert experiment.model_args.get("feedforward_only", False) == name.endswith("ffonly")
    assert experiment.model_args["t_idle"] == 20 * DT


def test_duration_contrast_and_interval(experiments: dict[str, ExperimentConfig]) -> None:
    assert experiments["duration"].values == (2, 4, 6, 8, 10, 20, 30, 40)
    assert experiments["contrast"].values == (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
    assert shown(experiments["contrast"], 0.4) == [("blank", 2), ("image", 40), ("blank", 20)]
    assert experiments["interval"].values == (2, 4, 6, 8, 12, 16, 20)
    assert shown(experiments["interval"], 4) == [
        ("blank", 2), ("image", 10), ("blank", 4), ("image", 10), ("blank", 54)
    ]  # fmt: skip


def test_checkpoints_and_feedforward_only(experiments: dict[str, ExperimentConfig]) -> None:
    during = experiments["responseintermediate"]
    assert [during.at(value).checkpoint for value in during.values] == [50, 100, 150, 200, 250, 300]
    assert shown(during, 50) == shown(experiments["response"], 60)
    stable = experiments["stabilityintermediate"]
    assert [stable.at(value).checkpoint for value in stable.values] == [200, 250, 300, 350]
    assert shown(stable, 200) == [("blank", 2), ("image", 200), ("blank", 48)]
    only = experiments["responseffonly"]
    assert [only.at(value).model_args["feedforward_only"] for value in only.values] == [False, True]
    assert shown(only, True) == [("image", 4), ("blank", 4)]


def test_physiological_time(experiments: dict[str, ExperimentConfig]) -> None:
    """Groen et al. (2022): 500 ms; durations and gaps of 17 to 533 ms; pulses of 133 ms; a second is recorded."""
    contrast, duration, interval = (
        experiments[f"{name}_ecog"] for name in ("contrast", "duration", "interval")
    )
    assert contrast.values == (0.0625, 0.125, 0.25, 0.5, 1)
    assert shown(contrast, 1) == [("blank", 10), ("image", 500), ("blank", 500)]
    assert duration.values == (17, 33, 67, 133, 267, 533)
    assert shown(duration, 533) == [("blank", 10), ("image", 533), ("blank", 467)]
    assert interval.values[:-1] == (0, 17, 33, 67, 133, 267, 533)
    assert shown(interval, 0) == [("blank", 10), ("image", 133), ("image", 133), ("blank", 934)]
    assert shown(interval, 17)[1:4] == [("image", 133), ("blank", 17), ("image", 133)]
    assert shown(interval, interval.values[-1]) == [("blank", 10), ("image", 133), ("blank", 1067)]
    for experiment in (contrast, duration, interval):
        dt = experiment.model_args["dt"]
        for value in experiment.values:
            assert sum(experiment.steps(value, dt)) == experiment.recorded_ms + 10


def test_noise_mixed_and_masks(experiments: dict[str, ExperimentConfig]) -> None:
    jang = experiments["noise_jang"].noise
    assert (jang.type, jang.definition, jang.refresh_ms, jang.sd) == (
        "gaussian",
        "mix",
        0,
        pytest.approx(1 / 6),
    )
    masking = experiments["masking"]
    assert shown(masking, 20) == [("blank", 10), ("image", 16), ("blank", 4), ("mask", 60), ("blank", 220)]
    assert shown(masking, 300) == [("blank", 10), ("image", 16), ("blank", 284)]


def shown(experiment: ExperimentConfig, value: Any) -> list[tuple[str, float]]:
    return [(span.show, span.duration_ms) for span in experiment.trial(value)]


def test_protocols_with_sources(experiments: dict[str, ExperimentConfig]) -> None:
    """The numbers of the publications that they are named after."""
    assert experiments["rsvp"].values == (13, 27, 40, 53, 80)  # ms an image, Sorensen et al. 2023
    assert experiments["flicker"].values == (1, 2, 4, 8, 16)  # Hz; Mullen et al. 2010 have 2 to 16
    assert experiments["flickerreversal"].stimulus.model_dump()["form"] == "counterphase"
    assert (
        experiments["width"].values[0] == 300 and experiments["width"].values[-1] == 1500
    )  # ms, Gerber et al. 2017
    same, other = experiments["adaptation"], experiments["adaptationother"]
    changed = {"like": "adaptation", "stimulus": other.stimulus}
    assert other == same.model_copy(update=changed)
    assert other.stimulus.model_dump() == {**same.stimulus.model_dump(), "same_noise": False}
