"""Phenomena on responses and guesses that are made to answer: as in cortex, the other way round, and not at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis.scorecard import Guesses, score_run, scorecard_text
from tests.analysis.race_tables import guesses, raced

DT = 2.0
LAYERS = {"V1": ["V1", "V1-V3"], "IT": ["IT", "LOTC"]}
DURATIONS = (300.0, 600.0, 900.0, 1200.0, 1500.0)
LONG = np.arange(-5, 1251) * DT
ROW = np.arange(-5, 751) * DT
TRIAL = np.arange(-5, 151) * DT


def responses(
    by_layer: Mapping[str, np.ndarray], values: tuple[float, ...], time: np.ndarray
) -> pd.DataFrame:
    """The table of a run with two images whose gains differ, of responses (V, T) to each value."""
    parts = [
        pd.DataFrame(
            {"value": value, "image": image, "layer": layer, "time_ms": time, "mean": gain * of_value}
        ).assign(stimulus_on=(time > 0) & (time <= 250))
        for layer, of_layer in by_layer.items()
        for value, of_value in zip(values, of_layer, strict=True)
        for image, gain in enumerate((0.9, 1.1))
    ]
    table = pd.concat(parts, ignore_index=True)
    table["layer"] = pd.Categorical(table["layer"], list(by_layer))
    return table.assign(run_id="made", experiment="made", parameter="made")


def box(time: np.ndarray, start: float, end: float) -> np.ndarray:
    return ((time > start) & (time <= end)).astype(float)


def signs(card: pd.DataFrame) -> pd.DataFrame:
    """The sign tests of a scorecard by name and layer."""
    return card[card["kind"] == "sign"].set_index(["name", "layer"]).sort_index()


# --- a row of images: 1 and 4 Hz --------------------------------------------------------------------------------------


def to_rows(ratio: float) -> np.ndarray:
    """Responses to one image and to a row of four, whose sum is so many times as large."""
    return np.stack([box(ROW, 0, 250), ratio / 4 * box(ROW, 0, 1000)])


def card_of_rows(early: float, late: float) -> pd.DataFrame:
    by_layer = {"V1": to_rows(early), "IT": to_rows(late)}
    return score_run({"rate": responses(by_layer, (1.0, 4.0), ROW)}, LAYERS)


def test_rows_as_in_cortex():
    """Four times the rate is twice the amplitude in early areas and 1.25 times in late ones."""
    card = card_of_rows(2.0, 1.25)
    asked = signs(card)
    assert asked["model"]["rate_is_sublinear", "V1"] == pytest.approx(1 / 2 - 1 / 4)
    assert asked["model"]["rate_is_sublinear", "IT"] == pytest.approx(1 / 1.25 - 1 / 4)
    assert set(asked["verdict"]) == {"yes"}
    numbers = card[card["kind"] == "number"].set_index("area")
    assert numbers["distance"].to_dict() == pytest.approx({"V1-V3": 0, "LOTC": 0}, abs=1e-6)
    assert (numbers["cortex_high"] - numbers["cortex"]).tolist() == pytest.approx([0.11, 0.11])


def test_rows_the_other_way_round():
    linear, more = signs(card_of_rows(4.0, 4.0)), signs(card_of_rows(5.0, 6.0))
    assert set(linear["verdict"]) == set(more["verdict"]) == {"no"}
    assert set(linear["model"]) == {0.0}
    assert more["model"]["rate_matters_less_along_hierarchy", "V1 < IT"] == -1


def test_rows_of_a_silent_network_or_of_one_length_cannot_be_asked():
    silent = score_run({"rate": responses({"V1": np.zeros((2, len(ROW)))}, (1.0, 4.0), ROW)}, LAYERS)
    one = score_run({"rate": responses({"V1": to_rows(2.0)[:1]}, (1.0,), ROW)}, LAYERS)
    for card in (silent, one):
        row = signs(card).loc[("rate_is_sublinear", "V1")]
        assert row["verdict"] == "not measured"
        assert row["reason"].startswith("cannot be asked of layers whose summed response")
        said = "Not measured: Is the response to four images less than four times as large? (V1) It cannot be"
        assert said in scorecard_text(card)
        assert "Signs: 0 of 1 as in cortex, 1 not measured" in scorecard_text(card)


# --- a sustained and a transient channel ------------------------------------------------------------------------------


def to_pulses(sustained: float, transient: float) -> np.ndarray:
    """Responses to long images: `sustained` while they are on, and `transient` more for 50 ms after onset and offset."""
    return np.stack(
        [
            sustained * box(LONG, 0, duration)
            + transient * (box(LONG, 0, 50) + box(LONG, duration, duration + 50))
            for duration in DURATIONS
        ]
    )


@pytest.mark.parametrize(
    ("channels", "expected"),
    [((1.0, 3.0), 300 / 1800), ((0.1, 3.0), 150 / 450), ((1.0, 0.0), 0.0), ((0.0, 1.0), 0.0)],
)
def test_the_smaller_share_is_that_of_the_channels(channels, expected):
    """The areas are 1500 ms of the sustained channel and 100 ms of the transient one."""
    card = score_run({"long": responses({"V1": to_pulses(*channels)}, DURATIONS, LONG)}, LAYERS)
    row = signs(card).loc[("both_channels_contribute", "V1")]
    assert row["model"] == pytest.approx(expected, abs=1e-6)
    assert row["verdict"] == ("yes" if expected else "no")


def test_channels_of_silence_or_of_one_duration_cannot_be_asked():
    silent = score_run({"long": responses({"V1": to_pulses(0.0, 0.0)}, DURATIONS, LONG)}, LAYERS)
    one = score_run({"long": responses({"V1": to_pulses(1.0, 1.0)[:1]}, DURATIONS[:1], LONG)}, LAYERS)
    for card in (silent, one):
        row = signs(card).loc[("both_channels_contribute", "V1")]
        assert row["verdict"] == "not measured" and "of a single duration" in row["reason"]


# --- images that a feedforward twin fails on --------------------------------------------------------------------------


def answers(right_from: list[float], value: float) -> pd.DataFrame:
    """Guesses on images that are wrong before a time in ms and right from it on; the image is on for 200 ms."""
    n = len(right_from)
    table = guesses(raced(np.tile([0.9, 0.1], (n, 1)), [0] * n, TRIAL), TRIAL, value, "feedforward_only")
    start = np.repeat(right_from, len(TRIAL))
    on = (table["time_ms"] > 0) & (table["time_ms"] <= 200)
    return table.assign(correct=table["time_ms"].to_numpy() >= start, stimulus_on=on)


NEVER = 1000.0


def challenged(whole: list[float], twin: list[float]) -> pd.DataFrame:
    table = pd.concat([answers(whole, 0.0), answers(twin, 1.0)], ignore_index=True)
    return score_run({}, {}, performance={"challenge": table})


def solution_times(card: pd.DataFrame) -> pd.Series:
    return signs(card).loc[("challenge_images_are_solved_later", "classifier")]


def test_images_are_solved_from_when_they_stay_right_until_the_image_ends():
    table = answers([50.0, 0.0, 200.0, 202.0], 0.0)
    relapse = (table["image"] == 1) & (table["time_ms"] == 100)
    solved = Guesses(table.assign(correct=table["correct"] & ~relapse)).solved_ms()
    np.testing.assert_array_equal(solved, [[50, 102, 200, np.nan]])


def test_challenge_images_are_solved_later_as_in_it_or_earlier():
    """Six images that the twin solves, six that it does not, and one that the network does not solve either."""
    twin = [*[60.0] * 6, *[NEVER] * 7]
    later = solution_times(challenged([*[110.0] * 6, *[140.0] * 6, NEVER], twin))
    assert (later["model"], later["verdict"], later["cortex"]) == (30, "yes", 30)
    assert (later["cortex_low"], later["cortex_high"], later["unit"]) == (20, 40, "ms")
    assert (later["distance"], later["distance_in"]) == (0, "log2")
    earlier = solution_times(challenged([*[110.0] * 6, *[80.0] * 6, NEVER], twin))
    assert (earlier["model"], earlier["verdict"]) == (-30, "no")


@pytest.mark.parametrize(
    "twin", [[60.0] * 12, [NEVER] * 12, [*[60.0] * 8, *[NEVER] * 4]], ids=["itself", "fails", "four"]
)
def test_challenge_images_cannot_be_asked_of_a_network_that_is_its_own_twin(twin):
    card = challenged([100.0] * 12, twin)
    row = solution_times(card)
    assert row["verdict"] == "not measured" and row["reason"].startswith("cannot be asked of a network that")
    assert "without recurrence and feedback is its own twin" in scorecard_text(card)


def test_challenge_images_need_both_networks():
    card = score_run({}, {}, performance={"challenge": answers([100.0] * 12, 0.0)})
    assert solution_times(card)["verdict"] == "not measured"


# --- the noise that was adapted to, and clutter -----------------------------------------------------------------------


def with_right(n_right: Mapping[float, int], parameter: str, of: int = 10) -> pd.DataFrame:
    """Guesses on ten images, of which so many are right at each value."""
    parts = [
        guesses(
            raced(np.array([[0.9, 0.1]] * n + [[0.1, 0.9]] * (of - n)), [0] * of, TRIAL),
            TRIAL,
            value,
            parameter,
        )
        for value, n in n_right.items()
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("other", "same", "verdict"), [(4, 9, "yes"), (9, 4, "no"), (6, 6, "no"), (None, 6, "not measured")]
)
def test_adaptation_to_noise_helps(other, same, verdict):
    n_right = {value: n for value, n in ((0.0, other), (1.0, same)) if n is not None}
    card = score_run({}, {}, performance={"adapter": with_right(n_right, "same_noise")})
    row = signs(card).loc[("adapted_noise_hides_less", "classifier")]
    assert row["verdict"] == verdict
    if other is not None:
        assert row["model"] == pytest.approx((same - other) / 10)
    else:
        assert row["reason"] == "cannot be asked of one kind of noise alone"


def test_clutter_costs_accuracy_and_time():
    """Fewer right among more others; the race to 20 ms takes longer, the less certain the guess is."""
    crowded = score_run({}, {}, performance={"clutter": with_right({0.0: 10, 2.0: 6, 4.0: 2}, "n_flankers")})
    assert signs(crowded)["model"]["clutter_costs_accuracy", "classifier"] == 1
    reverse = score_run({}, {}, performance={"clutter": with_right({0.0: 2, 2.0: 6, 4.0: 10}, "n_flankers")})
    assert signs(reverse)["model"]["clutter_costs_accuracy", "classifier"] == -1
    for certain, expected in (((0.95, 0.8, 0.6), 1), ((0.6, 0.8, 0.95), -1)):
        table = pd.concat(
            [
                guesses(raced(np.tile([p, 1 - p], (4, 1)), [0] * 4, TRIAL), TRIAL, value, "n_flankers")
                for value, p in zip((0.0, 2.0, 4.0), certain, strict=True)
            ],
            ignore_index=True,
        )
        card = score_run({}, {}, performance={"clutter": table})
        assert signs(card)["model"]["clutter_costs_time", "classifier"] == expected
