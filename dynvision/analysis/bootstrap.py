"""How far a mean would move with other images, or with other seeds.

    low, high = quantiles .025 and .975 of the mean over images drawn with replacement

The percentile bootstrap, of means and likewise of medians. All columns are resampled with the same images, in one matrix
product with the counts of how often each image was drawn. The same over seeds (runs that differ in nothing else) shows how
far a mean would move with other trainings; the two intervals answer different questions and are never added up.

Averages over seeds are one line a condition, whatever the number of its runs. With one run, the band is the run's own
interval over images. With several, the line is the mean of the runs and the band reaches from the lowest to the highest.

Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

CONFIDENCE = 0.95
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
N_RESAMPLES = 1000
SEED = 20220
BLOCK = 250  # resamples, or images, at a time: bounds the memory for tens of thousands of images
MOST_LOST = 0.05  # part of the resamples that may have no value


def bootstrap_interval(
    samples: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % percentile interval of the mean over the first axis.

    Args:
        samples: one row an image, (I, ...); NaN where an image has no value.
        n_resamples: number of draws.
        seed: fixes the draws.

    Returns:
        Lower and upper end, each (...); NaN where fewer than two images have a value.
    """
    n_images = len(samples)
    flat = samples.reshape(n_images, -1).astype(np.float64)
    has_value = ~np.isnan(flat)
    complete = bool(has_value.all())
    filled = flat if complete else np.where(has_value, flat, 0.0)
    means = np.empty((n_resamples, flat.shape[1]))
    for block, drawn in _draws(n_images, n_resamples, seed):
        counts = drawn.astype(np.float64)
        with np.errstate(invalid="ignore"):
            means[block] = (counts @ filled) / (np.float64(n_images) if complete else counts @ has_value)
    means[:, has_value.sum(axis=0) < 2] = np.nan
    return percentile_interval(means.reshape(n_resamples, *samples.shape[1:]))


def _draws(n_images: int, n_resamples: int, seed: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield how often each image is drawn, (N, I), for some of the resamples at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, n_resamples, BLOCK):
        block = slice(start, min(start + BLOCK, n_resamples))
        equal = np.full(n_images, 1 / n_images)
        yield block, generator.multinomial(n_images, equal, size=block.stop - start)


def mean_of_known(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the mean over an axis without NaN; NaN where there is nothing else."""
    known = ~np.isnan(x)
    n = known.sum(axis=axis)
    return np.where(n > 0, np.where(known, x, 0.0).sum(axis=axis) / np.maximum(n, 1), np.nan)


def lower_median(samples: np.ndarray) -> np.ndarray:
    """Return the median over the first axis: the lower of the two in the middle, so that it is a value that occurs.

    Args:
        samples: (I, ...); NaN where an image has no value.

    Returns:
        (...); NaN where no image has a value.
    """
    ascending = np.sort(samples, axis=0)  # NaN last
    n = (~np.isnan(samples)).sum(axis=0)
    return np.take_along_axis(ascending, np.maximum((n - 1) // 2, 0)[None], axis=0)[0]


def median_interval(
    samples: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of :func:`lower_median`; arguments and shapes as of :func:`bootstrap_interval`."""
    n_images = len(samples)
    flat = samples.reshape(n_images, -1).astype(np.float64)
    order = np.argsort(flat, axis=0)
    n_valued = (~np.isnan(flat)).sum(axis=0)
    medians = np.full((n_resamples, flat.shape[1]), np.nan)
    for block, drawn in _draws(n_images, n_resamples, seed):
        for column in np.flatnonzero(n_valued >= 2):
            valued = order[: n_valued[column], column]
            counts = drawn[:, valued].cumsum(axis=1)
            middle = (counts >= (counts[:, -1:] + 1) // 2).argmax(axis=1)
            medians[block, column] = np.where(counts[:, -1] > 0, flat[valued[middle], column], np.nan)
    return percentile_interval(medians.reshape(n_resamples, *samples.shape[1:]))


def resampled_means(samples: np.ndarray, n_resamples: int) -> np.ndarray:
    """Return the mean over images, and the means of images drawn with replacement.

    For measures of the mean response, which are computed of each of them.

    Args:
        samples: (I, ...), without missing values.
        n_resamples: number of draws, N.

    Returns:
        (1 + N, ...): the mean itself first.
    """
    n_images = len(samples)
    weights = resampling_weights(n_images, n_resamples)
    total = np.zeros((1 + n_resamples, int(np.prod(samples.shape[1:]))))
    for start in range(0, n_images, BLOCK):
        block = slice(start, start + BLOCK)
        total += weights[:, block] @ samples[block].reshape(len(samples[block]), -1).astype(np.float64)
    return total.reshape(1 + n_resamples, *samples.shape[1:])


def resampling_weights(n_images: int, n_resamples: int) -> np.ndarray:
    """Return the weight of each image in a mean, 1 / I each, and in the means of images drawn with replacement.

    Args:
        n_images: I.
        n_resamples: number of draws, N.

    Returns:
        (1 + N, I); rows sum to 1.
    """
    drawn = [counts for _, counts in _draws(n_images, n_resamples, SEED)]
    return np.concatenate([np.ones((1, n_images)), *drawn]) / n_images


def percentile_interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper end of the middle 95 % of draws (N, ...); NaN where fewer than two have a value."""
    flat = draws.reshape(len(draws), int(np.prod(draws.shape[1:])))
    enough = (~np.isnan(flat)).sum(axis=0) >= 2
    ends = np.full((2, flat.shape[1]), np.nan)
    if enough.any():
        known = flat[:, enough]
        quantile = np.nanquantile if np.isnan(known).any() else np.quantile  # the latter is faster, and equal
        ends[:, enough] = quantile(known, TAILS, axis=0)
    low, high = ends.reshape(2, *draws.shape[1:])
    return low, high


def interval_of(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of a measure, from itself and its resamples (1 + N, ...).

    There is no interval (NaN) where there is no value, or none of too many resamples: it would be of the others alone.
    """
    lost = np.isnan(draws[1:]).sum(axis=0) > MOST_LOST * (len(draws) - 1)
    low, high = (np.where(np.isnan(draws[0]) | lost, np.nan, end) for end in percentile_interval(draws[1:]))
    return low, high


BAND_IMAGES = "95 % interval over images"
BAND_SEEDS = "range over seeds"
BAND_NONE = "none"


def average_seeds(table: pd.DataFrame, condition_of: Mapping[str, int], keys: Sequence[str]) -> pd.DataFrame:
    """Average the runs of each condition.

    Args:
        table: columns `run_id`, the keys, and `mean`, optionally `ci_low`, `ci_high` and `n_images`.
        condition_of: the number of the condition of each run.
        keys: columns that distinguish the rows of a run.

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
    """Return the means over seeds with two intervals, distinguished: over images, and over seeds.

    Args:
        table: columns `run_id`, the keys, `mean`, `ci_low`, `ci_high` and `n_images`.
        condition_of: the number of the condition of each run.
        keys: columns that distinguish the rows of a run.

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
