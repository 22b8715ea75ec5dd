"""Which parts of a course or of a map of times exceed chance, and how far apart in time a network and a brain are.

Cluster-based permutation: neighbouring times above a threshold, diagonal ones too, are a cluster, its mass the sum of its
values. Its p is the fraction of permutations whose largest cluster is at least as heavy, the observed one among them.
Source: Maris & Oostenveld (2007), J Neurosci Methods 164:177.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dynvision.errors import InputError

QUANTILE = 0.95  # of chance at each place, above which a value belongs to a cluster
ALPHA = 0.05


@dataclass(frozen=True)
class Clusters:
    """Clusters of a map.

    Attributes:
        labels: of the map's shape, 0 outside of clusters, then 1, 2, ...
        p: of each cluster, in their order.
    """

    labels: np.ndarray
    p: np.ndarray

    def significant(self) -> np.ndarray:
        """Return where a cluster of p below .05 is, of the map's shape."""
        return np.isin(self.labels, 1 + np.flatnonzero(self.p < ALPHA))  # type: ignore[no-any-return]


def permutation_clusters(
    observed: np.ndarray,
    permuted: Callable[[np.random.Generator], np.ndarray],
    n_permutations: int = 1000,
    seed: int = 0,
) -> Clusters:
    """Find clusters of a map that are heavier than chance.

    Args:
        observed: a course (T,) or a map (S, T).
        permuted: returns a map of chance, of the same shape, e.g. with the images of one side shuffled.
        n_permutations: maps of chance.
        seed: of the permutations.

    Raises:
        InputError: fewer permutations than the quantile resolves.
    """
    if n_permutations < 1 / (1 - QUANTILE):
        raise InputError(f"n_permutations={n_permutations} is too few for a quantile of {QUANTILE:g}")
    random = np.random.default_rng(seed)
    chance = np.stack([permuted(random) for _ in range(n_permutations)])
    known = np.isfinite(chance).any(axis=0)  # nowhere before a network responds
    threshold = np.full(observed.shape, np.inf)
    threshold[known] = np.nanquantile(chance[:, known], QUANTILE, axis=0)
    labels, masses = _clusters(observed, threshold)
    heaviest = np.array([max(_clusters(one, threshold)[1], default=0.0) for one in chance])
    p = [(1 + np.sum(heaviest >= mass)) / (1 + n_permutations) for mass in masses]
    return Clusters(labels, np.array(p))


def sign_flip_clusters(maps: np.ndarray, n_permutations: int = 1000, seed: int = 0) -> Clusters:
    """Find clusters where the mean over subjects is above 0, by flipping the signs of subjects.

    Args:
        maps: (subjects, T) or (subjects, S, T), of at least 5 subjects.
        n_permutations, seed: as for :func:`permutation_clusters`.
    """
    if len(maps) < 5:
        raise InputError(f"{len(maps)} subjects have too few signs to flip for p below .05; give at least 5")

    def flipped(random: np.random.Generator) -> np.ndarray:
        return np.tensordot(random.choice([-1.0, 1.0], len(maps)), maps, axes=1) / len(maps)  # type: ignore[no-any-return]

    return permutation_clusters(maps.mean(axis=0), flipped, n_permutations, seed=seed)


def best_lag_ms(scores: np.ndarray, model_ms: np.ndarray, brain_ms: np.ndarray) -> float:
    """Return by how much the brain follows the network, in ms.

    The lag whose diagonal of the map is better than that of any other lag, on average over the times of the brain that both
    have. At one time of the brain the noise is the same for all lags, so that a lag is not preferred because its diagonal
    leaves out the times at which the brain hardly responds, as the mean over a whole diagonal would.

    Args:
        scores: (model times, brain times).
        model_ms, brain_ms: the times; one step is a multiple of the other.

    Returns:
        ms, among the lags whose diagonal covers at least half of the shorter record; not-a-number if no score is finite.

    Raises:
        InputError: the times have no common step, so that no diagonal is long enough.
    """
    lags = np.round(brain_ms[None, :] - model_ms[:, None], 3)
    enough = min(len(model_ms), len(brain_ms)) / 2
    found, at, counts = np.unique(lags, return_inverse=True, return_counts=True)
    if counts.max() < enough:
        steps = [float(np.median(np.diff(times))) for times in (model_ms, brain_ms)]
        raise InputError(
            f"the times of the network (every {steps[0]:g} ms) and of the recording (every {steps[1]:g} ms) do not meet; "
            "average both in bins with bin_ms"
        )
    # A row for each lag, a column for each time of the brain.
    values, known = np.zeros((len(found), len(brain_ms))), np.zeros((len(found), len(brain_ms)))
    row, column = at.reshape(lags.shape), np.broadcast_to(np.arange(len(brain_ms)), lags.shape)
    finite = np.isfinite(scores)
    values[row[finite], column[finite]], known[row[finite], column[finite]] = scores[finite], 1.0
    long = known.sum(axis=1) >= enough
    if not long.any():
        return float("nan")
    found, values, known = found[long], values[long], known[long]
    shared = known @ known.T
    lead = (values @ known.T - known @ values.T) / np.maximum(shared, 1)
    lead[shared < enough / 2] = np.inf  # too few times in common
    np.fill_diagonal(lead, np.inf)
    worst = lead.min(axis=1) if len(found) > 1 else np.zeros(1)
    means = values.sum(axis=1) / known.sum(axis=1)
    undefeated = worst >= 0
    best = int(np.where(undefeated, means, -np.inf).argmax() if undefeated.any() else worst.argmax())
    return float(found[best])


def _clusters(values: np.ndarray, threshold: np.ndarray) -> tuple[np.ndarray, list[float]]:
    from scipy import ndimage

    above = np.nan_to_num(values, nan=-np.inf) > threshold
    # Corners connect: a code that moves on is a diagonal of the map, one place wide.
    labels, n = ndimage.label(above, structure=np.ones((3,) * above.ndim))
    return labels, [float(values[labels == label].sum()) for label in range(1, n + 1)]
