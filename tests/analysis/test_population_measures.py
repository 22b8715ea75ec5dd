"""Measures over the conditions of an experiment against closed forms."""

import math

import numpy as np
import pytest

from dynvision.analysis import summarize_responses
from dynvision.analysis.contrast_response import (
    c50,
    fit_naka_rushton,
    naka_rushton,
    naka_rushton_fit,
)
from dynvision.analysis.recovery import Pulses, find_pulses, mean_recovery, recovery
from dynvision.analysis.summation import (
    r_double,
    summation_exponent,
    summation_r_squared,
    summed_normalized,
    sustained_share,
)
from tests.analysis.example_tables import example_tables, leaky_pulse

DURATIONS = np.array([16.0, 32, 64, 128, 256, 512])
TIME = np.arange(-8, 1001, 2.0)


def boxes(heights, widths=None):
    """Responses that are constant for a time, (V, 1, T): their sum is known."""
    widths = np.full(len(heights), 100.0) if widths is None else widths
    shape = [
        np.where((TIME > 0) & (width >= TIME), height, 0.0)
        for height, width in zip(heights, widths, strict=True)
    ]
    return 0.7 + np.stack(shape)[:, None]


@pytest.mark.parametrize("exponent", [0.47, 1.0])
def test_power_law_summation(exponent):
    response = boxes(DURATIONS**exponent)
    assert summation_exponent(response, TIME, DURATIONS) == pytest.approx([exponent], rel=1e-9)
    doubling = r_double(response, TIME, DURATIONS)[:, 0]
    assert np.isnan(doubling[0])
    assert doubling[1:] == pytest.approx([2 ** (exponent - 1)] * 5)
    expected = (DURATIONS / 512) ** exponent
    assert summed_normalized(response, TIME, DURATIONS)[:, 0] == pytest.approx(expected)


def test_a_leaky_unit_sums_linearly():
    time = np.arange(-10, 1500, 0.5)
    response = np.stack([leaky_pulse(time, duration, 20.0) for duration in DURATIONS])[:, None]
    assert summation_exponent(response, time, DURATIONS) == pytest.approx([1.0], abs=1e-3)
    assert r_double(response, time, DURATIONS)[1:, 0] == pytest.approx([1.0] * 5, abs=1e-3)


def test_a_leaky_unit_is_a_sustained_channel_and_what_answers_edges_a_transient_one():
    """The area of a leaky unit is that of its input, whatever its time constant; two edges of 30 ms add the same always."""
    time, durations = np.arange(-10, 1500, 0.5), np.array([200.0, 400, 800])
    leaky = np.stack([leaky_pulse(time, duration, 20.0) for duration in durations])[:, None]
    edges = np.stack(
        [((time > 0) & (time <= 30)) + ((time > end) & (time <= end + 30)) for end in durations]
    )[:, None]
    for response, expected in ((leaky, 1), (edges, 0), (leaky + 2 * edges, 800 / 920), (0 * leaky, np.nan)):
        found = sustained_share(response, time, durations)
        np.testing.assert_allclose(found, [expected], atol=2e-3)
    np.testing.assert_allclose(
        sustained_share(leaky - 0.5 * edges, time, durations), [1]
    )  # no channel is negative
    assert np.isnan(sustained_share(leaky[:1], time, durations[:1])).all()


def test_durations_on_a_grid_that_are_not_quite_doubles():
    durations = np.array([16.0, 34, 66, 300])
    doubling = r_double(boxes(durations), TIME, durations)[:, 0]  # linear: a response per duration of 1
    np.testing.assert_allclose(doubling, [np.nan, 1, 1, np.nan])


def pulse_pairs(gaps, pulse_ms=20.0):
    on = np.zeros((len(gaps), len(TIME)), bool)
    for row, gap in zip(on, gaps, strict=True):
        for onset in (0.0, pulse_ms + gap):
            row |= (onset < TIME) & (onset + pulse_ms >= TIME)
    return on


