"""Measures against closed forms."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynvision.analysis import MEASURES, find_measure, register
from dynvision.analysis.accuracy import accuracy_mean_on, accuracy_peak
from dynvision.analysis.latency import peak, rise_time_ms, time_to_peak_ms
from dynvision.analysis.summation import summed_response
from dynvision.analysis.tables import chance_level
from dynvision.config.measures import MEASURES as CONFIGURABLE
from dynvision.config.measures import NOT_OF_A_LAYER
from dynvision.errors import InputError
from tests.analysis.example_tables import adapting_pulse, leaky_pulse

TIME = np.arange(-4, 80, 2.0)


def test_registry_has_what_a_configuration_can_name():
    assert {name for name, measure in MEASURES.items() if measure.on_request} == set(CONFIGURABLE)
    assert {name for name, measure in MEASURES.items() if not measure.on_request} == {
        "accuracy_peak",
        "accuracy_mean_on",
    }


def test_a_configuration_knows_which_measures_are_of_a_layer_at_each_value():
    drawn = {name for name in CONFIGURABLE if MEASURES[name].of == "responses"}
    drawn -= {name for name in CONFIGURABLE if MEASURES[name].scope == "experiment"}
    assert set(CONFIGURABLE) - NOT_OF_A_LAYER == drawn


def test_every_measure_says_what_it_is():
    for name, measure in MEASURES.items():
        assert measure.name == name and measure.label and measure.unit and measure.definition, name


def test_duplicate_and_unknown_names_are_errors():
    with pytest.raises(InputError, match="peak.*taken"):
        register("peak", "", "", "")(lambda response: response)
    with pytest.raises(InputError, match="did you mean 'peak'"):
        find_measure("peek")
    with pytest.raises(InputError, match="unknown measure 'accuracy_peak'"):
        find_measure("accuracy_peak")


@pytest.mark.parametrize("tau", [3.0, 10.0])
@pytest.mark.parametrize("duration_ms", [10.0, 40.0])
def test_leaky_pulse_peaks_when_the_stimulus_ends(tau, duration_ms):
    response = 2.5 * leaky_pulse(TIME, duration_ms, tau)
    assert time_to_peak_ms(response, TIME) == duration_ms
    assert peak(response, TIME) == pytest.approx(2.5 * (1 - np.exp(-duration_ms / tau)), rel=1e-12)


@pytest.mark.parametrize(("shape", "scale"), [(2, 5.0), (4, 4.0)])
def test_gamma_pulse_peaks_at_its_mode(shape, scale):
    time = np.arange(0, 200, 1.0)
    response = time ** (shape - 1) * np.exp(-time / scale)
    mode = (shape - 1) * scale
    assert time_to_peak_ms(response, time) == mode
    assert peak(response, time) == pytest.approx(mode ** (shape - 1) * np.exp(-mode / scale), rel=1e-12)


def test_summed_leaky_pulse_is_height_times_duration():
    time = np.arange(0, 400, 0.01)
    response = leaky_pulse(time, 40.0, 5.0)  # the area lost in the rise comes back in the decay
    assert summed_response(response, time) == pytest.approx(40.0, rel=1e-3)


def test_summed_response_is_the_rectangle_rule_after_onset():
    response = np.array([9.0, 9.0, 1.0, 2.0, 3.0])
    assert summed_response(response, np.array([-2.0, 0.0, 2.0, 4.0, 6.0])) == 2.0 * (1 + 2 + 3)


def test_what_happens_before_onset_does_not_count():
    response = np.where(TIME <= 0, 100.0, leaky_pulse(TIME, 20.0, 5.0))
    assert time_to_peak_ms(response, TIME) == 20.0
    assert peak(response, TIME) < 1


def test_first_of_two_equal_maxima_counts():
    response = np.array([0.0, 0, 0, 3, 1, 3, 0])
    assert time_to_peak_ms(response, np.arange(-2, 5.0)) == 1.0


def test_flat_responses_have_no_time_to_peak_but_a_peak():
    flat = np.stack([np.zeros(5), np.full(5, 0.3), np.array([0, 0, 1.0, 2.0, 1.0])]).astype(np.float32)
    time = np.arange(-1, 4.0)
    np.testing.assert_array_equal(time_to_peak_ms(flat, time), [np.nan, np.nan, 2.0])
    np.testing.assert_allclose(peak(flat, time), [0, 0.3, 2.0], rtol=1e-6)


SHOWN = np.stack([(TIME > 0) & (end >= TIME) for end in (10.0, 40.0, 80.0)])


def test_a_response_that_saturates_has_no_time_to_peak_but_a_rise_time():
    """The maximum of a plateau is wherever rounding puts it: tau ln 1e6 to a tolerance of one part in a million."""
    time = np.arange(-10, 500, 1.0)
    on = ((time > 0) & (time <= 400))[None]
    for tau in (5.0, 20.0, 40.0):
        response = leaky_pulse(time, 400.0, tau)[None].astype(np.float32)
        assert np.isnan(time_to_peak_ms(response, time, on)).all()
        assert rise_time_ms(response, time, on) == pytest.approx([tau * np.log(10)], abs=0.2)
    steps = np.array([[0.0, 0.5, 1.0, 1.0 + 2e-7, 1.0]], dtype=np.float32)
    assert np.isnan(time_to_peak_ms(steps, np.arange(5.0))).all()


def test_a_short_pulse_has_no_time_to_peak_since_it_would_be_its_offset():
    """Layers hear of onset and offset with the same delay, which is no peak either."""
    response = np.stack([leaky_pulse(TIME, end, 12.0) for end in (10.0, 40.0, 80.0)])
    for delay in (0, 2, 5):
        layer = np.roll(response, delay, axis=-1)
        layer[:, :delay] = 0
        assert np.isnan(time_to_peak_ms(layer, TIME, SHOWN)).all()
    second_stage = np.stack(
        [np.convolve(row, np.exp(-np.arange(len(TIME)) / 4))[: len(TIME)] for row in response]
    )
    assert np.isnan(time_to_peak_ms(second_stage, TIME, SHOWN)).all()


def test_a_transient_peaks_where_it_does():
    for delay in (0.0, 6.0):
        transient = np.stack([adapting_pulse(TIME - delay, end, 4.0) for end in (10.0, 40.0, 80.0)])
        at = TIME[transient[2].argmax()]
        np.testing.assert_array_equal(time_to_peak_ms(transient, TIME, SHOWN), [np.nan, at, at])
        assert 0 < at - delay < 20


def test_a_threshold_at_onset_makes_no_peak_at_the_offset():
    """The response sets in late, since it has to reach a threshold, and falls at once when the image ends."""
    time = np.arange(-10, 300, 1.0)
    on = ((time > 0) & (time <= 100))[None]
    response = np.clip(leaky_pulse(time, 100.0, 40.0) - 0.5, 0, None)[None]
    assert np.isnan(time_to_peak_ms(response, time, on)).all()


def test_noise_on_a_plateau_is_no_peak():
    noise = np.random.default_rng(3).normal(0, 0.02, (20, len(TIME)))
    plateau = noise + np.where(TIME > 0, 1.0, 0.0)
    flat_before = np.where(TIME > 0, plateau, 0.0)
    before_and_after = np.concatenate([np.random.default_rng(4).normal(0, 0.02, (20, 40)), plateau], axis=-1)
    time = np.concatenate([np.arange(-84, -4, 2.0), TIME])
    on = np.broadcast_to(time > 0, (20, len(time)))
    assert np.isnan(time_to_peak_ms(before_and_after, time, on)).all()
    tiny = 0.4 * (flat_before - 1) + 1  # .8 % of the height, and nothing is known of the noise before onset
    assert np.isnan(time_to_peak_ms(np.where(TIME > 0, tiny, 0), TIME, SHOWN[2:].repeat(20, 0))).all()


def test_only_the_first_image_counts():
    """Of two pulses, the second of which drives more."""
    time = np.arange(-4, 200, 2.0)
    pair = adapting_pulse(time, 50.0, 4.0) + 2 * adapting_pulse(time - 100, 50.0, 4.0)
    on = (((time > 0) & (time <= 50)) | ((time > 100) & (time <= 150)))[None]
    alone = adapting_pulse(time, 50.0, 4.0)[None]
    first = time[alone[0].argmax()]
    assert pair.argmax() > 52
    assert time_to_peak_ms(pair[None], time, on) == time_to_peak_ms(alone, time, on) == first
    assert rise_time_ms(pair[None], time, on) == rise_time_ms(alone, time, on)
    assert np.isnan(time_to_peak_ms(pair[None], time, np.zeros_like(on))).all()


def test_diverged_response_has_no_time_to_peak():
    response = np.array([[0.0, 1.0, np.inf], [0.0, 1.0, np.nan]])
    assert np.isnan(time_to_peak_ms(response, np.arange(3.0))).all()


@given(
    st.lists(st.floats(0, 100).map(lambda value: round(value, 6)), min_size=3, max_size=30),
    st.floats(0.01, 50),
    st.integers(0, 2),
)
def test_scaling_a_response_scales_height_and_sum_and_keeps_time(values, factor, n_before):
    response = np.array(values)
    time = np.arange(len(values)) + 1 - float(n_before)
    scaled = factor * response
    assert peak(scaled, time) == pytest.approx(factor * peak(response, time))
    assert summed_response(scaled, time) == pytest.approx(factor * summed_response(response, time))
    np.testing.assert_equal(
        np.isnan(time_to_peak_ms(scaled, time)), np.isnan(time_to_peak_ms(response, time))
    )


def test_leading_axes_are_kept():
    response = np.random.default_rng(0).random((2, 3, 4, len(TIME)))
    on = (TIME > 0) & (TIME <= 20)
    for measure in MEASURES.values():
        if measure.of == "responses" and measure.scope == "trace":
            given = {"response": response, "time_ms": TIME, "stimulus_on": np.stack([on, on])}
            whole = measure.function(**{name: given[name] for name in measure.needs})
            assert whole.shape == (2, 3, 4), measure.name
            given |= {"response": response[1:, 2, 3], "stimulus_on": on[None]}
            (one,) = measure.function(**{name: given[name] for name in measure.needs})
            assert whole[1, 2, 3] == pytest.approx(one, rel=1e-12, nan_ok=True), measure.name


def test_times_that_cannot_be_used_are_said():
    with pytest.raises(InputError, match="not evenly spaced"):
        summed_response(np.zeros(3), np.array([0.0, 1.0, 3.0]))
    with pytest.raises(InputError, match="single time"):
        summed_response(np.zeros(1), np.array([2.0]))
    with pytest.raises(InputError, match="no sample is later than stimulus onset"):
        peak(np.zeros(2), np.array([-2.0, 0.0]))


def test_peak_accuracy_says_that_it_is_biased():
    """The best of fifty times of a network that guesses at chance."""
    correct = np.random.default_rng(0).random((1, 40, 50)) < 0.1
    best = accuracy_peak(correct, np.arange(1, 51.0), correct[:, 0]).mean()
    assert best > 0.15  # of a chance of .1
    assert "lies above the accuracy on other images" in MEASURES["accuracy_peak"].definition


def test_accuracies_by_hand():
    time = np.array([0.0, 1.0, 2.0, 3.0])
    correct = np.array(
        [[[1, 0, 1, 0], [1, 0, 1, 1], [1, 1, 0, 0]]], dtype=bool
    )  # over images: 3/3, 1/3, 2/3, 1/3
    on = np.array([[False, True, True, False]])
    np.testing.assert_array_equal(accuracy_peak(correct, time, on), [[1, 1, 0]])
    np.testing.assert_array_equal(accuracy_mean_on(correct, time, on), [[0.5, 0.5, 0.5]])
    assert np.isnan(accuracy_mean_on(correct, time, np.zeros((1, 4), dtype=bool))).all()


def test_chance_is_that_of_the_classes_of_the_network():
    """Of a network of ten classes that is shown one of them and guesses two."""
    table = pd.DataFrame({"label": [7, 7, 7], "guess": [7, 2, -1], "n_classes": 10})
    assert chance_level(table) == pytest.approx(0.1)
