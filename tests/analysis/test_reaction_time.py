"""Decisions in time on made tables whose answers are closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from dynvision.analysis import measure_responses
from dynvision.analysis.decisions import (
    decide,
    map_curve_to_human_times,
    map_to_human_times,
    speed_accuracy,
)
from dynvision.analysis.reaction_time import (
    accuracy_accumulation,
    reaction_time_accumulation_ms,
    reaction_time_uncertainty_ms,
    speed_accuracy_range,
)
from dynvision.errors import InputError
from dynvision.experiments.outcomes import outcomes
from tests.analysis.example_tables import example_tables
from tests.analysis.race_tables import TIME, guesses, raced


def test_a_constant_probability_reaches_a_bound_after_the_bound_over_it():
    columns = raced(np.array([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]), [0, 0, 0])
    times = reaction_time_accumulation_ms(columns["evidence_ms"], TIME, bound_ms=40.0)
    assert times.tolist() == [[80, 50, 50]]  # 40 / .5, 40 / .8
    race = (columns["evidence_ms"], columns["evidence_guess"], columns["label"])
    assert accuracy_accumulation(*race, TIME, 40.0).tolist() == [[1, 1, 0]]
    made = decide(columns, TIME, 40.0)
    np.testing.assert_allclose(
        made.confidence, [[0.5, 0.875, 0.875]], rtol=1e-6
    )  # (.5 - .25) / .5, (.8 - .1) / .8
    never = decide(columns, TIME, 1000.0)
    assert np.isnan(never.rt_ms).all() and never.correct.tolist() == [[True, True, False]]


def test_a_race_is_won_by_what_was_likely_longest_and_not_by_the_last_guess():
    """Class 1 is certain for 30 ms, then class 0 for 10 ms: the guess is 0 by then, the leader 1."""
    time = np.arange(1, 41.0)
    logits = torch.where(torch.tensor(time <= 30)[:, None], torch.tensor([0.0, 50]), torch.tensor([50.0, 0]))
    made = outcomes(logits[None], torch.tensor([1]), list(time))
    assert made["guess"][0, -1] == 0 and made["evidence_guess"][0, -1] == 1
    assert made["evidence_ms"][0, -1] == pytest.approx(30) and made["evidence_lead_ms"][
        0, -1
    ] == pytest.approx(20)


def test_evidence_begins_at_stimulus_onset_and_skips_outputs_that_are_not_finite():
    time = [-2.0, 0.0, 2.0, 4.0, 6.0]
    logits = torch.tensor([[[9.0, 0], [9.0, 0], [0.0, 9], [torch.nan, 0], [0.0, 9]]])
    made = outcomes(logits, torch.tensor([1]), time)
    sure = float(torch.tensor([0.0, 9]).softmax(0)[1])
    np.testing.assert_allclose(made["evidence_ms"], [[0, 0, 2 * sure, 2 * sure, 4 * sure]], rtol=1e-6)
    assert made["evidence_guess"].tolist() == [[-1, -1, 1, 1, 1]]
    assert np.isnan(made["uncertainty"][0, 3])


def test_the_area_of_a_constant_uncertainty_is_its_product_with_time():
    """Of K = 4 classes with logits 3, 1, -2, 0: u = 4 / (4 + 3 + 1)."""
    made = outcomes(torch.tensor([[[3.0, 1, -2, 0]]]).expand(1, len(TIME), 4), torch.tensor([0]), list(TIME))
    np.testing.assert_allclose(made["uncertainty"], 0.5)
    assert reaction_time_uncertainty_ms(made["uncertainty"], TIME).tolist() == [100]  # .5 of 200 ms


def test_the_range_is_from_the_first_sample_to_the_last_with_the_stimulus_on():
    on = ((TIME > 0) & (TIME <= 100))[None]
    correct = np.stack([TIME > 60, TIME > 100, TIME < 50, TIME < 1000])[None]
    assert speed_accuracy_range(correct, TIME, on).tolist() == [[1, 0, -1, 0]]
    assert np.isnan(speed_accuracy_range(correct, TIME, np.zeros_like(on))).all()


def test_speed_is_traded_for_accuracy_by_read_out_times_and_by_bounds():
    columns = raced(np.array([[0.5, 0.5 - 1e-9], [0.2, 0.8]]), [0, 1])
    columns["correct"] = np.stack([TIME > 60, TIME > 120])[None]
    table = speed_accuracy(guesses(columns), read_out_ms=(50, 61, 200), bounds_ms=(20.0, 120.0))
    forced = table[table["read_out_ms"].notna()]
    assert forced["accuracy"].tolist() == [0, 0, 1] and forced["rt_ms"].tolist() == [50, 60, 200]
    bounded = table[table["bound_ms"].notna()]
    assert bounded["rt_ms"].tolist() == [(40 + 26) / 2, 150] and bounded["n_images"].tolist() == [2, 1]
    with pytest.raises(InputError, match="read_out_ms=300 ms is not within the record"):
        speed_accuracy(guesses(columns), read_out_ms=(300,))
    (early,) = speed_accuracy(guesses(columns), read_out_ms=(0.4,))["rt_ms"]
    assert early == TIME[TIME > 0][0]  # the sample at onset has seen nothing
    for bound in (0.0, -5.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="of certainty is reached at once or never; give a time above 0"):
            speed_accuracy(guesses(columns), bounds_ms=(bound,))
    old = guesses(columns).drop(columns="evidence_ms")
    with pytest.raises(InputError, match="lacks the columns evidence_ms; run the experiment again"):
        speed_accuracy(old, bounds_ms=(20.0,))


def test_curves_that_cannot_be_mapped_are_one_sentence():
    time, accuracy = np.array([10.0, 20.0, 30.0]), np.array([0.2, 0.5, 0.9])
    human = np.array([200.0, 300.0, 400.0])
    for curve, said in (
        ((time[::-1], accuracy[::-1], human, accuracy), "time_ms does not ascend"),
        ((time, accuracy[:2], human, accuracy), "the curve of network has 3 times and 2 accuracies"),
        (
            (time, accuracy, human[:2], accuracy[:2]),
            "the curve of people has 2 times and 2 accuracies; .* at least 3",
        ),
        ((time, accuracy * np.nan, human, accuracy), "the curve of network has values that are not finite"),
        ((time[:0], accuracy[:0], human, accuracy), "at least 1"),
    ):
        with pytest.raises(InputError, match=said):
            map_curve_to_human_times(*curve)


def test_a_slow_network_is_mapped_as_well_as_a_fast_one():
    """Its times are far from those of people, so that most shifts leave nothing of the curve."""
    human_ms, human = np.array([200.0, 210.0, 220.0]), np.array([0.2, 0.5, 0.9])
    for first in (10.0, 5000.0):
        time = first + np.array([0.0, 10.0, 20.0, 400.0])
        shift, stretch, error = map_curve_to_human_times(
            time, np.array([0.2, 0.5, 0.9, 1.0]), human_ms, human
        )
        assert (shift + stretch * first, stretch, error) == pytest.approx((200, 1, 0), abs=1e-3)


def test_experiments_list_them_by_name():
    responses, _ = example_tables(values=(0.5,), n_images=2, recorded_ms=200.0)
    columns = raced(np.array([[0.5, 0.5], [0.2, 0.8]]), [0, 1])
    performance = guesses(columns).assign(run_id="run", experiment="contrast", parameter="contrast")
    names = ["accuracy_accumulation", "reaction_time_accumulation_ms", "speed_accuracy_range"]
    metrics = measure_responses(responses, performance, names).set_index("measure")["mean"]
    assert metrics["reaction_time_accumulation_ms"] == 26  # the lower of 40 and 26, by the grid of 2 ms
    assert metrics["accuracy_accumulation"] == 1 and metrics["speed_accuracy_range"] == 0


def test_a_linear_relation_comes_back_from_half_of_the_images():
    model = np.random.default_rng(0).gamma(4, 20, 60)
    human = 310 + 2.5 * model
    found = map_to_human_times(model, human)
    assert (found.intercept_ms, found.slope) == (pytest.approx(310), pytest.approx(2.5))
    assert found.spearman == pytest.approx(1) and found.rmse_ms == pytest.approx(0, abs=1e-9)
    assert (found.n_fitted, found.n_tested) == (30, 30)


def test_the_map_is_tested_on_images_that_it_was_not_fitted_on():
    """Times of people that have nothing to do with those of the network: a fit of all images would have a smaller error."""
    generator = np.random.default_rng(1)
    model, human = generator.normal(100, 20, 40), generator.normal(500, 60, 40)
    model[7], human[3] = np.nan, np.nan
    found = map_to_human_times(model, human, seed=3)
    both = np.isfinite(model) & np.isfinite(human)
    order = np.random.default_rng(3).permutation(np.flatnonzero(both))
    slope, intercept = np.polyfit(model[order[:19]], human[order[:19]], 1)
    rest = order[19:]
    assert found.slope == pytest.approx(slope) and found.intercept_ms == pytest.approx(intercept)
    assert found.spearman == pytest.approx(spearmanr(model[rest], human[rest]).statistic)
    assert found.rmse_ms == pytest.approx(
        np.sqrt(((intercept + slope * model[rest] - human[rest]) ** 2).mean())
    )
    with pytest.raises(InputError, match="2 images have both times"):
        map_to_human_times(model[:2], human[:2])
    with pytest.raises(InputError, match="one of each for every image"):
        map_to_human_times(model[:3], human)


def test_a_curve_that_is_shifted_and_stretched_comes_back():
    time = np.arange(2, 202, 2.0)
    accuracy = 0.1 + 0.8 / (1 + np.exp(-(time - 70) / 15))
    human_ms = np.linspace(200, 1000, 9)
    human = np.interp((human_ms - 120) / 4.5, time, accuracy)
    shift, stretch, error = map_curve_to_human_times(time, accuracy, human_ms, human)
    assert shift == pytest.approx(120, abs=1) and stretch == pytest.approx(4.5, rel=5e-3) and error < 1e-3
    flat = map_curve_to_human_times(time, np.full(len(time), 0.5), human_ms, human)[2]
    assert flat == pytest.approx(np.sqrt(((human - 0.5) ** 2).mean()))
