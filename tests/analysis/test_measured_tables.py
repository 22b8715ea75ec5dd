"""Tables in, tables out."""

import math

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis import (
    CLASSIFIER_LAYER,
    accuracy_courses,
    measure_responses,
    response_courses,
    stimulus_periods,
    summarize_responses,
)
from dynvision.config.measures import DEFAULT_MEASURES
from dynvision.errors import InputError
from tests.analysis.example_tables import CONTRASTS, DELAY_MS, DURATIONS, LAYERS, example_tables
from tests.processes import n_calls


def test_delays_between_layers_come_back_as_times():
    tables = example_tables(duration_ms=80.0, recorded_ms=160.0, tau=3.0, adapting=True)
    metrics = measure_responses(*tables, ["time_to_peak_ms", "rise_time_ms"])
    for measure in ("time_to_peak_ms", "rise_time_ms"):
        times = metrics[metrics["measure"] == measure].pivot(index="value", columns="layer", values="mean")
        for index, layer in enumerate(LAYERS):
            np.testing.assert_allclose(times[layer], times["V1"] + index * DELAY_MS, rtol=1e-5)


def test_measures_are_means_over_images():
    responses, performance = example_tables()
    metrics = measure_responses(responses, performance, ["peak", "summed_response"]).set_index(
        ["value", "layer", "measure"]
    )
    after = responses[responses["time_ms"] > 0]
    by_image = after.groupby(["value", "layer", "image"], observed=True)["mean"]
    peaks = by_image.max().groupby(["value", "layer"], observed=True).mean()
    sums = 2.0 * by_image.sum().groupby(["value", "layer"], observed=True).mean()
    for value in CONTRASTS:
        for layer in LAYERS:
            assert metrics.loc[(value, layer, "peak"), "mean"] == pytest.approx(peaks[value, layer], rel=1e-5)
            assert metrics.loc[(value, layer, "summed_response"), "mean"] == pytest.approx(
                sums[value, layer], rel=1e-5
            )
    intervals = metrics.reset_index()
    assert ((intervals["ci_low"] <= intervals["mean"]) & (intervals["mean"] <= intervals["ci_high"])).all()


def test_columns_and_order_are_as_agreed():
    metrics = measure_responses(*example_tables(values=(1.0, 0.5)), ["time_to_peak_ms", "peak"])
    columns = "run_id experiment parameter value layer measure mean ci_low ci_high n_images fraction"
    assert list(metrics) == columns.split()
    assert list(metrics["value"].unique()) == [0.5, 1.0]
    assert list(metrics["layer"].unique()) == [*LAYERS, CLASSIFIER_LAYER]
    first = metrics[metrics["layer"] == "V1"]["measure"].unique()
    assert list(first) == ["time_to_peak_ms", "peak"]
    of_classifier = metrics[metrics["layer"] == CLASSIFIER_LAYER]["measure"].unique()
    assert list(of_classifier) == ["accuracy_peak", "accuracy_mean_on"]


def test_order_of_rows_does_not_matter():
    responses, performance = example_tables()
    shuffled = [table.sample(frac=1, random_state=1) for table in (responses, performance)]
    expected = measure_responses(responses, performance, list(DEFAULT_MEASURES))
    pd.testing.assert_frame_equal(measure_responses(*shuffled, list(DEFAULT_MEASURES)), expected)


def test_images_without_a_peak_are_left_out_and_n_images_says_so():
    responses, performance = example_tables(values=(1.0,), n_images=10, tau=3.0, adapting=True)
    responses.loc[responses["image"] < 4, "mean"] = 0.0
    metrics = measure_responses(responses, performance, ["time_to_peak_ms", "peak"]).set_index(
        ["layer", "measure"]
    )
    assert metrics.loc[("V1", "time_to_peak_ms"), "n_images"] == 6
    assert metrics.loc[("V1", "time_to_peak_ms"), "fraction"] == 0.6
    assert metrics.loc[("V1", "peak"), "fraction"] == 1
    peaks = responses[(responses["layer"] == "V1") & (responses["image"] == 5)].set_index("time_ms")["mean"]
    assert metrics.loc[("V1", "time_to_peak_ms"), "mean"] == peaks.idxmax()
    assert metrics.loc[("V1", "peak"), "n_images"] == 10
    responses["mean"] = np.float32(0)
    silent = measure_responses(responses, performance, ["time_to_peak_ms"]).set_index(["layer", "measure"])
    assert np.isnan(silent.loc[("V1", "time_to_peak_ms"), "mean"])
    assert silent.loc[("V1", "time_to_peak_ms"), "n_images"] == 0


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_no_peak_and_the_reason_of_no_fit(bad):
    """Images beside one that explodes are measured as without it."""
    responses, performance = example_tables(n_images=6, layers=LAYERS[:2])
    gone = (responses["image"] == 2) & (responses["layer"] == "V2") & (responses["value"] == 0.4)
    responses.loc[gone & (responses["time_ms"] >= 20), "mean"] = bad
    asked = ["peak", "c50", "naka_rushton_c50"]
    metrics = measure_responses(responses, performance, asked).set_index(["value", "layer", "measure"])
    exploded, other = (metrics.loc[(0.4, layer, "peak")] for layer in ("V2", "V1"))
    assert (exploded["n_images"], other["n_images"]) == (5, 6)
    rest = responses[responses["image"] != 2].query("layer == 'V2' and value == 0.4")
    assert exploded["mean"] == pytest.approx(rest.groupby("image")["mean"].max().mean())
    summary = summarize_responses(responses, asked).set_index(["layer", "measure"])
    assert (summary.loc["V2", "reason"].iloc[:3] == "the response is not finite").all()
    assert summary.loc[("V1", "c50"), "reason"] == "" and np.isfinite(summary.loc[("V1", "c50"), "mean"])


