"""Decisions of a network on images, the trade of speed for accuracy, and the map from its times to those of people.

    rt(B)        = min { t > 0 : max_k E_k(t) >= B }       E_k as in :mod:`dynvision.analysis.reaction_time`
    choice(B)    = argmax_k E_k(rt)
    confidence   = (E_first - E_second) / E_first          at rt
    ms           = a + b t                                 from the time of a network to that of people

A low bound B is speed, a high one accuracy; a forced read-out takes the guess of the moment instead. A network's ms are not
those of people, who also see and press a key: the map is fitted to half of the images and tested on the other half, or to a
speed-accuracy curve.

Sources: the race of Rafiei et al. (2024), Nat Hum Behav 8:1752; forced read-out times and the free linear map of
Subramanian et al. (2025), J Vision 25:4; fitting on half of the images of Spoerer et al. (2020), PLOS Comput Biol
16:e1008215. Confidence as the balance of evidence is that of Vickers (1979), Decision Processes in Visual Perception;
dividing it by the evidence of the winner is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from dynvision.analysis.bootstrap import bootstrap_interval, mean_of_known
from dynvision.analysis.reaction_time import at_bound, reaction_time_accumulation_ms
from dynvision.analysis.tables import to_cube
from dynvision.analysis.time_grid import after_onset
from dynvision.errors import InputError

RACE = ("evidence_ms", "evidence_lead_ms")


@dataclass(frozen=True)
class Decisions:
    """What is decided on each image when a bound is reached.

    Attributes:
        rt_ms: when, (V, I); NaN where the bound is never reached.
        choice: the class that wins; where the bound is never reached, the leader at the end, (V, I).
        correct: whether that is the label, (V, I) of bool.
        confidence: lead of the winner over the second class at that time, as part of the winner's evidence, (V, I).
    """

    rt_ms: np.ndarray
    choice: np.ndarray
    correct: np.ndarray
    confidence: np.ndarray


def decide(columns: Mapping[str, np.ndarray], time_ms: np.ndarray, bound_ms: float) -> Decisions:
    """Let the accumulators of all classes race to a bound.

    Args:
        columns: ``evidence_ms``, ``evidence_lead_ms``, ``evidence_guess`` and ``label``, (V, I, T) each.
        time_ms: times in ms, (T,).
        bound_ms: bound, in ms of certainty: low where speed counts, high where accuracy does.
    """
    evidence = columns["evidence_ms"]
    at = at_bound(evidence, time_ms, bound_ms)[..., None]
    held, lead = (np.take_along_axis(columns[name], at, axis=-1)[..., 0] for name in RACE)
    with np.errstate(divide="ignore", invalid="ignore"):
        confidence = np.where(held > 0, lead / held, np.nan)
    choice, label = (
        np.take_along_axis(columns[name], at, axis=-1)[..., 0] for name in ("evidence_guess", "label")
    )
    rt_ms = reaction_time_accumulation_ms(evidence, time_ms, bound_ms)
    return Decisions(rt_ms, choice, choice == label, confidence)


def speed_accuracy(
    performance: pd.DataFrame, read_out_ms: Sequence[float] = (), bounds_ms: Sequence[float] = ()
) -> pd.DataFrame:
    """Trade speed for accuracy: at forced read-out times, and by the bound of accumulation.

    Args:
        performance: table of guesses of one run.
        read_out_ms: times at which the guess counts, in ms from stimulus onset; the nearest sample after onset stands for
            each.
        bounds_ms: bounds in ms of certainty, above 0; needs the columns of the race (``evidence_ms`` and others).

    Returns:
        Columns `value`, `read_out_ms`, `bound_ms` (one of them NaN), `rt_ms` (the time of the sample, or the mean over the
        images that reach the bound), `accuracy`, `ci_low`, `ci_high` (95 % over images) and `n_images` (that answer).

    Raises:
        InputError: a time that was not recorded, a bound that is not above 0, or a table without the columns of the race.
    """
    race = (*RACE, "evidence_guess", "label") if len(bounds_ms) else ()
    cube = to_cube(performance, ("value", "image", "time_ms"), ("correct", *race))
    time_ms, values = cube.axes["time_ms"], cube.axes["value"]
    rows = []

    def add(correct: np.ndarray, rt_ms: np.ndarray, n_images: np.ndarray, **at: float) -> None:
        low, high = bootstrap_interval(np.moveaxis(correct.astype(np.float64), 1, 0))
        columns = {"rt_ms": rt_ms, "accuracy": correct.mean(axis=1), "ci_low": low, "ci_high": high}
        rows.append(pd.DataFrame({"value": values, **at, **columns, "n_images": n_images}))

    for read_out in read_out_ms:
        if not 0 < read_out <= time_ms[-1]:
            raise InputError(
                f"read_out_ms={read_out:g} ms is not within the record after onset, which ends at {time_ms[-1]:g} ms"
            )
        at = int(np.argmin(np.where(after_onset(time_ms), np.abs(time_ms - read_out), np.inf)))
        n = np.full(len(values), cube.data["correct"].shape[1])
        add(cube.data["correct"][..., at], np.full(len(values), time_ms[at]), n, read_out_ms=read_out)
    for bound in bounds_ms:
        if not 0 < bound < np.inf:
            raise InputError(
                f"bounds_ms={bound:g} ms of certainty is reached at once or never; give a time above 0"
            )
        made = decide(cube.data, time_ms, bound)
        n = np.isfinite(made.rt_ms).sum(axis=1)
        add(made.correct, mean_of_known(made.rt_ms), n, bound_ms=bound)
    columns = ["value", "read_out_ms", "bound_ms", "rt_ms", "accuracy", "ci_low", "ci_high", "n_images"]
    return (
        pd.concat(rows, ignore_index=True).reindex(columns=columns) if rows else pd.DataFrame(columns=columns)
    )


@dataclass(frozen=True)
class TimeMap:
    """The linear map from a network's times to those of people, ms = intercept_ms + slope t.

    Attributes:
        intercept_ms, slope: fitted on one half of the images.
        spearman: rank correlation of network and people on the other half.
        rmse_ms: root mean square error of the mapped times on the other half.
        n_fitted, n_tested: images of each half.
    """

    intercept_ms: float
    slope: float
    spearman: float
    rmse_ms: float
    n_fitted: int
    n_tested: int


def map_to_human_times(model_ms: np.ndarray, human_ms: np.ndarray, seed: int = 0) -> TimeMap:
    """Map a network's reaction times to human ms: fit on half of the images, test on the other half.

    Args:
        model_ms: of the network, one an image, (I,); images without a time are left out.
        human_ms: mean of people, of the same images, (I,).
        seed: fixes the halves.

    Raises:
        InputError: arrays of different lengths, or fewer than six images with both times.
    """
    model, human = np.asarray(model_ms, np.float64), np.asarray(human_ms, np.float64)
    if model.shape != human.shape or model.ndim != 1:
        raise InputError(
            f"model_ms has {model.size} times and human_ms {human.size}; give one of each for every image"
        )
    both = np.flatnonzero(np.isfinite(model) & np.isfinite(human))
    if len(both) < 6:
        raise InputError(
            f"{len(both)} images have both times, and a map of one half that is tested on the other needs at least 6"
        )
    order = np.random.default_rng(seed).permutation(both)
    fitted, tested = order[: len(order) // 2], order[len(order) // 2 :]
    x, y = model[fitted] - model[fitted].mean(), human[fitted]
    slope = float(x @ y / (x @ x)) if (x @ x) > 0 else 0.0
    intercept = float(y.mean() - slope * model[fitted].mean())
    error = intercept + slope * model[tested] - human[tested]
    ranks = [pd.Series(times[tested]).rank() for times in (model, human)]
    spearman = float(ranks[0].corr(ranks[1])) if min(map(pd.Series.nunique, ranks)) > 1 else float("nan")
    rmse = float(np.sqrt((error**2).mean()))
    return TimeMap(intercept, slope, spearman, rmse, len(fitted), len(tested))


def map_curve_to_human_times(
    time_ms: np.ndarray, accuracy: np.ndarray, human_ms: np.ndarray, human_accuracy: np.ndarray
) -> tuple[float, float, float]:
    """Stretch and shift a network's speed-accuracy curve so that it fits that of people, ms = a + b t.

    Args:
        time_ms: read-out times of the network, ascending, (T,).
        accuracy: of the network at these, (T,), interpolated between them and constant outside.
        human_ms, human_accuracy: of people, (H,).

    Returns:
        a in ms, b (0.01 to 100), and the root mean square error of the accuracy.

    Raises:
        InputError: curves without an accuracy for each time, or with fewer than three of people, which two numbers always
            fit; values that are not finite; or times of the network that do not ascend.
    """
    (time, network), (people, human) = (
        (np.asarray(x, np.float64), np.asarray(y, np.float64))
        for x, y in ((time_ms, accuracy), (human_ms, human_accuracy))
    )
    for whose, x, y, fewest in (("network", time, network, 1), ("people", people, human, 3)):
        if x.ndim != 1 or x.shape != y.shape or len(x) < fewest:
            raise InputError(
                f"the curve of {whose} has {x.size} times and {y.size} accuracies; give an accuracy for each time, and at "
                f"least {fewest}"
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise InputError(f"the curve of {whose} has values that are not finite; leave these times out")
    if (np.diff(time) <= 0).any():
        raise InputError("time_ms does not ascend; sort the curve of the network by time")

    def error(p: np.ndarray) -> np.ndarray:
        return np.interp((people - p[0]) / np.exp(p[1]), time, network) - human

    first, last = float(people.min()), float(people.max())
    few_times, few_people = (
        x[np.linspace(0, len(x) - 1, min(len(x), 20)).astype(int)] for x in (time, people)
    )
    starts = [  # each puts a point of one curve upon one of the other
        np.array([at - b * t, np.log(b)])
        for b in np.geomspace(0.01, 100, 41)
        for t in few_times
        for at in few_people
    ]
    starts.sort(key=lambda p: float((error(p) ** 2).sum()))
    bounds = ([-np.inf, np.log(0.01) - 1e-9], [np.inf, np.log(100) + 1e-9])
    scale = [max(last - first, 1.0), 1.0]
    fits = [
        least_squares(error, start, bounds=bounds, x_scale=scale, xtol=1e-12, ftol=1e-12)
        for start in starts[:5]
    ]
    best = min(fits, key=lambda fit: fit.cost)
    return float(best.x[0]), float(np.exp(best.x[1])), float(np.sqrt((best.fun**2).mean()))
