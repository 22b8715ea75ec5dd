r"""When a decoder of responses in time solves each image: object solution times.

In each time bin a linear decoder of the objects is fitted on some images and answers others. The performance on image i,
of object o, is

    d'_i = Z(HR_i) - Z(FAR_i)

    HR_i     probability that the decoder gives o for this image, mean over the other objects o' of p(o) / (p(o) + p(o'))
    FAR_i    probability that it gives o for an image of another object, mean over those images, likewise of the two
    Z        inverse of the cumulative normal distribution; d' is cut off at +-5

The solution time of an image is when d' first reaches the value that it must reach, that of monkeys or people, by linear
interpolation between the middles of bins; an image that is never solved has none.

Source: Kar, Kubilius, Schmidt, Issa & DiCarlo (2019), Evidence that recurrent circuits are critical to the ventral stream's
execution of core object recognition behavior, Nature Neuroscience 22:974, Methods ("Behavioral metrics", "Object solution
time"): bins of 10 ms from 70 to 250 ms, decoders cross-validated over images. What is compared are the times of two systems
over the images that both solve, by the rank correlation of Spearman.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr

from dynvision.errors import InputError

BINS_MS = tuple((float(start), start + 10.0) for start in range(70, 250, 10))
CUT = 5.0  # largest d'
Array = NDArray[np.float64]


def solution_times(
    responses: Array,
    labels: Sequence[object],
    targets: Array,
    bins_ms: Sequence[tuple[float, float]] = BINS_MS,
    n_folds: int = 10,
    n_repetitions: int = 1,
    seed: int = 0,
) -> Array:
    """Return the solution time of each image in ms; NaN for those that are not solved.

    Args:
        responses: (images, units, bins).
        labels: object of each image.
        targets: d' that each image must reach.
        bins_ms: beginnings and ends of the bins.
        n_folds: parts of the images; each is answered by decoders of the others.
        n_repetitions: times that images are dealt into folds anew; probabilities are averaged.
        seed: of the folds.

    Raises:
        InputError: sizes do not fit.
    """
    if responses.ndim != 3 or responses.shape[2] != len(bins_ms):
        raise InputError(f"responses must be (images, units, {len(bins_ms)} bins), not {responses.shape}")
    if not len(responses) == len(labels) == len(targets):
        raise InputError(
            f"{len(responses)} images, {len(labels)} labels and {len(targets)} targets must be as many"
        )
    performance = np.stack(
        [
            image_performance(decoded(responses[:, :, k], labels, n_folds, n_repetitions, seed), labels)
            for k in range(responses.shape[2])
        ],
        axis=1,
    )
    middles = np.array([(start + end) / 2 for start, end in bins_ms])
    return first_crossings(performance, np.asarray(targets, dtype=np.float64), middles)


def decoded(
    responses: Array, labels: Sequence[object], n_folds: int = 10, n_repetitions: int = 1, seed: int = 0
) -> Array:
    """Return the probability of each object for each image, by decoders that were fitted without it.

    Args:
        responses: (images, units).
        labels: object of each image.
        n_folds, n_repetitions, seed: as of :func:`solution_times`.

    Returns:
        (images, objects), objects in sorted order.

    Raises:
        InputError: an object has fewer images than there are folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = np.asarray(labels)
    objects, counts = np.unique(names, return_counts=True)
    if len(objects) < 2 or counts.min() < n_folds:
        raise InputError(
            f"{n_folds} folds need two objects or more with as many images each; there are {len(objects)}, of which the "
            f"rarest has {counts.min()}"
        )
    found = np.zeros((len(names), len(objects)))
    for repetition in range(n_repetitions):
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed + repetition)
        for fitted, asked in folds.split(responses, names):
            decoder = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            decoder.fit(responses[fitted], names[fitted])
            found[asked] += decoder.predict_proba(responses[asked]) / n_repetitions
    return found


def image_performance(probabilities: Array, labels: Sequence[object]) -> Array:
    """Return d' of each image from the probabilities of the objects.

    Args:
        probabilities: (images, objects), objects in sorted order.
        labels: object of each image.
    """
    objects, own = np.unique(np.asarray(labels), return_inverse=True)
    performance = np.zeros(len(own))
    for image, target in enumerate(own):
        hits, alarms = [], []
        for other in range(len(objects)):
            if other == target:
                continue
            pair = probabilities[:, target] / np.maximum(
                probabilities[:, target] + probabilities[:, other], 1e-300
            )
            hits.append(pair[image])
            alarms.append(pair[own == other].mean())
        z = norm.ppf(np.clip([np.mean(hits), np.mean(alarms)], 1e-12, 1 - 1e-12))
        performance[image] = np.clip(z[0] - z[1], -CUT, CUT)
    return performance


def first_crossings(performance: Array, targets: Array, times_ms: Array) -> Array:
    """Return when each row first reaches its target, by linear interpolation; NaN where it never does.

    Args:
        performance: (images, times).
        targets: (images,).
        times_ms: (times,), ascending. A row that is at its target from the first time on has that time.
    """
    found = np.full(len(performance), np.nan)
    for image, (course, target) in enumerate(zip(performance, targets, strict=True)):
        reached = np.flatnonzero(course >= target)
        if not len(reached):
            continue
        k = reached[0]
        if k == 0:
            found[image] = times_ms[0]
            continue
        part = (target - course[k - 1]) / (course[k] - course[k - 1])
        found[image] = times_ms[k - 1] + part * (times_ms[k] - times_ms[k - 1])
    return found


def agreement(times: Array, others: Array) -> float:
    """Return Spearman's correlation of two systems' times, over the images that both solve; NaN of fewer than 3."""
    both = np.isfinite(times) & np.isfinite(others)
    return float(spearmanr(times[both], others[both]).statistic) if both.sum() > 2 else float("nan")
