"""How well a network explains a recording in time: representational similarity, and ridge encoding.

    d(i, j)      correlation     1 - r(x_i, x_j)
                 euclidean       |x_i - x_j|^2 / P
                 crossnobis      mean over pairs of different folds a, b of (x_i - x_j)_a . (x_i - x_j)_b / P
    RDM(t)       all pairs i < j at one time;  a film is RDMs at every time, (T, pairs)
    alike(s, t)  correlation, Spearman correlation or cosine of a model's RDM(s) and a brain's RDM(t)
    w            argmin |y - X w|^2 + alpha |w|^2        X, y of units and channels, centred on the training images

P units or channels. Every pair of times is one matrix product of normalised films, so a million comparisons take seconds.

Encoding: outer folds give the predictions; inside each, inner folds choose alpha for each channel and time. One singular
value decomposition serves all alphas, channels and times. Score: Pearson correlation of prediction and recording over all
images. Chance: the same predictions beside shuffled images, so that nothing is fitted again. Where there is nothing to
predict, predictions of images that were left out lean against them, so that the test is conservative.

Source: Kriegeskorte, Mur & Bandettini (2008), Front Syst Neurosci 2:4; Walther et al. (2016), NeuroImage 137:188
(crossnobis); Nili et al. (2014), PLoS Comput Biol 10:e1003553 (noise ceiling); Kornblith et al. (2019), ICML (CKA); Hoerl &
Kennard (1970), Technometrics 12:55 (ridge); Varma & Simon (2006), BMC Bioinformatics 7:91 (nested cross-validation).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynvision.config.comparison import DISTANCES, SCORES
from dynvision.errors import InputError

CROSSED = "crossnobis"  # the distance that is computed of several folds


def correlation_distances(x: np.ndarray) -> np.ndarray:
    """Return 1 - r of all pairs: (T, N, P) to (T, pairs); not-a-number where a pattern does not vary over units."""
    unit = centred_unit(x)
    return _upper(1.0 - unit @ unit.swapaxes(1, 2))


def euclidean_distances(x: np.ndarray) -> np.ndarray:
    """Return squared Euclidean distances over the number of units, (T, N, P) to (T, pairs)."""
    gram = x @ x.swapaxes(1, 2)
    square = np.diagonal(gram, axis1=1, axis2=2)
    return _upper(square[:, :, None] + square[:, None, :] - 2 * gram) / x.shape[2]


def crossnobis_distances(folds: np.ndarray) -> np.ndarray:
    """Return cross-validated squared distances: unbiased, so zero on average where there is no difference.

    Args:
        folds: (F, T, N, P), independent measurements of the same conditions, F at least 2; noise-normalised by the caller.

    Returns:
        (T, pairs).

    Raises:
        InputError: one fold.
    """
    n = len(folds)
    if n < 2:
        raise InputError(
            "crossnobis distances need at least two repetitions of every image; use correlation or euclidean"
        )
    # The sum over pairs of different folds is that over all pairs without those of a fold with itself.
    total = euclidean_distances(folds.sum(axis=0))
    own = sum(euclidean_distances(fold) for fold in folds)
    return (total - own) / (n * (n - 1))  # type: ignore[no-any-return]


def centred_unit(films: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return RDMs centred and of length one, (..., pairs): products of two are Pearson correlations."""
    return plain_unit(films - films.mean(axis=axis, keepdims=True), axis)


def ranked_unit(films: np.ndarray) -> np.ndarray:
    """Return ranks (ties averaged) centred and of length one: products of two are Spearman correlations."""
    from scipy.stats import rankdata

    # Row by row, and ties only where there are some: several times faster than all rows at once.
    rows = np.asarray(films, dtype=float).reshape(-1, films.shape[-1])
    ranks = np.empty_like(rows)
    ascending = np.arange(1.0, rows.shape[1] + 1)
    for number, row in enumerate(rows):
        order = np.argsort(row)
        ordered = row[order]
        if np.isnan(ordered[-1:]).any():
            ranks[number] = np.nan
        elif (ordered[1:] == ordered[:-1]).any():
            ranks[number] = rankdata(row)
        else:
            ranks[number, order] = ascending
    return centred_unit(ranks.reshape(films.shape))


