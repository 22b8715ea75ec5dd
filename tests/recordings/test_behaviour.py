"""A network's decisions beside human trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from dynvision.errors import InputError
from dynvision.recordings import compare_behaviour, read_trials
from dynvision.recordings.behaviour import network_decisions, speed_accuracy

N_IMAGES = 60


def made(seed: int = 0, n_observers: int = 8) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Images of known difficulty, observers who err by it, and a network that knows it."""
    random = np.random.default_rng(seed)
    difficulty = random.uniform(0, 0.8, N_IMAGES)
    labels = np.arange(N_IMAGES) % 4
    trials = []
    for observer in range(n_observers):
        wrong = random.uniform(size=N_IMAGES) < difficulty
        response = np.where(wrong, (labels + 1) % 4, labels)
        rt = 300 + 400 * difficulty + random.normal(0, 20, N_IMAGES)
        trials.append(
            pd.DataFrame({"image": range(N_IMAGES), "response": response, "rt_ms": rt, "observer": observer})
        )
    table = pd.concat(trials).assign(condition="all").astype({"image": str, "response": str, "observer": str})
    decisions = pd.DataFrame(
        {
            "image": range(N_IMAGES), "condition": "all", "label": labels,
            "response": np.where(difficulty > 0.6, (labels + 1) % 4, labels), "rt_ms": 20 + 50 * difficulty,
            "confidence": 1 - difficulty,
        }
    )  # fmt: skip
    return decisions, table


def test_a_network_that_knows_the_difficulty_agrees_up_to_the_ceiling() -> None:
    decisions, trials = made()
    found = compare_behaviour(decisions, trials).set_index("measure")
    for measure in ("image_accuracy", "image_rt", "confusion"):
        row = found.loc[measure]
        assert 0.5 < row["network"] < row["ceiling_high"] + 0.02, measure
        assert row["ceiling_low"] < row["ceiling_high"], measure
    for measure in ("image_accuracy", "image_rt"):
        assert found.loc[measure, "network"] > found.loc[measure, "ceiling_low"] - 0.02
    assert found.loc["accuracy", "network"] == (decisions["response"] == decisions["label"]).mean()
    observers = (
        (trials["response"].astype(int) == trials["image"].astype(int) % 4).groupby(trials["observer"]).mean()
    )
    assert found.loc["accuracy", ["observers", "ceiling_low", "ceiling_high"]].tolist() == pytest.approx(
        [observers.mean(), observers.min(), observers.max()]
    )
    shuffled = decisions.assign(confidence=np.random.default_rng(1).permutation(decisions["confidence"]))
    assert (
        abs(compare_behaviour(shuffled, trials).set_index("measure").loc["image_accuracy", "network"]) < 0.3
    )


def test_ceilings_are_those_of_the_halves_by_a_plain_loop() -> None:
    """Two observers have one pair of halves: themselves."""
    decisions, trials = made(n_observers=2)
    found = compare_behaviour(decisions, trials, n_splits=3).set_index("measure").loc["image_accuracy"]
    right = [
        (
            one.set_index("image")["response"]
            == decisions.set_index("image")["label"].astype(str).rename(index=str)
        )
        .astype(float)
        .loc[[str(n) for n in range(N_IMAGES)]]
        for _, one in trials.groupby("observer")
    ]
    own = 1 - decisions["confidence"].to_numpy()
    mean = (right[0] + right[1]) / 2
    assert found["network"] == pytest.approx(np.mean([spearmanr(-own, one).statistic for one in right]))
    assert found["ceiling_low"] == pytest.approx(spearmanr(*right).statistic)
    assert found["ceiling_high"] == pytest.approx(np.mean([spearmanr(mean, one).statistic for one in right]))


def test_reaction_times_of_slow_observers_weigh_as_those_of_fast_ones() -> None:
    decisions, trials = made()
    slow = trials["observer"] == "0"
    other = trials.assign(rt_ms=trials["rt_ms"].where(~slow, 5000 + 30 * trials["rt_ms"]))
    before, after = (
        compare_behaviour(decisions, one).set_index("measure").loc["image_rt"] for one in (trials, other)
    )
    assert after["network"] == pytest.approx(before["network"])


def test_one_observer_has_no_ceiling() -> None:
    decisions, trials = made(n_observers=1)
    found = compare_behaviour(decisions, trials).set_index("measure")
    assert found[["ceiling_low", "ceiling_high"]].isna().all(axis=None)
    assert found["network"].notna().all()


def test_conditions_are_matched_as_numbers_or_chosen() -> None:
    decisions, trials = made()
    two = pd.concat([decisions.assign(condition=0.5, response=0), decisions.assign(condition=1.0)])
    with pytest.raises(InputError, match="network has 2 conditions .0.5, 1. and the file of trials has not"):
        compare_behaviour(two, trials)
    with pytest.raises(InputError, match="value=2 is none of the conditions of the network: 0.5, 1"):
        compare_behaviour(two, trials, value=2)
    chosen = compare_behaviour(two, trials, value=1).drop(columns="condition")
    pd.testing.assert_frame_equal(chosen, compare_behaviour(decisions, trials).drop(columns="condition"))
    both = pd.concat([trials.assign(condition="0.50"), trials.assign(condition="1")])
    matched = compare_behaviour(two, both)
    accuracy = matched[matched["measure"] == "accuracy"].set_index("condition")["network"]
    assert accuracy.to_dict() == {
        "0.5": 0.25,
        "1": pytest.approx((decisions["response"] == decisions["label"]).mean()),
    }


