"""One comparison from end to end: a network's responses and a recording in, a table of scores by pair of times out.

    layer area model_ms brain_ms score ceiling_low ceiling_high significant

The images that both sides know are used, under their names or numbers. Every layer meets every area. The lag of a layer
and an area is that of the best diagonal (:func:`dynvision.recordings.significance.best_lag_ms`), and not-a-number where no
cluster of scores exceeds chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from dynvision.errors import InputError, unknown_name
from dynvision.recordings.data import average_repetitions, image_keys, repetitions
from dynvision.recordings.encoding import encode, pearson
from dynvision.recordings.significance import best_lag_ms, permutation_clusters
from dynvision.recordings.similarity import SCORES, compare_films, linear_cka, noise_ceiling, rdm_film

if TYPE_CHECKING:
    import xarray

Method = Literal["rsa", "encoding", "cka"]
METHODS: tuple[str, ...] = ("rsa", "encoding", "cka")
FEWEST_IMAGES = 4


@dataclass(frozen=True)
class Comparison:
    """Scores of a network and a recording.

    Attributes:
        scores: the table described above.
        lags: layer, area, lag_ms (by how much the brain follows), best score and where it is.
    """

    scores: pd.DataFrame
    lags: pd.DataFrame


def compare(
    model: xarray.Dataset,
    brain: xarray.Dataset,
    method: str = "rsa",
    distance: str = "correlation",
    score: str = "spearman",
    layers: Sequence[str] | None = None,
    areas: Sequence[str] | None = None,
    pairs: Mapping[str, str] | None = None,
    n_permutations: int = 200,
    seed: int = 0,
) -> Comparison:
    """Compare a network with a recording at every pair of times.

    Args:
        model: the network's responses, as :func:`dynvision.analysis.open_responses` gives them.
        brain: the recording, as :func:`dynvision.recordings.read_recording` gives it.
        method: ``rsa``, ``encoding`` (cross-validated ridge) or ``cka`` (linear).
        distance: of patterns, for RSA: ``correlation``, ``euclidean``, or ``crossnobis``, which needs repetitions.
        score: of RDMs, for RSA: ``spearman``, ``correlation`` or ``cosine``.
        layers, areas: which to compare; None takes all.
        pairs: area by layer, to compare each layer with one area alone.
        n_permutations: shuffles of the images for cluster inference; 0 does without.
        seed: of folds and shuffles.

    Raises:
        InputError: an unknown name, or fewer than four images in common.
    """
    if method not in METHODS:
        raise unknown_name("method of comparison", method, METHODS, key="method")
    model, mean, repeated = _aligned(model, brain, seed)
    rows, lags = [], []
    for layer in _names(model, "layer", layers):
        x = _part(model, "layer", layer)
        for area in _names(mean, "area", areas):
            if pairs is not None and pairs.get(layer) != area:
                continue
            chosen = _mask(mean, "area", area)
            y = mean["response"].values[:, chosen]
            scores, chance, ceiling = _score(x, y, repeated[:, :, chosen], method, distance, score, seed)
            significant = _significant(scores, chance, len(x), n_permutations, seed)
            rows.append(_table(layer, area, model, mean, scores, ceiling, significant))
            known = not n_permutations or bool(significant.any())
            lags.append(_lag(layer, area, model, mean, scores, known))
    if not rows:
        raise InputError("no layer is paired with an area; check the names in pairs, layers and areas")
    return Comparison(pd.concat(rows, ignore_index=True), pd.DataFrame(lags))


def _aligned(
    model: xarray.Dataset, brain: xarray.Dataset, seed: int
) -> tuple[xarray.Dataset, xarray.Dataset, np.ndarray]:
    """Both sides on their common images, in one order, and the repetitions of the recording."""
    with_conditions = all(
        "condition" in side.coords and len(np.unique(side["condition"].values)) > 1 for side in (model, brain)
    )
    if not with_conditions:
        model, brain = (
            side.drop_vars("condition") if "condition" in side.coords else side for side in (model, brain)
        )
    common = np.intersect1d(image_keys(model), image_keys(brain))
    if len(common) < FEWEST_IMAGES:
        raise InputError(
            f"the network and the recording have {len(common)} images in common, and a comparison needs at least "
            f"{FEWEST_IMAGES}; the network knows {_some(image_keys(model))}, the recording {_some(image_keys(brain))}"
        )
    brain = brain.isel(presentation=np.flatnonzero(np.isin(image_keys(brain), common)))
    model = average_repetitions(model.isel(presentation=np.flatnonzero(np.isin(image_keys(model), common))))
    repeated = repetitions(brain, seed)
    return model, average_repetitions(brain), repeated


def _some(keys: np.ndarray) -> str:
    unique = np.unique(keys)
    return ", ".join(unique[:3]) + (f" and {len(unique) - 3} more" if len(unique) > 3 else "")


def _names(dataset: xarray.Dataset, label: str, wanted: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys(dataset[label].values.astype(str))) if label in dataset.coords else ["all"]
    for name in wanted or ():
        if name not in known:
            raise unknown_name(label, name, known, key=f"{label}s")
    return list(wanted or known)


def _mask(dataset: xarray.Dataset, label: str, name: str) -> np.ndarray:
    if label not in dataset.coords:
        return np.ones(dataset.sizes["unit"], dtype=bool)
    return np.asarray(dataset[label].values.astype(str) == name)


def _part(dataset: xarray.Dataset, label: str, name: str) -> np.ndarray:
    return dataset["response"].isel(unit=np.flatnonzero(_mask(dataset, label, name))).values.astype(float)


def _score(
    x: np.ndarray, y: np.ndarray, repeated: np.ndarray, method: str, distance: str, score: str, seed: int
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Scores (S, T), a function that gives them for shuffled images, and the noise ceiling, (T,) twice."""
    nothing = np.full(y.shape[2], np.nan)
    if method == "encoding":
        scores = encode(x, y, seed=seed)
        return scores, lambda order: encode(x[order], y, seed=seed), _reliability(repeated)
    if method == "cka":
        return linear_cka(x, y), lambda order: linear_cka(x[order], y), (nothing, nothing)
    crossed = distance == "crossnobis"
    brain = rdm_film(repeated if crossed else y, distance)
    model = rdm_film(x, "euclidean" if crossed else distance)
    unit_model, unit_brain = SCORES[score](model), SCORES[score](brain)
    pair = _pair_index(len(x))

    def shuffled(order: np.ndarray) -> np.ndarray:
        rows, columns = np.triu_indices(len(order), 1)
        return unit_model[:, pair[order[rows], order[columns]]] @ unit_brain.T  # type: ignore[no-any-return]

    parts = _halves(repeated) if crossed else list(repeated)
    films = [rdm_film(part, distance) for part in parts]
    ceiling = noise_ceiling(np.stack(films), score) if films else (nothing, nothing)
    return compare_films(model, brain, score), shuffled, ceiling