def plain_unit(films: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return RDMs of length one: products of two are cosines; not-a-number where all is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return films / np.linalg.norm(films, axis=axis, keepdims=True)  # type: ignore[no-any-return]


def rdm_film(x: np.ndarray, distance: str = "correlation") -> np.ndarray:
    """Return the RDMs of responses at every time.

    Args:
        x: (conditions, units, times); or (repetitions, conditions, units, times) for ``crossnobis``.
        distance: a name in :data:`DISTANCES`.

    Returns:
        (times, pairs), pairs in the order of the upper triangle, row by row.
    """
    folded = np.ndim(x) == 4
    if folded != (distance == CROSSED):
        raise InputError(
            f"distance={distance} takes responses of {3 + (distance == CROSSED)} axes, not {np.ndim(x)}"
        )
    film: np.ndarray = DISTANCES[distance](
        np.moveaxis(np.asarray(x, dtype=float), 3 if folded else 2, int(folded))
    )
    return film


def compare_films(model: np.ndarray, brain: np.ndarray, score: str = "spearman") -> np.ndarray:
    """Return the score of every pair of times: films (S, pairs) and (T, pairs) to (S, T)."""
    if model.shape[-1] != brain.shape[-1]:
        raise InputError(
            f"RDMs of {model.shape[-1]} and {brain.shape[-1]} pairs of images cannot be compared"
        )
    normalise = SCORES[score]
    return normalise(model) @ normalise(brain).T


def noise_ceiling(films: np.ndarray, score: str = "spearman") -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper noise ceiling at every time.

    Lower: mean score of each film with the mean of the others. Upper: with the mean of all. Films are normalised before
    they are averaged, as the score does it (Nili et al. 2014).

    Args:
        films: (R, T, pairs), of R at least 2 repetitions, halves or subjects.
        score: a name in :data:`SCORES`.

    Returns:
        Lower and upper bound, (T,) each; not-a-number for a single film.
    """
    return unit_ceiling(SCORES[score](films), score)


def unit_ceiling(unit: np.ndarray, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Return :func:`noise_ceiling` of films that are normalised already, (R, T, pairs)."""
    n = len(unit)
    if n < 2:
        return np.full(unit.shape[1], np.nan), np.full(unit.shape[1], np.nan)
    # A mean of ranks is not ranked again: rsatoolbox does not do so either.
    again = plain_unit if SCORES[score] is plain_unit else centred_unit
    total = unit.sum(axis=0)
    upper = (unit * again(total / n)).sum(axis=-1).mean(axis=0)
    lower = np.mean([(own * again((total - own) / (n - 1))).sum(axis=-1) for own in unit], axis=0)
    return lower, upper


def linear_cka(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return linear centred kernel alignment of every pair of times: (N, P, S) and (N, Q, T) to (S, T), between 0 and 1."""
    return compare_films(gram_film(x), gram_film(y), "cosine")


def gram_film(x: np.ndarray) -> np.ndarray:
    """Return centred linear Gram matrices at every time, (N, P, T) to (T, N N); linear CKA is the cosine of two of them."""
    maps = np.moveaxis(np.asarray(x, dtype=float), 2, 0)
    maps = maps - maps.mean(axis=1, keepdims=True)
    return (maps @ maps.swapaxes(1, 2)).reshape(len(maps), -1)


def _upper(square: np.ndarray) -> np.ndarray:
    rows, columns = np.triu_indices(square.shape[1], 1)
    return square[:, rows, columns]


ALPHAS = tuple(float(alpha) for alpha in np.logspace(-2, 6, 9))
N_FOLDS, N_INNER = 5, 4  # outer and inner


def encode(
    x: np.ndarray,
    y: np.ndarray,
    alphas: Sequence[float] = ALPHAS,
    seed: int = 0,
    orders: Sequence[np.ndarray] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Return how well units predict channels, at every pair of times, and how well they do so by chance.

    Args:
        x: the network, (images, units, model times).
        y: the recording, (images, channels, brain times).
        alphas: strengths of regularisation to choose from, in units of the variance of a unit.
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
    if len(x) < 2 * N_FOLDS:
        raise InputError(f"{len(x)} images are too few for {N_FOLDS} folds; give at least {2 * N_FOLDS}")
    folds = assign_folds(len(x), N_FOLDS, seed)
    targets = y.reshape(len(y), -1).astype(float)
    shape = x.shape[2], y.shape[2]
    scores, chance = np.empty(shape), np.empty((len(orders), *shape))
    observed = centred_unit(targets, 0)
    for step in range(x.shape[2]):
        predicted = np.empty_like(targets)
        for fold in range(N_FOLDS):
            train, test = folds != fold, folds == fold
            predicted[test] = _fit_predict(x[train, :, step], targets[train], x[test, :, step], alphas, seed)
        predicted = centred_unit(predicted, 0)
        scores[step] = mean_over_channels((predicted * observed).sum(axis=0), y.shape[1])
        for number, order in enumerate(orders):
            shuffled = np.einsum("ij,ij->j", predicted, observed[order])
            chance[number, step] = mean_over_channels(shuffled, y.shape[1])
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
    return (centred_unit(a, 0) * centred_unit(b, 0)).sum(axis=0)  # type: ignore[no-any-return]


def mean_over_channels(correlations: np.ndarray, n_channels: int) -> np.ndarray:
    """Return means over the channels that have a correlation, by time; not-a-number where none has."""
    by_channel = correlations.reshape(n_channels, -1)
    known = np.isfinite(by_channel)
    n = known.sum(axis=0)
    return np.where(n > 0, np.where(known, by_channel, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)


def _fit_predict(
    x: np.ndarray, y: np.ndarray, x_new: np.ndarray, alphas: Sequence[float], seed: int
) -> np.ndarray:
    strengths = np.asarray(alphas) * max(float(x.var(axis=0).mean()), np.finfo(float).tiny)
    inner = assign_folds(len(x), N_INNER, seed + 1)
    errors = np.zeros((len(strengths), y.shape[1]))
    for fold in range(N_INNER):
        train, test = inner != fold, inner == fold
        errors += np.square(ridge_predictions(x[train], y[train], x[test], strengths) - y[test]).sum(axis=1)
    best = errors.argmin(axis=0)
    return ridge_predictions(x, y, x_new, strengths)[best, :, np.arange(y.shape[1])].T
