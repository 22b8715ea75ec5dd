"""Averages over seeds: one line a condition, whatever the number of its runs.

With one run, the band is the run's own interval over images. With several, the line is the mean of the runs and
the band reaches from the lowest to the highest run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import bootstrap_interval

BAND_IMAGES = "95 % interval over images"
BAND_SEEDS = "range over seeds"
BAND_NONE = "none"


def average_seeds(table: pd.DataFrame, condition_of: Mapping[str, int], keys: Sequence[str]) -> pd.DataFrame:
    """Average the runs of each condition.

    Args:
        table: columns `run_id`, the keys, and `mean`, optionally `ci_low`, `ci_high` and `n_images`.
        condition_of: the number of the condition of each run.
        keys: columns that tell the rows of a run apart.

    Returns:
        Columns `condition`, the keys, `mean`, `low`, `high`, `band` (what low and high are), `n_seeds` (runs that have
        a value), and `n_images` (the fewest images of a run) and `fraction` (of the images that have a value, the mean
        over runs) and `reason` (why runs have no value) if the table has them. Order: by condition, else as in the table.
    """
    table = table.assign(condition=table["run_id"].astype(str).map(condition_of))
    assert not table["condition"].isna().any(), "every run has a condition"
    groups = table.groupby(["condition", *keys], observed=True, sort=False, dropna=False)
    wanted: dict[str, tuple[str, Any]] = {
        "mean": ("mean", "mean"),
        "low": ("mean", "min"),
        "high": ("mean", "max"),
        "n_seeds": ("mean", "count"),
    }
    if "ci_low" in table:
        wanted |= {"ci_low": ("ci_low", "first"), "ci_high": ("ci_high", "first")}
    if "n_images" in table:
        wanted |= {"n_images": ("n_images", "min")}
    if "fraction" in table:
        wanted |= {"fraction": ("fraction", "mean")}
    if "reason" in table:
        wanted |= {"reason": ("reason", _each_once)}
    averaged = groups.agg(**wanted).reset_index()
    single = averaged["condition"].map(table.groupby("condition")["run_id"].nunique()) == 1
    averaged["band"] = BAND_SEEDS
    if "ci_low" in table:
        averaged.loc[single, "low"] = averaged.loc[single, "ci_low"]
        averaged.loc[single, "high"] = averaged.loc[single, "ci_high"]
        averaged.loc[single, "band"] = BAND_IMAGES
        averaged = averaged.drop(columns=["ci_low", "ci_high"])
    else:
        averaged.loc[single, "band"] = BAND_NONE
    return averaged.sort_values("condition", kind="stable", ignore_index=True)


def _each_once(reasons: pd.Series) -> str:
    return "; ".join(dict.fromkeys(str(reason) for reason in reasons if reason))


def seed_intervals(table: pd.DataFrame, condition_of: Mapping[str, int], keys: Sequence[str]) -> pd.DataFrame:
    """Means over seeds with two intervals, told apart: over images, and over seeds.

    Args:
        table: columns `run_id`, the keys, `mean`, `ci_low`, `ci_high` and `n_images`.
        condition_of: the number of the condition of each run.
        keys: columns that tell the rows of a run apart.

    Returns:
        Columns `condition`, the keys, `mean`; `images_low`, `images_high` (the interval over images of a run, averaged over
        runs: other images, same networks) and `n_images` (the fewest of a run); `seeds_low`, `seeds_high` (95 % bootstrap
        over the runs' means: same images, other trainings; NaN for a single run) and `n_seeds`.
    """
    table = table.assign(condition=table["run_id"].astype(str).map(condition_of))
    assert not table["condition"].isna().any(), "every run has a condition"
    groups = table.groupby(["condition", *keys], observed=True, sort=False, dropna=False)
    averaged = groups.agg(
        mean=("mean", "mean"),
        images_low=("ci_low", "mean"),
        images_high=("ci_high", "mean"),
        n_images=("n_images", "min"),
        n_seeds=("mean", "count"),
    ).reset_index()
    means = [group.to_numpy(np.float64) for _, group in groups["mean"]]
    longest = max(map(len, means), default=0)
    samples = np.full((longest, len(means)), np.nan)
    for column, of_group in enumerate(means):
        samples[: len(of_group), column] = of_group
    averaged["seeds_low"], averaged["seeds_high"] = bootstrap_interval(samples)
    return averaged.sort_values("condition", kind="stable", ignore_index=True)