def test_times_are_medians_since_no_image_peaks_at_the_mean_of_two_peaks():
    """Half of the images peak early and half late."""
    responses, performance = example_tables(values=(1.0,), n_images=12)
    time = np.unique(responses["time_ms"])
    early, late = (np.exp(-(((time - at) / 4) ** 2)) for at in (8.0, 38.0))
    course = np.where(
        (responses["image"] < 6).to_numpy(),
        *(np.interp(responses["time_ms"], time, y) for y in (early, late)),
    )
    long = responses.assign(mean=course.astype(np.float32), stimulus_on=responses["time_ms"] > 0)
    names = ["time_to_peak_ms", "rise_time_ms", "onset_latency_ms", "fwhm_ms", "peak"]
    metrics = measure_responses(long, performance, names).set_index(["layer", "measure"]).loc["V1"]
    row = metrics.loc["time_to_peak_ms"]
    assert (row["mean"], row["ci_low"], row["ci_high"], row["fraction"]) == (8.0, 8.0, 38.0, 1.0)
    assert metrics.loc["rise_time_ms", "mean"] < 8  # and not between the two
    three_quarters = long[long["image"] % 4 != 0]
    alone = measure_responses(three_quarters[three_quarters["image"] > 2], performance[performance["image"].isin(
        three_quarters.loc[three_quarters["image"] > 2, "image"].unique())], names)  # fmt: skip
    assert alone.set_index(["layer", "measure"]).loc[("V1", "time_to_peak_ms"), "mean"] == 38.0


def test_measures_over_conditions_are_of_the_mean_response():
    responses, performance = example_tables(parameter="duration_ms", values=DURATIONS, adapting=True)
    metrics = measure_responses(responses, performance, ["peak", "r_double", "summation_exponent"])
    assert set(metrics["measure"]) == {"peak", "r_double", "accuracy_peak", "accuracy_mean_on"}
    after = responses[responses["time_ms"] > 0]  # zero before onset, so that no baseline is subtracted
    mean = after.groupby(["layer", "value"], observed=True)["mean"].sum()
    doubling = metrics[metrics["measure"] == "r_double"].set_index(["layer", "value"])
    summary = summarize_responses(responses, ["peak", "r_double", "summation_exponent"])
    for layer in LAYERS:
        assert doubling.loc[(layer, 16.0), "mean"] == pytest.approx(
            mean[layer, 16.0] / (2 * mean[layer, 8.0]), rel=1e-5
        )
        assert np.isnan(doubling.loc[(layer, 4.0), "mean"]) and doubling.loc[(layer, 4.0), "n_images"] == 0
        exponent = np.polyfit(np.log(mean[layer].index), np.log(mean[layer]), 1)[0]
        row, goodness = (row for _, row in summary[summary["layer"] == layer].iterrows())
        assert goodness["measure"] == "summation_r_squared" and 0.9 < goodness["mean"] <= 1
        assert row["measure"] == "summation_exponent" and row["n_images"] == 40
        assert row["mean"] == pytest.approx(exponent, rel=1e-5)
        assert row["ci_low"] <= row["mean"] <= row["ci_high"]