def _halves(repeated: np.ndarray) -> list[np.ndarray]:
    """Halves of the repetitions, for a distance that is itself computed of several; none of fewer than four."""
    n = len(repeated) // 2
    return [repeated[:n], repeated[n : 2 * n]] if n >= 2 else []


def _pair_index(n: int) -> np.ndarray:
    """Where the pair (i, j) stands in the order of the upper triangle, (n, n)."""
    index = np.zeros((n, n), dtype=int)
    rows, columns = np.triu_indices(n, 1)
    index[rows, columns] = index[columns, rows] = np.arange(len(rows))
    return index


def _reliability(repeated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of halves of the repetitions over images, corrected to the full number (Spearman & Brown, 1910)."""
    n = len(repeated)
    if n < 2:
        return (np.full(repeated.shape[3], np.nan),) * 2
    half = np.nanmean(pearson(repeated[0::2].mean(axis=0), repeated[1::2].mean(axis=0)), axis=0)
    full = 2 * half / (1 + half)
    return full, np.sqrt(np.clip(full, 0, None))


def _significant(
    scores: np.ndarray,
    chance: Callable[[np.ndarray], np.ndarray],
    n_images: int,
    n_permutations: int,
    seed: int,
) -> np.ndarray:
    if not n_permutations:
        return np.full(scores.shape, False)

    def permuted(random: np.random.Generator) -> np.ndarray:
        return chance(random.permutation(n_images))

    return permutation_clusters(scores, permuted, n_permutations, seed=seed).significant()


def _table(
    layer: str,
    area: str,
    model: xarray.Dataset,
    brain: xarray.Dataset,
    scores: np.ndarray,
    ceiling: tuple[np.ndarray, np.ndarray],
    significant: np.ndarray,
) -> pd.DataFrame:
    times = list(itertools.product(model["time_ms"].values, brain["time_ms"].values))
    n = scores.shape[0]
    return pd.DataFrame(
        {
            "layer": layer,
            "area": area,
            "model_ms": [time for time, _ in times],
            "brain_ms": [time for _, time in times],
            "score": scores.ravel(),
            "ceiling_low": np.tile(ceiling[0], n),
            "ceiling_high": np.tile(ceiling[1], n),
            "significant": significant.ravel(),
        }
    )


def _lag(
    layer: str, area: str, model: xarray.Dataset, brain: xarray.Dataset, scores: np.ndarray, known: bool
) -> dict[str, object]:
    model_ms, brain_ms = model["time_ms"].values, brain["time_ms"].values
    best = np.unravel_index(np.nanargmax(scores), scores.shape) if np.isfinite(scores).any() else (0, 0)
    return {
        "layer": layer,
        "area": area,
        "lag_ms": best_lag_ms(scores, model_ms, brain_ms) if known else float("nan"),
        "best_score": float(scores[best]),
        "best_model_ms": float(model_ms[best[0]]),
        "best_brain_ms": float(brain_ms[best[1]]),
    }
