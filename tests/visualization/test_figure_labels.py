"""What parameters and conditions are called."""

import re
from typing import Literal

import pytest

from dynvision.analysis import MEASURES, group_runs
from dynvision.config.data import DataConfig
from dynvision.config.model import RECURRENCE_TYPES
from dynvision.config.models import MODELS
from dynvision.config.parameter import all_parameters
from dynvision.config.section import key
from dynvision.config.training import TrainingConfig
from dynvision.noise import NOISES
from dynvision.runs import run_config
from dynvision.stimuli import STIMULI, Stimulus
from dynvision.visualization.layout import NO_BREAK, wrapped
from dynvision.visualization.names import (
    AxisLabel,
    Names,
    at_value,
    compare,
    condition_labels,
    parameter_label,
    split_unit,
    value_label,
)
from dynvision.visualization.style import condition_colours

CODE = {"tau", "dt", "sd", "soa", "ssnr", "bptt", "ema", "init", "args", "norm", "px", "ms", "non"}


def test_parameters_have_their_units():
    assert parameter_label("duration_ms", Names()) == "duration (ms)"
    assert parameter_label("contrast", Names()) == "contrast"
    assert [value_label(value) for value in (1.0, 0.0625, 33.0, 1e-3)] == ["1", "0.0625", "33", "0.001"]


def test_a_parameter_of_an_own_stimulus_has_its_unit():
    class Ramp(Stimulus):
        type: Literal["ramp"] = key("ramp", "slowly on")
        rise_ms: float = key(10.0, "how slowly", "ms", gt=0)

    STIMULI.add("ramp", Ramp)  # as a plugin does, long after the package was imported
    try:
        assert parameter_label("rise_ms", Names()) == "rise (ms)"
    finally:
        STIMULI.remove("ramp")


def test_every_parameter_that_can_be_shown_reads_as_words(style):
    """What can stand at an axis, in a title or in a legend: what experiments vary, and what runs can differ in."""
    shown = {name: parameter_label(name, style) for name in all_parameters()}
    sections = [TrainingConfig, DataConfig, *(entry.args for entry in MODELS.values())]
    shown |= {name: style.name(name) for section in sections for name in section.model_fields}
    for name, label in shown.items():
        words = set(re.findall(r"[^\W\d]+", label.partition(" (")[0]))
        coded = {word for word in words if word in CODE or (len(word) == 1 and word.isascii())}
        assert not coded, f"{name} is shown as {label!r}; give it a name in config_visualization.yaml"
    values = {*RECURRENCE_TYPES, "none", *NOISES}
    assert set(style.config.names) <= {*shown, *values}, "a name of something that does not exist"


def test_every_measure_reads_as_words():
    labels = [measure.label for measure in MEASURES.values()]
    assert len(set(labels)) == len(labels) and all(measure.unit for measure in MEASURES.values())
    assert not any("_" in label for label in labels)


def test_a_value_has_its_unit():
    assert at_value("duration (ms)", 40.0) == "duration 40 ms" and at_value("contrast", 0.5) == "contrast 0.5"


def test_conditions_are_named_by_what_differs(run, style):
    by_tau = group_runs([run(tau=5.0), run(tau=9.0)])
    assert condition_labels(by_tau, style) == ["τ = 5 ms", "τ = 9 ms"]
    by_type = group_runs([run(recurrence_type="full", skip=False), run(recurrence_type="depthpointwise")])
    assert condition_labels(by_type, style) == [
        "recurrence: full, skip: no",
        "recurrence: depth-pointwise, skip: yes",
    ]
    assert condition_labels(by_type, style, lines=True)[0] == "recurrence: full\nskip: no"
    assert condition_labels(group_runs([run(), run(2)]), style) == ["DyRCNNx4"]
    assert condition_labels(group_runs([run(), run(model="DyRCNNx8")]), style) == ["DyRCNNx4", "DyRCNNx8"]


def test_names_of_data_are_shown_as_they_are(style):
    configs = [run_config("DyRCNNx4", {}, name, {}, {}, 1) for name in ("digits", "folder:/a_b/$c_d$")]
    assert condition_labels(group_runs(configs), style)[1].startswith("folder:/a_b/$c_d$")


def test_conditions_are_ordered_by_configuration_or_number(run, style):
    kinds = compare(group_runs([run(recurrence_type=kind) for kind in ("full", "none", "self")]), style)
    assert kinds.labels == ("recurrence: none", "recurrence: self", "recurrence: full")
    taus = compare(group_runs([run(tau=tau) for tau in (10.0, 9.0, 5.0)]), style)
    assert taus.labels == ("τ = 5 ms", "τ = 9 ms", "τ = 10 ms")


def test_titles_count_seeds(run, style):
    comparison = compare(group_runs([run(1), run(2), run(1, tau=9.0)]), style)
    assert comparison.titles == {"τ = 5 ms": "τ = 5 ms\n2 seeds", "τ = 9 ms": "τ = 9 ms"}


def test_conditions_with_one_name_are_told_apart_by_their_hash(run, style):
    comparison = compare(group_runs([run(tau=5.0), run(tau=5.0000001)]), style)
    assert len(set(comparison.labels)) == 2 and all("(" in label for label in comparison.labels)


def test_colours_of_conditions(run, style):
    kinds = compare(group_runs([run(recurrence_type=kind) for kind in ("full", "none")]), style)
    palette = style.config.palette
    assert condition_colours(kinds, style) == {
        "recurrence: none": palette["none"],
        "recurrence: full": palette["full"],
    }
    taus = compare(group_runs([run(tau=tau) for tau in (5.0, 9.0)]), style)
    assert list(condition_colours(taus, style).values()) == list(style.graded([5.0, 9.0]).values())
    both = [run(recurrence_type="full", tau=tau) for tau in (5.0, 9.0)] + [run(recurrence_type="self")]
    assert len(set(condition_colours(compare(group_runs(both), style), style).values())) == 3


@pytest.mark.parametrize("width", [1.25, 2.6])
def test_titles_break_between_words_but_not_before_a_unit(width):
    lines = wrapped("recurrence: depth-pointwise\nrecurrence delay = 10 ms", width).split("\n")
    assert all("depth-pointwise" in line or "depth" not in line for line in lines)
    assert f"={NO_BREAK}10{NO_BREAK}ms" in lines[-1]


def test_the_signal_to_noise_ratio_is_spelt_out(style):
    label = parameter_label("ssnr", style)
    assert label == "signal / (signal + noise)" and at_value(label, 0.5) == "signal / (signal + noise) 0.5"
    assert split_unit("duration (ms)") == ("duration", "ms") and split_unit("contrast") == ("contrast", "")


def test_truths_have_words_and_numbers_have_not():
    label = AxisLabel("same noise", {0.0: "no", 1.0: "yes"})
    assert value_label(1.0, label) == "yes" and at_value(label, 0.0) == "same noise: no"
    assert value_label(True) == "yes" and value_label(1.0) == "1" and value_label(1.0, "contrast") == "1"