def test_intervals_of_measures_of_the_mean_cover_it():
    """The ratio of two means, whose interval is known from its linearisation."""
    generator = np.random.default_rng(3)
    responses, performance = example_tables(parameter="duration_ms", values=(8.0, 16.0), n_images=200)
    long = responses["value"] == 16.0
    gain = generator.normal(1, 0.3, 200)
    responses["mean"] *= np.where(long, gain[responses["image"]], 1.0)
    metrics = measure_responses(responses, performance, ["r_double"]).set_index(["value", "layer", "measure"])
    row = metrics.loc[(16.0, "V1", "r_double")]
    sums = responses[responses["layer"] == "V1"].groupby(["image", "value"])["mean"].sum().unstack()
    ratio = sums[16.0].mean() / sums[8.0].mean()
    residual = sums[16.0] - ratio * sums[8.0]
    error = residual.std() / math.sqrt(200) / (2 * sums[8.0].mean())
    assert row["mean"] == pytest.approx(ratio / 2, rel=1e-4)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * 1.96 * error, rel=0.25)


def test_reaction_times_are_measured_where_an_experiment_asks_for_them():
    responses, performance = example_tables(values=(1.0,))
    metrics = measure_responses(responses, performance, ["reaction_time_confidence_ms"])
    reaction = metrics[metrics["measure"] == "reaction_time_confidence_ms"].squeeze()
    first = performance.query("time_ms > 0 and confidence >= 0.5")["time_ms"].min()
    assert reaction["layer"] == CLASSIFIER_LAYER and reaction["mean"] == first
    with pytest.raises(InputError, match="lacks the columns entropy_bits"):
        measure_responses(responses, performance, ["reaction_time_entropy_ms"])


def test_several_runs_are_measured_as_if_alone():
    first, second = example_tables("a", tau=4.0), example_tables("b", tau=16.0)
    both = [pd.concat(pair, ignore_index=True) for pair in zip(first, second, strict=True)]
    metrics = measure_responses(*both, ["peak"])
    for run_id, tables in {"a": first, "b": second}.items():
        alone = measure_responses(*tables, ["peak"])
        of_run = metrics[metrics["run_id"] == run_id].reset_index(drop=True)
        pd.testing.assert_frame_equal(of_run, alone, check_categorical=False)


def test_tables_that_do_not_belong_together_or_have_holes_are_refused():
    responses, performance = example_tables("a", n_images=4)
    with pytest.raises(InputError, match="responses are of a but performance is of b"):
        measure_responses(responses, performance.assign(run_id="b"), ["peak"])
    with pytest.raises(InputError, match="1 of .* rows are missing"):
        measure_responses(responses.iloc[1:], performance, ["peak"])
    with pytest.raises(InputError, match="1 rows occur twice"):
        measure_responses(pd.concat([responses, responses.iloc[:1]]), performance, ["peak"])


def test_courses_are_means_over_images():
    responses, performance = example_tables()
    course = response_courses(responses).set_index(["value", "layer", "time_ms"])["mean"]
    expected = responses.groupby(["value", "layer", "time_ms"], observed=True)["mean"].mean()
    pd.testing.assert_series_equal(course.sort_index(), expected.astype(float).sort_index(), rtol=1e-5)
    accuracy = accuracy_courses(performance).set_index(["value", "time_ms"])
    expected = performance.groupby(["value", "time_ms"])["correct"].mean()
    np.testing.assert_allclose(accuracy["mean"].sort_index(), expected.sort_index())
    assert set(accuracy["chance"]) == {0.1}


def test_stimulus_periods_last_as_long_as_the_stimulus():
    responses, performance = example_tables(parameter="duration_ms", values=DURATIONS)
    for table in (responses, performance, response_courses(responses)):
        periods = stimulus_periods(table)
        assert list(periods["start_ms"]) == [0.0] * len(DURATIONS)
        assert tuple(periods["end_ms"]) == DURATIONS == tuple(periods["value"])


def test_two_pulses_are_two_periods_and_no_stimulus_is_none():
    on = [False, True, False, True, True, False]
    table = pd.DataFrame({"value": 1.0, "time_ms": np.arange(6) * 2.0, "stimulus_on": on})
    silent = table.assign(value=2.0, stimulus_on=False)
    periods = stimulus_periods(pd.concat([table, silent]))
    assert periods.to_numpy().tolist() == [[1.0, 0.0, 2.0], [1.0, 4.0, 8.0]]


def test_no_row_is_looked_at_by_itself():
    """Ten times as many images are as many calls of Python."""
    work = []
    for n_images in (27, 270):
        tables = example_tables(n_images=n_images, values=np.linspace(0.1, 1, 7), recorded_ms=76.0)
        measure_responses(*tables, list(DEFAULT_MEASURES))  # what is imported or cached once is no part of it
        work.append(n_calls(lambda tables=tables: measure_responses(*tables, list(DEFAULT_MEASURES))))
    assert work[1] < 1.1 * work[0]
