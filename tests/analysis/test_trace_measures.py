"""Measures of single responses against closed forms and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynvision.analysis.latency import fwhm_ms, onset_latency_ms, rise_time_ms
from dynvision.analysis.reaction_time import reaction_time_confidence_ms, reaction_time_entropy_ms
from dynvision.analysis.recovery import peak_ratio
from dynvision.analysis.summation import sustained_ratio
from dynvision.analysis.time_grid import above_baseline
from dynvision.errors import InputError
from tests.analysis.example_tables import leaky_pulse

TIME = np.arange(-18, 201, 2.0)


def test_baseline_is_the_mean_before_onset():
    response = np.where(TIME <= 0, np.where(TIME <= -10, 1.0, 3.0), 7.0)
    np.testing.assert_allclose(above_baseline(response, TIME), 5.0)
    assert (above_baseline(response[TIME > 0], TIME[TIME > 0]) == 7.0).all()  # nothing up to onset


@pytest.mark.parametrize("delay", [0.0, 6.0, 24.0])
def test_latency_of_a_delayed_response_is_the_delay(delay):
    response = 0.3 + leaky_pulse(
        TIME - delay, 40.0, 5.0
    )  # the first sample with a response is one step after its onset
    assert onset_latency_ms(response, TIME) == delay + 2.0


def test_latency_waits_until_the_response_leaves_the_noise():
    generator = np.random.default_rng(1)
    noise = np.where(TIME <= 0, generator.normal(0, 0.1, len(TIME)), 0.0)
    ramp = np.clip(TIME, 0, None) / 100
    threshold = noise[TIME <= 0].mean() + 3 * noise[TIME <= 0].std()
    expected = TIME[(TIME > 0) & (ramp > threshold)][0]
    assert onset_latency_ms(noise + ramp, TIME) == expected > 20


def test_latency_counts_decreases_and_not_rounding():
    assert onset_latency_ms(np.where(TIME < 10, 1.0, 0.5), TIME) == 10.0
    rounding = np.float32(0.1) + np.float32(1.5e-8) * (np.arange(len(TIME)) % 2).astype(np.float32)
    assert rounding.max() > rounding.min()
    assert np.isnan(onset_latency_ms(rounding, TIME))
    assert np.isnan(onset_latency_ms(np.zeros(len(TIME)), TIME))


@pytest.mark.parametrize("base", [0.0, 2.0])
def test_width_of_a_triangle_is_half_its_foot(base):
    triangle = base + np.clip(1 - np.abs(TIME - 60) / 30, 0, None)
    assert fwhm_ms(triangle, TIME) == pytest.approx(30.0, rel=1e-12)


def test_width_of_a_gaussian():
    time = np.arange(0, 400, 0.5)
    response = np.exp(-((time - 200) ** 2) / (2 * 20.0**2))
    assert fwhm_ms(response, time) == pytest.approx(2 * math.sqrt(2 * math.log(2)) * 20, rel=1e-3)


def test_width_of_a_leaky_pulse():
    time, tau, duration = np.arange(-5, 300, 0.1), 10.0, 40.0
    height = 1 - math.exp(-duration / tau)
    rise, fall = -tau * math.log(1 - height / 2), duration + tau * math.log(2)
    assert fwhm_ms(leaky_pulse(time, duration, tau), time) == pytest.approx(fall - rise, abs=0.1)


def test_only_the_hump_of_the_peak_counts_and_a_step_has_no_width():
    two = np.clip(1 - np.abs(TIME - 40) / 10, 0, None) + 0.8 * np.clip(1 - np.abs(TIME - 120) / 10, 0, None)
    assert fwhm_ms(two, TIME) == pytest.approx(10.0)
    assert np.isnan(fwhm_ms(np.where(TIME > 20, 1.0, 0.0), TIME))
    assert np.isnan(fwhm_ms(np.zeros(len(TIME)), TIME))
    from_start = np.array([1.0, 0.8, 0.2, 0.0])
    assert fwhm_ms(from_start, np.arange(1, 5.0)) == pytest.approx(1.5)


@pytest.mark.parametrize("base", [0.0, 0.5])
def test_sustained_ratio_by_hand(base):
    on = (TIME > 0) & (TIME <= 100)
    response = base + np.where(on, 1 + 3 * np.exp(-np.clip(TIME, 0, None) / 20), 0)
    expected = (1 + 3 * math.exp(-100 / 20)) / (1 + 3 * math.exp(-2 / 20))
    assert sustained_ratio(response[None], TIME, on[None]) == pytest.approx([expected])
    assert sustained_ratio(np.where(on, 1.0, 0.0)[None], TIME, on[None]) == [1.0]
    assert np.isnan(sustained_ratio(response[None], TIME, np.zeros((1, len(TIME)), bool)))


def peak_ratio_of_dynvision_01(response, min_delay):
    """A transcription of the loop of DynVision 0.1."""
    signal, n = list(response), len(response)
    peaks = [
        k
        for k in range(n)
        if (k == 0 or signal[k] >= signal[k - 1])
        and (k == n - 1 or signal[k] >= signal[k + 1])
        and signal[k] > 0
    ]
    if len(peaks) < 2:
        return 0.0
    peaks.sort(key=lambda k: signal[k], reverse=True)
    far = [k for k in peaks[1:] if abs(k - peaks[0]) >= min_delay]
    second = far[0] if far else peaks[1]
    early, late = sorted((peaks[0], second))
    return signal[late] / signal[early]


@given(st.lists(st.integers(0, 9), min_size=2, max_size=30), st.sampled_from([1.0, 2.0, 4.0]))
def test_peak_ratio_is_that_of_dynvision_01(values, dt):
    response = np.array(values, float)
    expected = peak_ratio_of_dynvision_01(values, round(10 / dt))
    assert peak_ratio(response, np.arange(1, len(values) + 1) * dt) == pytest.approx(expected)


def test_peak_ratio_does_not_depend_on_dt():
    def response(time):
        return leaky_pulse(time, 30.0, 8.0) + 0.6 * leaky_pulse(time - 60, 30.0, 8.0)

    fine, coarse = np.arange(0, 150, 1.0), np.arange(0, 150, 2.0)
    assert peak_ratio(response(fine), fine) == pytest.approx(peak_ratio(response(coarse), coarse), rel=1e-12)


def test_reaction_times_by_hand():
    time = np.array([-2.0, 0.0, 2.0, 4.0])
    confidence = np.array([[[0.9, 0.1, 0.5, 0.9], [0.9, 0.3, 0.3, 0.3]]])
    np.testing.assert_array_equal(reaction_time_confidence_ms(confidence, time), [[2.0, np.nan]])
    np.testing.assert_array_equal(
        reaction_time_confidence_ms(confidence, time, threshold=0.8), [[4.0, np.nan]]
    )
    entropy = np.array([[[0.0, 3.3, 1.2, 1.0], [3.3, 3.3, 0.1, 2.0]]])
    np.testing.assert_array_equal(reaction_time_entropy_ms(entropy, time), [[4.0, 2.0]])


def test_records_that_end_before_onset_are_said():
    with pytest.raises(InputError, match="no sample is later than stimulus onset"):
        onset_latency_ms(np.zeros(2), np.array([-2.0, 0.0]))


@pytest.mark.parametrize("base", [0.0, 2.0])
def test_rise_time_of_a_leaky_unit(base):
    time, tau = np.arange(-5, 200, 0.1), 10.0
    assert rise_time_ms(base + leaky_pulse(time, 100.0, tau), time) == pytest.approx(
        tau * math.log(10), abs=0.01
    )
    ramp = base + np.clip(TIME, 0, 50.0)
    assert rise_time_ms(ramp, TIME) == pytest.approx(45.0)


def test_rise_time_at_the_borders():
    assert rise_time_ms(np.where(TIME > 0, 1.0, 0.0), TIME) == 2
    assert np.isnan(rise_time_ms(np.ones(len(TIME)), TIME))
    assert np.isnan(rise_time_ms(np.where(TIME >= 10, 0.0, 1.0), TIME))
