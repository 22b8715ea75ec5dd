"""How far a mean over images would move with other images.

    low, high = quantiles (1 - c) / 2 and (1 + c) / 2 of the mean over images drawn with replacement

The percentile bootstrap; of a median, whose interval is that of the medians, likewise. All columns are resampled with the
same images, in one matrix product with the counts of how often each image was drawn. The same over seeds (runs that
differ in nothing else) says how far a mean would move with other trainings; the two intervals answer different questions
and are never added up.

Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
"""

from __future__ import annotations

import numpy as np

CONFIDENCE = 0.95
N_RESAMPLES = 1000
SEED = 20220
BLOCK = 250  # resamples at a time: bounds the memory for tens of thousands of images


def bootstrap_interval(
    samples: np.ndarray, confidence: float = CONFIDENCE, n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean over the first axis.

    Args:
        samples: one row an image, (I, ...); NaN where an image has no value.
        confidence: probability mass of the interval, between 0 and 1.
        n_resamples: number of draws.
        seed: fixes the draws.

    Returns:
        Lower and upper end, each (...); NaN where fewer than two images have a value.
    """
    n_images, shape = samples.shape[0], samples.shape[1:]
    flat = samples.reshape(n_images, -1).astype(np.float64)
    has_value = ~np.isnan(flat)
    complete = bool(has_value.all())
    filled = flat if complete else np.where(has_value, flat, 0.0)
    generator = np.random.default_rng(seed)
    means = np.empty((n_resamples, flat.shape[1]))
    for start in range(0, n_resamples, BLOCK):
        block = slice(start, min(start + BLOCK, n_resamples))
        drawn = generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=block.stop - start)
        drawn = drawn.astype(np.float64)
        n_drawn = np.float64(n_images) if complete else drawn @ has_value
        with np.errstate(invalid="ignore"):
            means[block] = (drawn @ filled) / n_drawn
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    enough = has_value.sum(axis=0) >= 2
    low, high = np.full((2, flat.shape[1]), np.nan)
    if enough.any():
        quantile = np.quantile if complete else np.nanquantile
        low[enough], high[enough] = quantile(means[:, enough], tails, axis=0)
    return low.reshape(shape), high.reshape(shape)


def lower_median(samples: np.ndarray) -> np.ndarray:
    """Median over the first axis: the lower of the two in the middle, so that it is a value that occurs.

    Args:
        samples: (I, ...); NaN where an image has no value.

    Returns:
        (...); NaN where no image has a value.
    """
    ascending = np.sort(samples, axis=0)  # NaN last
    n = (~np.isnan(samples)).sum(axis=0)
    return np.take_along_axis(ascending, np.maximum((n - 1) // 2, 0)[None], axis=0)[0]


def median_interval(
    samples: np.ndarray, confidence: float = CONFIDENCE, n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of :func:`lower_median`, with the arguments and the shapes of :func:`bootstrap_interval`."""
    n_images, shape = samples.shape[0], samples.shape[1:]
    flat = samples.reshape(n_images, -1).astype(np.float64)
    generator = np.random.default_rng(seed)
    order = np.argsort(flat, axis=0)
    n_valued = (~np.isnan(flat)).sum(axis=0)
    medians = np.full((n_resamples, flat.shape[1]), np.nan)
    for start in range(0, n_resamples, BLOCK):
        block = slice(start, min(start + BLOCK, n_resamples))
        drawn = generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=block.stop - start)
        for column in np.flatnonzero(n_valued >= 2):
            valued = order[: n_valued[column], column]
            counts = drawn[:, valued].cumsum(axis=1)
            middle = (counts >= (counts[:, -1:] + 1) // 2).argmax(axis=1)
            medians[block, column] = np.where(counts[:, -1] > 0, flat[valued[middle], column], np.nan)
    low, high = percentile_interval(medians, confidence)
    return low.reshape(shape), high.reshape(shape)


def resampled_means(
    samples: np.ndarray, n_resamples: int, seed: int = SEED, images_at_once: int = BLOCK
) -> np.ndarray:
    """The mean over images, and the means of images drawn with replacement.

    For measures of the mean response, which are computed of each of them.

    Args:
        samples: (I, ...), without missing values.
        n_resamples: number of draws, N.
        seed: fixes the draws.
        images_at_once: bounds the memory.

    Returns:
        (1 + N, ...): the mean itself first.
    """
    n_images = len(samples)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_resamples)
    weights = np.concatenate([np.ones((1, n_images)), drawn]) / n_images
    total = np.zeros((1 + n_resamples, int(np.prod(samples.shape[1:]))))
    for start in range(0, n_images, images_at_once):
        block = slice(start, start + images_at_once)
        total += weights[:, block] @ samples[block].reshape(len(samples[block]), -1).astype(np.float64)
    return total.reshape(1 + n_resamples, *samples.shape[1:])


def percentile_interval(draws: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the middle part of draws (N, ...); NaN where fewer than two have a value."""
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    enough = (~np.isnan(draws)).sum(axis=0) >= 2
    low, high = np.full((2, *draws.shape[1:]), np.nan)
    if enough.any():
        low[enough], high[enough] = np.nanquantile(draws[:, enough], tails, axis=0)
    return low, high