def test_pulses_are_found_with_and_without_a_gap():
    on = np.array(
        [[0, 1, 1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 1, 1, 0, 0], [0, 1, 1, 0, 0, 0, 0, 0], [0] * 8], bool
    )
    assert find_pulses(on) == [Pulses(1, 3), Pulses(1, 4), Pulses(1, None), None]


def test_recovery_of_known_gains_on_linear_responses():
    gaps = np.array([0.0, 30, 100, 400])
    gains = np.array([0.2, 0.4, 0.7, 1.0])
    response = np.stack(
        [
            0.3 + leaky_pulse(TIME, 20.0, 10.0) + gain * leaky_pulse(TIME - 20 - gap, 20.0, 10.0)
            for gap, gain in zip(gaps, gains, strict=True)
        ]
    )[:, None]
    on = pulse_pairs(gaps)
    assert recovery(response, TIME, on)[:, 0] == pytest.approx(gains, rel=1e-6)
    assert mean_recovery(response, TIME, on, gaps) == pytest.approx([gains[1:].mean()], rel=1e-6)


def test_recovery_takes_trials_with_one_pulse_where_there_are_some():
    one = leaky_pulse(TIME, 20.0, 400.0)  # outlasts every gap
    second = 0.5 * leaky_pulse(TIME - 70, 20.0, 400.0)
    response = np.stack([one + second, one])[:, None]
    on = pulse_pairs([50.0, 50.0])
    on[1] = (TIME > 0) & (TIME <= 20)
    ratios = recovery(response, TIME, on)[:, 0]
    np.testing.assert_allclose(ratios, [0.5, np.nan], rtol=1e-9)


def test_recovery_without_pairs_has_no_value():
    on = np.broadcast_to((TIME > 0) & (TIME <= 20), (2, len(TIME)))
    assert np.isnan(recovery(boxes([1, 2]), TIME, on)).all()


def test_c50_is_interpolated_in_log_contrast():
    contrasts = np.array([0.125, 0.25, 0.5, 1.0])
    response = boxes([0.0, 0.25, 0.75, 1.0])
    assert c50(response, TIME, contrasts) == pytest.approx([math.sqrt(0.25 * 0.5)])
    order = [2, 0, 3, 1]
    assert c50(response[order], TIME, contrasts[order]) == pytest.approx([math.sqrt(0.125)])
    assert np.isnan(c50(boxes([0.8, 0.9, 0.95, 1.0]), TIME, contrasts))


@pytest.mark.parametrize(("rmax", "half", "n"), [(1.0, 0.33, 2.4), (7.0, 0.07, 3.0), (2.0, 0.8, 1.0)])
def test_naka_rushton_returns_its_parameters(rmax, half, n):
    contrasts = np.array([0.0625, 0.125, 0.25, 0.5, 1.0])
    height = naka_rushton(contrasts, rmax, half, n)
    fit = fit_naka_rushton(contrasts, height)
    assert (fit.rmax, fit.c50, fit.n) == pytest.approx((rmax, half, n), rel=1e-4)
    fitted = naka_rushton_fit(boxes(height), TIME, contrasts)
    assert fitted["c50"] == pytest.approx([half], rel=1e-4) and fitted["n"] == pytest.approx([n], rel=1e-4)


def test_a_fit_that_ends_on_a_bound_has_no_parameters_but_a_reason_and_its_goodness():
    contrasts = np.array([0.0625, 0.125, 0.25, 0.5, 1.0])
    linear = naka_rushton_fit(boxes(contrasts), TIME, contrasts)
    assert all(np.isnan(linear[name]).all() for name in ("rmax", "c50", "n"))
    assert linear["r_squared"] == pytest.approx([1.0], abs=1e-3)
    assert linear["reason"].tolist() == ["c50 ended on its upper bound of 100"]
    step = fit_naka_rushton(contrasts, np.array([0.0, 0.0, 1.0, 1.0, 1.0]))
    assert np.isnan(step.n) and "n ended on its upper bound of 10" in step.reason
    flat = fit_naka_rushton(contrasts, np.full(5, 2.0))
    assert np.isnan(flat.c50) and flat.reason == "the peak does not change with contrast"


