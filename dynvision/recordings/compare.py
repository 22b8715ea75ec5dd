"""One comparison from end to end: a network's responses and a recording in, a table of scores by pair of times out.

    layer area model_ms brain_ms score ceiling_low ceiling_high significant

The images that both sides know are used, under their names or numbers. Every layer meets every area, or those that it is
paired with. The lag of a layer and an area is that of the best diagonal
(:func:`dynvision.recordings.significance.best_lag_ms`), and not-a-number where no cluster of scores exceeds chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dynvision.config.comparison import ALL, METHODS, SCORES
from dynvision.errors import InputError, unknown_name
from dynvision.recordings.data import (
    average_repetitions,
    bin_times,
    condition_name,
    image_keys,
    repetitions,
    shared_condition,
    split_halves,
)
from dynvision.recordings.significance import best_lag_ms, permutation_clusters
from dynvision.recordings.similarity import (
    CROSSED,
    encode,
    gram_film,
    mean_over_channels,
    pearson,
    rdm_film,
    unit_ceiling,
)
from dynvision.text import first_few

if TYPE_CHECKING:
    import xarray

FEWEST_IMAGES = 4


@dataclass(frozen=True)
class RecordingComparison:
    """Scores of a network and a recording.

    Attributes:
        scores: the table described above.
        lags: layer, area, lag_ms (by how much the brain follows), best score and where it is.
    """

    scores: pd.DataFrame
    lags: pd.DataFrame

    def courses(self) -> pd.DataFrame:
        """Return the scores along the diagonal of each layer's lag, over the time of the recording.

        Returns:
            Columns layer, area, lag_ms, model_ms, brain_ms, score, ceiling_low, ceiling_high, significant. Where there is
            no lag, the network and the recording are compared at equal times.
        """
        joined = self.scores.merge(self.lags[["layer", "area", "lag_ms"]], on=["layer", "area"], sort=False)
        off = joined["brain_ms"] - joined["model_ms"] - joined["lag_ms"].fillna(0.0)
        return joined[off.abs() < TOLERANCE_MS].reset_index(drop=True)


TOLERANCE_MS = 1e-3  # times that differ by less are one


def compare(
    model: xarray.Dataset,
    brain: xarray.Dataset,
    method: str = "rsa",
    distance: str = "correlation",
    score: str = "spearman",
    layers: Sequence[str] = (),
    areas: Sequence[str] = (),
    pairs: str | Mapping[str, str | Sequence[str]] = ALL,
    value: float | None = None,
    bin_ms: float = 0.0,
    n_permutations: int = 200,
    seed: int = 0,
) -> RecordingComparison:
    """Compare a network with a recording at every pair of times.

    Args:
        model: the network's responses, as :func:`dynvision.analysis.open_responses` gives them.
        brain: the recording, as :func:`dynvision.recordings.read_recording` gives it.
        method: ``rsa``, ``encoding`` (cross-validated ridge) or ``cka`` (linear).
        distance: of patterns, for RSA: ``correlation``, ``euclidean``, or ``crossnobis``, which needs repetitions.
        score: of RDMs, for RSA: ``spearman``, ``correlation`` or ``cosine``.
        layers, areas: which to compare; none takes all.
        pairs: areas by layer, to compare each layer with these alone; areas that the recording does not have are left out.
        value: the condition that is compared, where the network or the recording has several and the other has not.
        bin_ms: width of the bins of time in which both sides are averaged, in ms; 0 takes the times as they are.
        n_permutations: shuffles of the images for cluster inference; 0 does without.
        seed: of folds and shuffles.

    Raises:
        InputError: an unknown name, responses that are not numbers, fewer than four images in common, several conditions
            on one side alone, times without a common step, an area or a layer of one unit where distance is a correlation
            over units, or an area that is the same for all images.
    """
    if method not in METHODS:
        raise unknown_name("method of comparison", method, METHODS, key="method")
    model, brain = _common_images(*_one_condition(model, brain, value))
    layers, areas = _names(model, "layer", layers), _names(brain, "area", areas)
    met = {layer: [area for area in areas if _meets(layer, area, pairs, areas)] for layer in layers}
    if not any(met.values()):
        wanted = {} if isinstance(pairs, str) else pairs
        raise InputError(
            f"pairs: none of the layers ({', '.join(layers)}) is paired with an area of the recording "
            f"({', '.join(areas)}); pairs has {', '.join(f'{layer}: {given}' for layer, given in wanted.items())}"
        )
    if bin_ms:
        model, brain = bin_times(model, bin_ms), bin_times(brain, bin_ms)
    model_ms, brain_ms = model["time_ms"].values, brain["time_ms"].values
    kind = "cka" if method == "cka" else distance
    crossed = method == "rsa" and distance == CROSSED
    parts = _halves(repetitions(brain, seed)) if crossed else list(split_halves(brain, seed))
    met_areas = [area for area in areas if any(area in of for of in met.values())]
    own = {
        area: [part[..., _mask(brain, "area", area), :].astype(float) for part in parts] for area in met_areas
    }
    fewest = 2 if method == "rsa" and distance == "correlation" else 1
    for area, of_area in own.items():
        whose, units = f"the recording of area {area}", brain["unit"].values[_mask(brain, "area", area)]
        _check_values(of_area, whose, units, fewest)
        if not any(np.ptp(part, axis=-3).any() for part in of_area):  # over images
            raise InputError(f"{whose} is the same for all images at all times; choose others with areas")
    # The halves of an area are turned into RDMs once, for all layers.
    score = "cosine" if method == "cka" else score
    films = {
        area: SCORES[score](np.stack([_film(part, kind) for part in of_area]))
        for area, of_area in own.items()
        if method != "encoding"
    }
    rows, lags = [], []
    for layer in layers:
        if not met[layer]:
            continue
        own_units = model.isel(unit=np.flatnonzero(_mask(model, "layer", layer)))
        x = average_repetitions(own_units)["response"].values.astype(float)
        _check_values([x], f"layer {layer}", own_units["unit"].values, fewest)
        film = None if method == "encoding" else SCORES[score](_film(x, "euclidean" if crossed else kind))
        for area in met[layer]:
            if film is None:
                scores, chance, ceiling = _encoded(x, own[area], n_permutations, seed)
            else:
                scores, chance, ceiling = _alike(film, films[area], len(x), score)
            significant = _significant(scores, chance, len(x), n_permutations, seed)
            rows.append(_table(layer, area, model_ms, brain_ms, scores, ceiling, significant))
            known = not n_permutations or bool(significant.any())
            lags.append(_lag(layer, area, model_ms, brain_ms, scores, known))
    return RecordingComparison(pd.concat(rows, ignore_index=True), pd.DataFrame(lags))


def _check_values(parts: Sequence[np.ndarray], whose: str, units: np.ndarray, fewest: int) -> None:
    """Check responses, (images, units, times) each, of the units of these names, of which there must be so many."""
    if len(units) < fewest:
        raise InputError(
            f"{whose} has {len(units)} unit, and a correlation over units needs {fewest}; set distance to euclidean"
        )
    bad = np.any([~np.isfinite(part).all(axis=(0, 2)) for part in parts], axis=0)
    if bad.any():
        raise InputError(
            f"{whose} has responses that are not numbers, of {int(bad.sum())} of {len(units)} units "
            f"(numbers {first_few(map(str, units[bad]))}); leave these units or these presentations out of the file"
        )


def _one_condition(model: xarray.Dataset, brain: xarray.Dataset, value: float | None) -> list[xarray.Dataset]:
    """Return both sides at one condition, or at all of those that both have."""
    sides = [model, brain]
    labels = [
        np.array([condition_name(one) for one in side["condition"].values])
        if "condition" in side.coords
        else np.full(side.sizes["presentation"], "all")
        for side in sides
    ]
    rows = shared_condition(labels, ("network", "recording"), value)
    if rows is None:
        return sides
    return [
        side.isel(presentation=np.flatnonzero(of_side)).drop_vars("condition", errors="ignore")
        for side, of_side in zip(sides, rows, strict=True)
    ]


def _common_images(model: xarray.Dataset, brain: xarray.Dataset) -> tuple[xarray.Dataset, xarray.Dataset]:
    """Return both sides on the images that both have; averages over repetitions have one order, that of the names."""
    keys = [image_keys(side) for side in (model, brain)]
    common = np.intersect1d(keys[0], keys[1])
    if len(common) < FEWEST_IMAGES:
        known = [first_few(np.unique(of_side)) for of_side in keys]
        raise InputError(
            f"the network and the recording have {len(common)} images in common, and a comparison needs at least "
            f"{FEWEST_IMAGES}; the network knows {known[0]}, the recording {known[1]}"
        )
    sides = [
        side.isel(presentation=np.flatnonzero(np.isin(of_side, common)))
        for side, of_side in zip((model, brain), keys, strict=True)
    ]
    return sides[0], sides[1]


def _names(dataset: xarray.Dataset, label: str, wanted: Sequence[str]) -> list[str]:
    known = list(dict.fromkeys(dataset[label].values.astype(str))) if label in dataset.coords else ["all"]
    for name in wanted:
        if name not in known:
            raise unknown_name(label, name, known, key=f"{label}s")
    return list(wanted or known)


def _meets(
    layer: str, area: str, pairs: str | Mapping[str, str | Sequence[str]], areas: Sequence[str]
) -> bool:
    if isinstance(pairs, str):
        if pairs != ALL:
            raise InputError(f"pairs={pairs!r}: give {ALL!r}, or areas by layer")
        return True
    given = pairs.get(layer, ())
    return area in ((given,) if isinstance(given, str) else given)


def _mask(dataset: xarray.Dataset, label: str, name: str) -> np.ndarray:
    if label not in dataset.coords:
        return np.ones(dataset.sizes["unit"], dtype=bool)
    return np.asarray(dataset[label].values.astype(str) == name)


Scored = tuple[np.ndarray, Callable[[np.ndarray], np.ndarray], tuple[np.ndarray, np.ndarray]]


def _film(values: np.ndarray, kind: str) -> np.ndarray:
    """RDMs by a distance, or for ``cka`` centred Gram matrices: vectors over pairs of images at every time."""
    return gram_film(values) if kind == "cka" else rdm_film(values, kind)


def _alike(model: np.ndarray, halves: np.ndarray, n_images: int, score: str) -> Scored:
    """Return scores (S, T) of RSA or CKA, a function that gives them for shuffled images, and the noise ceilings (T,).

    The score is the mean of those with the halves of the repetitions, so that their noise ceiling is that of the score.

    Args:
        model: normalised film, (S, pairs).
        halves: normalised films, (1 or 2, T, pairs).
        n_images: of which all pairs are, or all ordered pairs.
        score: how they are normalised.
    """
    brain = halves.mean(axis=0)
    if model.shape[1] == n_images**2:
        index = np.arange(n_images**2).reshape(n_images, n_images)
        places = np.nonzero(np.ones_like(index))
    else:
        index, places = _pair_index(n_images), np.triu_indices(n_images, 1)

    def shuffled(order: np.ndarray) -> np.ndarray:
        return model[:, index[order[places[0]], order[places[1]]]] @ brain.T  # type: ignore[no-any-return]

    return model @ brain.T, shuffled, unit_ceiling(halves, score)


def _encoded(x: np.ndarray, parts: Sequence[np.ndarray], n_permutations: int, seed: int) -> Scored:
    """Return the same of encoding: the ceiling is the reliability of the mean over repetitions, and its root.

    Halves correlate by r over images; their mean by 2 r / (1 + r) with another such mean (Spearman 1910, Brown 1910), and
    by the root of that with what does not vary over repetitions.
    """
    y = np.mean(parts, axis=0)
    ceiling = np.full(y.shape[2], np.nan), np.full(y.shape[2], np.nan)
    if len(parts) > 1:
        half = mean_over_channels(pearson(*parts), y.shape[1])
        full = 2 * half / (1 + half)
        ceiling = full, np.sqrt(np.clip(full, 0, None))
    random = np.random.default_rng([seed, 1])
    orders = [random.permutation(len(x)) for _ in range(n_permutations)]
    scores, chance = encode(x, y, seed=seed, orders=orders)
    remaining = iter(chance)
    return scores, lambda _: next(remaining), ceiling


def _halves(repeated: np.ndarray) -> list[np.ndarray]:
    """Halves of the repetitions, for a distance that is itself computed of several; all of them if fewer than four."""
    return [repeated[0::2], repeated[1::2]] if len(repeated) >= 4 else [repeated]


def _pair_index(n: int) -> np.ndarray:
    """Return where the pair (i, j) stands in the order of the upper triangle, (n, n)."""
    index = np.zeros((n, n), dtype=int)
    rows, columns = np.triu_indices(n, 1)
    index[rows, columns] = index[columns, rows] = np.arange(len(rows))
    return index


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
    model_ms: np.ndarray,
    brain_ms: np.ndarray,
    scores: np.ndarray,
    ceiling: tuple[np.ndarray, np.ndarray],
    significant: np.ndarray,
) -> pd.DataFrame:
    times = list(itertools.product(model_ms, brain_ms))
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
    layer: str, area: str, model_ms: np.ndarray, brain_ms: np.ndarray, scores: np.ndarray, known: bool
) -> dict[str, object]:
    best = np.unravel_index(np.nanargmax(scores), scores.shape) if np.isfinite(scores).any() else (0, 0)
    return {
        "layer": layer,
        "area": area,
        "lag_ms": best_lag_ms(scores, model_ms, brain_ms) if known else float("nan"),
        "best_score": float(scores[best]),
        "best_model_ms": float(model_ms[best[0]]),
        "best_brain_ms": float(brain_ms[best[1]]),
    }
