"""Experiments as they are written: stimuli, what may vary, experiments like others, and what is wrong in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.parameter import all_parameters, stimulus_parameters
from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.noise.blend import NoiseConfig
from dynvision.stimuli import STIMULI, Span, Stimulus, read_stimulus
from dynvision.stimuli.stimulus import register, trial_spans


def experiment(**values: Any) -> ExperimentConfig:
    return validate(ExperimentConfig, values, "experiments.mine")


def shown(
    stimulus: dict[str, Any], baseline_ms: float = 5, recorded_ms: float = 100
) -> list[tuple[str, float]]:
    spans = trial_spans(read_stimulus(stimulus), baseline_ms, recorded_ms)
    return [(span.show, span.duration_ms) for span in spans]


TRIALS: dict[str, tuple[dict[str, Any], list[tuple[str, float]]]] = {
    "pulse": ({"duration_ms": 30}, [("blank", 5), ("image", 30), ("blank", 70)]),
    "pulse to the end": ({"duration_ms": 100}, [("blank", 5), ("image", 100)]),
    "pair": (
        {"type": "pair", "duration_ms": 10, "gap_ms": 20},
        [("blank", 5), ("image", 10), ("blank", 20), ("image", 10), ("blank", 60)],
    ),
    "pair without a gap": (
        {"type": "pair", "duration_ms": 10, "gap_ms": 0},
        [("blank", 5), ("image", 10), ("image", 10), ("blank", 80)],
    ),
    "pair to the end": (
        {"type": "pair", "duration_ms": 10, "gap_ms": 80},
        [("blank", 5), ("image", 10), ("blank", 80), ("image", 10)],
    ),
    "one of a pair": ({"type": "pair", "duration_ms": 10, "gap_ms": 90}, [("blank", 5), ("image", 10), ("blank", 90)]),
    "one of a pair, long before": (
        {"type": "pair", "duration_ms": 10, "gap_ms": 500},
        [("blank", 5), ("image", 10), ("blank", 90)],
    ),
    "train": (
        {"type": "train", "duration_ms": 10, "gap_ms": 5, "n_pulses": 3},
        [("blank", 5), *[("image", 10), ("blank", 5)] * 2, ("image", 10), ("blank", 60)],
    ),
    "masked": (
        {"type": "masked", "duration_ms": 10, "soa_ms": 25, "mask_duration_ms": 40},
        [("blank", 5), ("image", 10), ("blank", 15), ("mask", 40), ("blank", 35)],
    ),
    "masked at once": (
        {"type": "masked", "duration_ms": 10, "soa_ms": 10, "mask_duration_ms": 90},
        [("blank", 5), ("image", 10), ("mask", 90)],
    ),
    "not masked": ({"type": "masked", "duration_ms": 10, "soa_ms": 100}, [("blank", 5), ("image", 10), ("blank", 90)]),
    "rsvp": (
        {"type": "rsvp", "duration_ms": 10, "gap_ms": 5, "n_in_row": 3, "target_position": 2},
        [("blank", 5), ("other", 10), ("blank", 5), ("image", 10), ("blank", 5), ("other", 10), ("blank", 60)],
    ),
    "flicker": ({"type": "flicker", "duration_ms": 100}, [("blank", 5), ("image", 100)]),
    "occlusion": ({"type": "occlusion"}, [("blank", 5), ("image", 40), ("blank", 60)]),
    "clutter": ({"type": "clutter"}, [("blank", 5), ("image", 40), ("blank", 60)]),
    "adapter": (
        {"type": "adapter", "adapter_ms": 50, "gap_ms": 10, "duration_ms": 30},
        [("blank", 5), ("mask", 50), ("blank", 10), ("image", 30), ("blank", 10)],
    ),
    "sequence": (
        {
            "type": "sequence",
            "parts": [{"show": "image", "duration_ms": 7}, {"duration_ms": 3}, {"show": "mask", "duration_ms": 20}],
        },
        [("blank", 5), ("image", 7), ("blank", 3), ("mask", 20), ("blank", 70)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRIALS)
def test_trials(name: str) -> None:
    stimulus, expected = TRIALS[name]
    assert shown(stimulus) == expected


def test_every_stimulus_has_a_trial_here() -> None:
    assert {stimulus.get("type", "pulse") for stimulus, _ in TRIALS.values()} == set(STIMULI) - {
        "film"
    }  # needs one


def test_contrasts_of_the_parts() -> None:
    parts = [{"show": "image", "contrast": 0.5}, {"show": "mask", "contrast": 0.4}]
    spans = read_stimulus({"type": "sequence", "contrast": 0.5, "parts": parts}).spans()
    assert [span.contrast for span in spans] == [0.25, 0.2]
    masked = read_stimulus(
        {"type": "masked", "contrast": 0.3, "mask_contrast": 0.6, "mask": "gaussian"}
    ).spans()
    assert [
        (span.show, span.contrast, getattr(span.content, "kind", ""))
        for span in masked
        if span.show != "blank"
    ] == [
        ("image", 0.3, ""),
        ("mask", 0.6, "gaussian"),
    ]


@pytest.mark.parametrize("name", STIMULI)
def test_every_key_of_a_stimulus_can_vary(name: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"type": name}
    if name == "film":
        for number in range(100):
            (tmp_path / f"{number:03}.png").touch()
        given["source"] = str(tmp_path)
    for parameter, about in stimulus_parameters(STIMULI[name]).items():
        default = STIMULI[name].model_fields[parameter].default
        value = 16.0 if about.unit == "ms" and default else default
        made = experiment(stimulus=given, parameter=parameter, values=[value], recorded_ms=2000, n_images=1)
        assert getattr(made.at(value).stimulus, parameter) == value


@pytest.mark.parametrize("name", STIMULI)
def test_every_stimulus_can_be_put_into_words(name: str) -> None:
    stimulus = read_stimulus({"type": name})
    said = {field: f"<{field}>" for field in type(stimulus).model_fields}
    words = stimulus.describe(said)
    for parameter in stimulus_parameters(STIMULI[name]):
        assert f"<{parameter}>" in words


def test_names_of_parameters_mean_one_thing() -> None:
    """A key of a stimulus is none of the noise or of a model."""
    of_stimuli = {name for section in STIMULI.values() for name in section.model_fields} - {"type"}
    others = {name for name, parameter in all_parameters().items() if parameter.kind != "stimulus"}
    assert not of_stimuli & ({*NoiseConfig.model_fields} | others)


def test_parameters_of_every_kind() -> None:
    assert experiment(parameter="contrast", values=[0.5]).at(0.5).stimulus.contrast == 0.5
    noisy = experiment(noise={"type": "uniform"}, parameter="ssnr", values=[0.2]).at(0.2)
    assert (noisy.noise.ssnr, noisy.noise.type, noisy.model_args) == (0.2, "uniform", {})
    idle = experiment(parameter="t_idle", values=[4], model_args={"tau": 8}).at(4)
    assert idle.model_args == {"tau": 8, "t_idle": 4}
    twin = experiment(parameter="feedforward_only", values=[False, True])
    assert [twin.at(value).model_args["feedforward_only"] for value in twin.values] == [False, True]
    assert [twin.at(value).value for value in twin.values] == [0.0, 1.0]
    assert experiment(parameter="checkpoint", values=[5]).at(5).checkpoint == 5
    own = experiment(parameter="my_gain", values=[1, 2], model_args={"my_gain": 0}).at(2)
    assert own.model_args == {"my_gain": 2}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "stimulus": (
        {"stimulus": {"type": "pulce"}},
        "unknown stimulus 'pulce' (key experiments.mine.stimulus.type); did you",
    ),
    "key of a stimulus": (
        {"stimulus": {"type": "pair", "gap": 4}},
        "unknown key 'gap' (key experiments.mine.stimulus.gap); did you mean 'gap_ms'?",
    ),
    "stimulus as text": (
        {"stimulus": "pulse"},
        "experiments.mine.stimulus must hold keys and values, not 'pulse'",
    ),
    "parameter": (
        {"parameter": "contrst"},
        "unknown experiment parameter 'contrst' (key parameter); did you mean 'contrast'?",
    ),
    "parameter of another stimulus": (
        {"parameter": "gap_ms"},
        "parameter 'gap_ms' is no key of the stimulus 'pulse'; set stimulus.type to adapter or pair or rsvp or train",
    ),
    "parameter of no noise": (
        {"parameter": "ssnr"},
        "parameter 'ssnr' is of noise, and there is none; set noise.type",
    ),
    "time step": ({"parameter": "dt"}, "write one experiment for each, with model_args: {dt: ...}"),
    "kind of noise": ({"noise": {"type": "gaussin"}}, "did you mean 'gaussian'?"),
    "photons mixed": (
        {"noise": {"type": "poisson", "definition": "mix"}},
        "set noise.definition to additive",
    ),
    "signal fraction": (
        {"noise": {"type": "gaussian"}, "parameter": "ssnr", "values": [1.5]},
        "values.ssnr=1.5 is not valid",
    ),
    "mask before the end": (
        {"stimulus": {"type": "masked"}, "parameter": "soa_ms", "values": [10]},
        "raise soa_ms or lower duration_ms",
    ),
    "half an epoch": ({"parameter": "checkpoint", "values": [1.5]}, "checkpoint 1.5 is no epoch"),
    "text as a value": ({"values": ["high"]}, "values: 'high' is neither a number nor true or false"),
    "a value twice": ({"values": [1, 0.5, 1.0]}, "values has 1 twice"),
    "no values": ({"values": []}, "values is empty"),
    "values alike in figures": (
        {"values": [0.1, 0.1000001]},
        "values has 0.1 and another that is 0.1 to six digits",
    ),
    "a c50 without contrasts": (
        {"values": [0], "measures": ["peak", "c50"]},
        "'c50' needs at least 2 values of contrast",
    ),
    "a c50 of durations": (
        {"parameter": "duration_ms", "values": [10, 20], "measures": ["peak", "c50"]},
        "measure 'c50' is of experiments that vary contrast, not duration_ms",
    ),
    "a Naka-Rushton fit of two contrasts": (
        {"values": [0.5, 1], "measures": ["peak", "naka_rushton_n"]},
        "'naka_rushton_n' needs at least 3 values of contrast",
    ),
    "a doubling of contrasts": (
        {"values": [0.5, 1], "measures": ["peak", "r_double"]},
        "that vary duration_ms",
    ),
    "recovery without gaps": (
        {"values": [0.5, 1], "measures": ["peak", "recovery"]},
        "not of the stimulus 'pulse' with contrast; remove it from measures",
    ),
    "recovery by contrast": (
        {"stimulus": {"type": "pair"}, "values": [0.5, 1], "measures": ["peak", "mean_recovery"]},
        "not of the stimulus 'pair' with contrast",
    ),
    "recovery of a train": (
        {
            "stimulus": {"type": "train"},
            "parameter": "gap_ms",
            "values": [5],
            "recorded_ms": 100,
            "measures": ["recovery"],
        },
        "measure 'recovery' is of pairs of pulses whose gap varies, not of the stimulus 'train' with gap_ms",
    ),
    "a fit to a flicker": (
        {
            "stimulus": {"type": "flicker", "duration_ms": 100},
            "recorded_ms": 100,
            "measures": ["peak", "dn_n"],
        },
        "measure 'dn_n' is fitted to an image that is on and off at one contrast",
    ),
    "an argument without effect": (
        {"model_args": {"max_weight_init": 1}},
        "model_args.max_weight_init changes nothing in a test: the weights of a test are the trained ones",
    ),
    "a mask of photons": (
        {"stimulus": {"type": "masked", "mask": "poisson"}},
        "unknown noise of a mask 'poisson'",
    ),
    "no measure": ({"measures": []}, "measures (none) has no measure of a layer"),
    "no measure of a layer": (
        {"measures": ["reaction_time_entropy_ms"]},
        "measures (reaction_time_entropy_ms) has no measure of a layer",
    ),
    "length of the presentation": (
        {"parameter": "n_timesteps", "values": [10, 20]},
        "parameter 'n_timesteps' changes nothing in a test: an experiment has its own trial",
    ),
    "initial weights": (
        {"parameter": "max_weight_init", "values": [0.1, 1]},
        "the weights of a test are the trained",
    ),
    "too long": (
        {"stimulus": {"duration_ms": 61}},
        "recorded_ms=60 ms ends before the stimulus does, which needs at least 61 ms",
    ),
    "second pulse cut": ({"stimulus": {"type": "pair", "gap_ms": 45}}, "which needs at least 65 ms"),
    "train cut": ({"stimulus": {"type": "train", "n_pulses": 5}}, "ends before the stimulus does"),
    "blank first": (
        {"stimulus": {"type": "sequence", "parts": [{"show": "blank"}]}},
        "a blank before it is baseline_ms",
    ),
}


@pytest.mark.parametrize(("values", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_sentence(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        experiment(**values)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values", [np.linspace(0.25, 1, 4), [np.float32(0.25), np.float64(0.5), 0.75, np.int64(1)]]
)
def test_values_of_numpy_are_numbers(values: Any) -> None:
    made = experiment(values=values)
    assert made.values == (0.25, 0.5, 0.75, 1.0) and all(type(value) is float for value in made.values)
    with pytest.raises(InputError, match="values: array"):
        experiment(values=np.array(1.0))  # no list, and no number of Python


def test_a_name_is_taken_once() -> None:
    with pytest.raises(InputError, match="the stimulus name 'pulse' is taken"):
        register("pulse")(STIMULI["pair"])


def test_a_span_is_blank_unless_said_otherwise() -> None:
    assert Span(4.0) == Span(4.0, "blank")


def test_a_stimulus_without_words_of_its_own_has_generated_ones() -> None:
    class Ramp(Stimulus):
        type: str = "ramp"
        rise_ms: float = 5.0

        def spans(self) -> tuple[Span, ...]:
            return (Span(self.rise_ms, "image", self.contrast),)

    said = {"type": "ramp", "contrast": "1", "rise_ms": "5 ms"}
    assert Ramp().describe(said) == "in a stimulus of type ramp with contrast 1, rise 5 ms"


@pytest.mark.parametrize("parameter", ["tau", "t_recurrence", "sigma", "lesion_gain", "t_lesion_start"])
def test_numbers_by_layer_and_of_a_lesion_can_vary(parameter: str) -> None:
    own = {"parameter": parameter, "values": [4, 8], "model_args": {}}
    assert validate(ExperimentConfig, own, "").find_parameter().kind == "model"
