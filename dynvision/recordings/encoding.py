"""Ridge encoding: recordings predicted from a network's units, scored on images that were left out.

    w = argmin |y - X w|^2 + alpha |w|^2          X, y centred on the training images

Outer folds give the predictions; inside each, inner folds choose alpha for each channel and time. One singular value
decomposition serves all alphas, channels and times. Score: Pearson correlation of prediction and recording over all images.
Chance: the same predictions beside shuffled images, so that nothing is fitted again. Where there is nothing to predict,
predictions of images that were left out lean against them, so that the test is conservative.
Source: Hoerl & Kennard (1970), Technometrics 12:55; nested cross-validation: Varma & Simon (2006), BMC Bioinformatics 7:91.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynvision.errors import InputError

ALPHAS = tuple(float(alpha) for alpha in np.logspace(-2, 6, 9))


def encode(
    x: np.ndarray,
    y: np.ndarray,
    alphas: Sequence[float] = ALPHAS,
    n_folds: int = 5,
    n_inner: int = 4,
    seed: int = 0,
    orders: Sequence[np.ndarray] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Return how well units predict channels, at every pair of times, and how well they do so by chance.

    Args:
        x: the network, (images, units, model times).
        y: the recording, (images, channels, brain times).
        alphas: strengths of regularisation to choose from, in units of the variance of a unit.
        n_folds, n_inner: outer and inner folds.
        seed: of the assignment of images to folds.
        orders: permutations of the images, for chance: the predictions are compared with the images in these orders.

    Returns:
        Pearson correlation over images, averaged over channels: (model times, brain times); and the same for each order,
        (orders, model times, brain times).

    Raises:
        InputError: other images, or too few of them for the folds.
    """
    if len(x) != len(y):
        raise InputError(f"encoding needs the same images: the network has {len(x)}, the recording {len(y)}")
    if len(x) < 2 * n_folds:
        raise InputError(f"{len(x)} images are too few for {n_folds} folds; give at least {2 * n_folds}")
    folds = assign_folds(len(x), n_folds, seed)
    targets = y.reshape(len(y), -1).astype(float)
    shape = x.shape[2], y.shape[2]
    scores, chance = np.empty(shape), np.empty((len(orders), *shape))
    observed = _unit(targets)
    for step in range(x.shape[2]):
        predicted = np.empty_like(targets)
        for fold in range(n_folds):
            train, test = folds != fold, folds == fold
            predicted[test] = _fit_predict(
                x[train, :, step], targets[train], x[test, :, step], alphas, n_inner, seed
            )
        predicted = _unit(predicted)
        scores[step] = _mean_over_channels((predicted * observed).sum(axis=0), y.shape[1])
        for number, order in enumerate(orders):
            shuffled = np.einsum("ij,ij->j", predicted, observed[order])
            chance[number, step] = _mean_over_channels(shuffled, y.shape[1])
    return scores, chance


def ridge_predictions(
    x: np.ndarray, y: np.ndarray, x_new: np.ndarray, alphas: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Return predictions of ridge regression with an intercept for every alpha: (alphas, new images, targets).

    Equal to ``sklearn.linear_model.Ridge(alpha)``.
    """
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    u, s, vt = np.linalg.svd(x - x_mean, full_matrices=False)
    projected, new = u.T @ (y - y_mean), (x_new - x_mean) @ vt.T
    return np.stack([new @ ((s / (s**2 + alpha))[:, None] * projected) + y_mean for alpha in alphas])


def assign_folds(n: int, n_folds: int, seed: int) -> np.ndarray:
    """Return the fold of each of n images, folds of sizes that differ by at most one."""
    return np.random.default_rng(seed).permutation(np.arange(n) % n_folds)


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return correlations over the first axis; not-a-number where one of the two is constant."""
    return (_unit(a) * _unit(b)).sum(axis=0)  # type: ignore[no-any-return]


def _unit(a: np.ndarray) -> np.ndarray:
    """Columns centred and of length one; not-a-number where they are constant."""
    a = a - a.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return a / np.linalg.norm(a, axis=0)  # type: ignore[no-any-return]


def _mean_over_channels(correlations: np.ndarray, n_channels: int) -> np.ndarray:
    """Means over the channels that have a correlation, by time; not-a-number where none has."""
    by_channel = correlations.reshape(n_channels, -1)
    known = np.isfinite(by_channel)
    n = known.sum(axis=0)
    return np.where(n > 0, np.where(known, by_channel, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)


def _fit_predict(
    x: np.ndarray, y: np.ndarray, x_new: np.ndarray, alphas: Sequence[float], n_inner: int, seed: int
) -> np.ndarray:
    strengths = np.asarray(alphas) * max(float(x.var(axis=0).mean()), np.finfo(float).tiny)
    inner = assign_folds(len(x), n_inner, seed + 1)
    errors = np.zeros((len(strengths), y.shape[1]))
    for fold in range(n_inner):
        train, test = inner != fold, inner == fold
        errors += np.square(ridge_predictions(x[train], y[train], x[test], strengths) - y[test]).sum(axis=1)
    best = errors.argmin(axis=0)
    return ridge_predictions(x, y, x_new, strengths)[best, :, np.arange(y.shape[1])].T