def test_a_c50_outside_of_the_contrasts_that_were_shown_is_no_value():
    """The exponent is one, and of a response that is about half at the highest contrast the asymptote is none, either."""
    contrasts = np.array([0.0625, 0.125, 0.25, 0.5, 1.0])
    for half, side, absent in (
        (1.5, "above 1, the highest", ["rmax", "c50"]),
        (0.05, "below 0.0625, the lowest", ["c50"]),
    ):
        fitted = naka_rushton_fit(boxes(naka_rushton(contrasts, 2.0, half, 1.5)), TIME, contrasts)
        assert fitted["reason"].tolist() == [f"c50 is {side} contrast that was shown"]
        assert [name for name in ("rmax", "c50", "n", "r_squared") if np.isnan(fitted[name]).all()] == absent
        assert fitted["n"] == pytest.approx([1.5], rel=1e-3)


def test_the_goodness_of_fits_is_explained_variance():
    contrasts = np.array([0.0625, 0.125, 0.25, 0.5, 1.0])
    height = naka_rushton(contrasts, 1.0, 0.3, 2.0) + np.array([0.02, -0.02, 0.02, -0.02, 0.02])
    fit = fit_naka_rushton(contrasts, height)
    rest = height - naka_rushton(contrasts, fit.rmax, fit.c50, fit.n)
    assert fit.r_squared == pytest.approx(1 - (rest**2).sum() / ((height - height.mean()) ** 2).sum())
    sums = DURATIONS**0.6 * np.array([1.1, 0.9, 1.1, 0.9, 1.1, 0.9])
    slope, _ = np.polyfit(np.log(DURATIONS), np.log(sums), 1)
    r = np.corrcoef(np.log(DURATIONS), np.log(sums))[0, 1]
    assert summation_exponent(boxes(sums), TIME, DURATIONS) == pytest.approx([slope])
    assert summation_r_squared(boxes(sums), TIME, DURATIONS) == pytest.approx([r**2])


def test_every_fit_comes_with_its_goodness():
    contrast, _ = example_tables(values=(0.1, 0.2, 0.4, 1.0), layers=("V1",), n_images=6)
    summary = summarize_responses(contrast, ["naka_rushton_c50", "c50"]).astype(
        {"layer": str, "measure": str}
    )
    assert list(summary["measure"].unique()) == ["naka_rushton_c50", "naka_rushton_r_squared", "c50"]
    of_v1 = summary[summary["layer"] == "V1"].set_index("measure")
    missing = of_v1["mean"].isna()
    assert (of_v1.loc[missing, "reason"] != "").all() and (of_v1.loc[~missing, "reason"] == "").all()
    duration, _ = example_tables(
        parameter="duration_ms", values=(8.0, 16.0, 32.0), layers=("V1",), n_images=6
    )
    summary = summarize_responses(duration, ["summation_exponent", "dn_tau1_ms", "dn_n"])
    assert list(summary["measure"].unique()) == [
        *("summation_exponent", "summation_r_squared"),
        *("dn_tau1_ms", "dn_n", "dn_r_squared"),
    ]


def test_an_interval_of_the_few_resamples_that_do_not_end_on_a_bound_is_none():
    """A response that saturates in one image of six, so that many resamples are linear."""
    contrasts = (0.0625, 0.125, 0.25, 0.5, 1.0)
    table, _ = example_tables(values=contrasts, layers=("V1",), n_images=6)
    heights = np.where(table["image"] == 0, 4 * np.minimum(table["value"], 0.3), 0.2 * table["value"])
    table["mean"] = np.where(table["stimulus_on"], heights, 0.0)
    row = summarize_responses(table, ["naka_rushton_c50"]).iloc[0]
    assert np.isfinite(row["mean"]) and np.isnan(row["ci_low"]) and np.isnan(row["ci_high"])


def test_nothing_to_fit_is_no_fit():
    assert np.isnan(fit_naka_rushton(np.array([0.5, 1.0]), np.array([0.5, 1.0])).c50)
    assert np.isnan(fit_naka_rushton(np.array([0.2, 0.5, 1.0]), np.zeros(3)).c50)