def guesses() -> pd.DataFrame:
    """Two images, five samples; the first is decided at 20 ms (probability), the second never."""
    confidence = {0: [0.9, 0.2, 0.6, 0.4, 0.7], 1: [0.3] * 5}
    rows = [
        {
            "value": 1.0, "image": image, "label": 1, "time_ms": time, "guess": 2 if time < 30 else 1,
            "confidence": p, "label_confidence": p / 2, "entropy_bits": 2 - p, "evidence_ms": 10.0 * step,
            "evidence_guess": 3,
        }
        for image, course in confidence.items()
        for step, (time, p) in enumerate(zip((0.0, 10.0, 20.0, 30.0, 40.0), course, strict=True))
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("rule", "bound", "times", "responses"),
    [
        ("confidence", None, [20.0, np.nan], [2, 1]),  # that of before the onset does not count
        ("confidence", 0.65, [40.0, np.nan], [1, 1]),
        ("confidence", 0.6005, [40.0, np.nan], [1, 1]),  # probabilities are not rounded
        ("entropy", 1.5, [20.0, np.nan], [2, 1]),
        ("accumulation", None, [20.0, 20.0], [3, 3]),
    ],
)
def test_a_network_decides_when_the_bound_is_reached(
    rule: str, bound: float | None, times: list[float], responses: list[int]
) -> None:
    found = network_decisions(guesses(), rule, bound)
    assert found["rt_ms"].tolist() == pytest.approx(times, nan_ok=True)
    assert found["response"].tolist() == responses
    assert found["confidence"].iloc[1] == pytest.approx(0.15)


def test_rules_and_columns_are_checked() -> None:
    with pytest.raises(InputError, match="unknown decision 'confident'.*did you mean 'confidence'"):
        network_decisions(guesses(), "confident")
    with pytest.raises(InputError, match="no column 'evidence_ms'; run the experiment again"):
        network_decisions(guesses().drop(columns="evidence_ms"), "accumulation")


def test_speed_accuracy_is_by_bins_of_equal_size() -> None:
    decisions, trials = made()
    labelled = trials.merge(decisions[["image", "label"]].astype(str), on="image")
    curve = speed_accuracy(labelled, n_bins=4)
    assert list(curve["n"]) == [120] * 4 and curve["rt_ms"].is_monotonic_increasing
    assert curve["accuracy"].is_monotonic_decreasing  # hard images are slow and often wrong


def test_files_of_trials_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    path.write_text("image,response,rt_ms,observer\n1,2,400,a\n2,2,-5,a\n")
    with pytest.raises(InputError, match="rt_ms=-5.* in row 3 is no positive time"):
        read_trials(path)
    path.write_text("image,response\n1,2\n")
    with pytest.raises(InputError, match="lacks the columns rt_ms, observer"):
        read_trials(path)
    decisions, trials = made()
    with pytest.raises(InputError, match="no image and condition in common"):
        compare_behaviour(decisions, trials.assign(image="cat"))
    with pytest.raises(
        InputError, match="no response of the observers is a class of the network: they gave cat"
    ):
        compare_behaviour(decisions, trials.assign(response="cat"))
    path.write_text("image,response,rt_ms,observer\n1,2,400,a\n2,,300,a\n")
    with pytest.raises(InputError, match="response is empty in row 3"):
        read_trials(path)
    path.write_text("image,response,rt_ms,observer,condition\n1,2,400,a,\n")
    with pytest.raises(InputError, match="condition is empty in row 2"):
        read_trials(path)
    path.write_text("image,response,rt_ms,observer\n1,2,0.4,a\n2,2,0.5,a\n")
    with pytest.raises(InputError, match="multiply seconds by 1000"):
        read_trials(path)
    path.write_text("stimulus,resp,RT,subject\n1,2,400,a\n")
    with pytest.raises(
        InputError, match="lacks the columns image, response, rt_ms, observer; it has stimulus, resp"
    ):
        read_trials(path)


def test_trials_are_read_as_a_spreadsheet_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    path.write_text(
        "\ufeffImage; Condition;Response;RT_ms;Observer\n1,0;0,5;2,0;400,5;a\n2,0;1;3,0;;a\n", "utf-8"
    )
    trials = read_trials(path)
    assert trials["image"].tolist() == ["1", "2"] and trials["response"].tolist() == ["2", "3"]
    assert trials["condition"].tolist() == ["0.5", "1"]
    assert trials["rt_ms"].iloc[0] == 400.5 and np.isnan(trials["rt_ms"].iloc[1])
