"""Intervals over images and over seeds answer different questions."""

import numpy as np
import pandas as pd
import pytest

from dynvision.analysis import bootstrap_interval, seed_intervals

KEYS = ["layer", "measure"]


def table(means, half_width=0.5):
    return pd.DataFrame(
        {
            "run_id": [f"run{n}" for n in range(len(means))],
            "layer": "V1",
            "measure": "peak",
            "mean": means,
            "ci_low": np.array(means) - half_width,
            "ci_high": np.array(means) + half_width,
            "n_images": 10,
        }
    )


def test_the_interval_over_seeds_is_the_bootstrap_of_the_means_of_runs():
    means = [1.0, 2.0, 4.0, 4.5, 6.0]
    row = seed_intervals(table(means), {f"run{n}": 0 for n in range(5)}, KEYS).squeeze()
    low, high = bootstrap_interval(np.array(means)[:, None])
    assert (row["seeds_low"], row["seeds_high"]) == (low[0], high[0])
    assert (row["mean"], row["n_seeds"], row["n_images"]) == (3.5, 5, 10)
    assert (row["images_low"], row["images_high"]) == pytest.approx((3.0, 4.0))


def test_equal_seeds_have_no_interval_to_speak_of_whatever_the_images():
    row = seed_intervals(
        table([2.0, 2.0, 2.0], half_width=1.5), dict.fromkeys(["run0", "run1", "run2"], 0), KEYS
    ).squeeze()
    assert row["seeds_low"] == row["seeds_high"] == 2.0
    assert row["images_high"] - row["images_low"] == 3.0


def test_one_run_has_an_interval_over_images_only():
    rows = seed_intervals(table([1.0, 2.0, 3.0]), {"run0": 0, "run1": 1, "run2": 1}, KEYS)
    assert list(rows["n_seeds"]) == [1, 2]
    assert np.isnan(rows.loc[0, "seeds_low"]) and rows.loc[0, "images_low"] == 0.5
    assert rows.loc[1, "seeds_low"] == 2.0 and rows.loc[1, "seeds_high"] == 3.0
