"""A network's decisions beside human trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dynvision.errors import InputError
from dynvision.recordings import compare_behaviour, read_trials
from dynvision.recordings.behaviour import speed_accuracy

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
    assert found.loc["image_accuracy", "network"] > 0.8
    assert found.loc["image_accuracy", "network"] > found.loc["image_accuracy", "ceiling"] > 0.3
    assert found.loc["image_rt", "network"] > 0.95
    assert found.loc["confusion", "network"] > 0.8
    assert found.loc["accuracy", "network"] == (decisions["response"] == decisions["label"]).mean()
    shuffled = decisions.assign(confidence=np.random.default_rng(1).permutation(decisions["confidence"]))
    assert (
        abs(compare_behaviour(shuffled, trials).set_index("measure").loc["image_accuracy", "network"]) < 0.3
    )


def test_one_observer_has_no_ceiling() -> None:
    decisions, trials = made(n_observers=1)
    found = compare_behaviour(decisions, trials).set_index("measure")
    assert np.isnan(found.loc["image_accuracy", "ceiling"])


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
