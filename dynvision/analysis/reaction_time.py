"""When a network answers, how well it answers by then, and how its times map to those of people.

    reaction_time_confidence_ms   = min { t > 0 : max_k p_k(t) >= 1/2 }
    reaction_time_entropy_ms      = min { t > 0 : H(t) <= 1 bit },  H = -sum_k p_k log2 p_k
    reaction_time_accumulation_ms = min { t > 0 : max_k E_k(t) >= B },  E_k(t) = dt sum of p_k over the steps in (0, t]
    reaction_time_uncertainty_ms  = dt sum of u(t), t > 0,  u = K / sum_k (1 + max(z_k, 0))
    speed_accuracy_range          = accuracy(t_off) - accuracy(dt)
    ms                            = a + b t                                     from the time of a network to that of people

p are the softmax probabilities of the classes, z the logits, K the number of classes. **Thresholds**: half the probability
on one class, and the entropy of two equally likely classes. **Accumulation**: one accumulator a class; the first that
reaches the bound B is the answer. B is in ms of certainty, 20 by default, which a network that is certain at once reaches
after 20 ms; a low bound is speed, a high one accuracy. **Uncertainty**: that of a Dirichlet distribution whose evidence are
the logits; its area is large where the network stays unsure. An image for which a threshold is never met has no reaction
time and is left out; `n_images` is how many met it. The functions take other thresholds.

Sources: the entropy threshold of Spoerer et al. (2020), PLOS Comput Biol 16:e1008215, also for fitting the map on half of
the images; the race of Rafiei et al. (2024), Nat Hum Behav 8:1752 (RTNet), there of outputs, here of probabilities; the
area of Goetschalckx et al. (2023), NeurIPS, there of networks that are trained with an evidential loss; forced read-out
times of Subramanian et al. (2025), J Vision 25:4. Values of thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from dynvision.analysis.bootstrap import bootstrap_interval
from dynvision.analysis.registry import register
from dynvision.analysis.tables import to_cube
from dynvision.analysis.time_grid import after_onset, sample_interval
from dynvision.errors import InputError

CONFIDENCE_THRESHOLD = 0.5
ENTROPY_THRESHOLD = 1.0  # bits
BOUND_MS = 20.0  # of certainty
ROUNDING_MS = 1e-3  # of evidence that is stored in single precision
RACE = ("evidence_ms", "evidence_lead_ms")


@register(
    "reaction_time_confidence_ms",
    "reaction time (confidence)",
    "ms",
    "time from stimulus onset until the probability of one class reaches one half; images that never reach it are left "
    "out",
    average="median",
)
def reaction_time_confidence_ms(
    confidence: np.ndarray, time_ms: np.ndarray, threshold: float = CONFIDENCE_THRESHOLD
) -> np.ndarray:
    """First time at which the confidence reaches a threshold.

    Args:
        confidence: highest probability of a class, (..., T).
        time_ms: times in ms, (T,).
        threshold: probability to reach.

    Returns:
        Time in ms, (...); NaN where it is never reached.
    """
    return _first_time(confidence >= threshold, time_ms)


@register(
    "reaction_time_entropy_ms",
    "reaction time (entropy)",
    "ms",
    "time from stimulus onset until the entropy of the class probabilities falls to that of two equally likely classes; "
    "images for which it never does are left out",
    average="median",
)
def reaction_time_entropy_ms(
    entropy_bits: np.ndarray, time_ms: np.ndarray, threshold: float = ENTROPY_THRESHOLD
) -> np.ndarray:
    """First time at which the entropy falls to a threshold.

    Args:
        entropy_bits: entropy of the class probabilities in bits, (..., T).
        time_ms: times in ms, (T,).
        threshold: entropy in bits to fall to.

    Returns:
        Time in ms, (...); NaN where it never falls so far.
    """
    return _first_time(entropy_bits <= threshold, time_ms)


@register(
    "reaction_time_accumulation_ms",
    "reaction time (accumulation)",
    "ms",
    "time from stimulus onset until the accumulated probability of one class reaches 20 ms; images for which none does are "
    "left out",
    average="median",
)
def reaction_time_accumulation_ms(
    evidence_ms: np.ndarray, time_ms: np.ndarray, bound_ms: float = BOUND_MS
) -> np.ndarray:
    """First time at which the leading accumulator reaches a bound.

    Args:
        evidence_ms: highest accumulated probability of a class, (..., T).
        time_ms: times in ms, (T,).
        bound_ms: bound, in ms of certainty.

    Returns:
        Time in ms, (...); NaN where it is never reached.
    """
    return _first_time(evidence_ms >= bound_ms - ROUNDING_MS, time_ms)


@register(
    "accuracy_accumulation",
    "accuracy of decisions",
    "fraction",
    "part of the images of which the class that first accumulates a probability of 20 ms is the label; where none does, "
    "the class that leads at the end of the record",
)
def accuracy_accumulation(
    evidence_ms: np.ndarray,
    evidence_guess: np.ndarray,
    label: np.ndarray,
    time_ms: np.ndarray,
    bound_ms: float = BOUND_MS,
) -> np.ndarray:
    """Whether the class that wins the race to a bound is the label.

    Args:
        evidence_ms: highest accumulated probability of a class, (..., T).
        evidence_guess: which class that is, (..., T).
        label: the right class at every sample, (..., T).
        time_ms: times in ms, (T,).
        bound_ms: bound, in ms of certainty.

    Returns:
        0 or 1, (...).
    """
    at = _at_bound(evidence_ms, time_ms, bound_ms)[..., None]
    winner, right = (np.take_along_axis(array, at, axis=-1)[..., 0] for array in (evidence_guess, label))
    return (winner == right).astype(np.float64)


@register(
    "reaction_time_uncertainty_ms",
    "area under uncertainty",
    "ms",
    "evidential uncertainty (1 without evidence for any class) summed from stimulus onset to the end of the record, times "
    "the sampling interval",
)
def reaction_time_uncertainty_ms(uncertainty: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Area under the uncertainty of a Dirichlet read-out.

    Args:
        uncertainty: K over the sum of the Dirichlet parameters, (..., T).
        time_ms: times in ms, evenly spaced, (T,).

    Returns:
        Area in ms, (...).
    """
    return uncertainty[..., after_onset(time_ms)].sum(axis=-1, dtype=np.float64) * sample_interval(time_ms)


@register(
    "speed_accuracy_range",
    "speed-accuracy range",
    "fraction",
    "accuracy at the last sample with the stimulus on, less that at the first sample after its onset",
)
def speed_accuracy_range(correct: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray) -> np.ndarray:
    """Accuracy that is gained while the stimulus is on.

    Args:
        correct: whether the guess was right, (V, I, T) of bool.
        time_ms: times in ms, (T,).
        stimulus_on: whether the stimulus was on, (V, T).

    Returns:
        -1, 0 or 1 for each image, (V, I); NaN where the stimulus was never on.
    """
    after = after_onset(time_ms)
    recorded, on = correct[..., after].astype(np.float64), stimulus_on[:, after]
    last = on.shape[-1] - 1 - on[:, ::-1].argmax(axis=-1)
    late = np.take_along_axis(recorded, last[:, None, None], axis=-1)[..., 0]
    shown = on.any(axis=-1).reshape(-1, 1)
    return np.where(shown, late - recorded[..., 0], np.nan)


def _first_time(met: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    after = after_onset(time_ms)
    met = met[..., after]
    return np.where(met.any(axis=-1), time_ms[after][met.argmax(axis=-1)], np.nan)


def _at_bound(evidence_ms: np.ndarray, time_ms: np.ndarray, bound_ms: float) -> np.ndarray:
    """Index of the first sample at which a bound is reached; the last one where it never is."""
    met = np.logical_and(evidence_ms >= bound_ms - ROUNDING_MS, after_onset(time_ms))
    return np.asarray(np.where(met.any(axis=-1), met.argmax(axis=-1), len(time_ms) - 1))


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
    at = _at_bound(evidence, time_ms, bound_ms)[..., None]
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
        read_out_ms: times at which the guess counts, in ms from stimulus onset; the nearest sample stands for each.
        bounds_ms: bounds in ms of certainty; needs the columns of the race (``evidence_ms`` and others).

    Returns:
        Columns `value`, `read_out_ms`, `bound_ms` (one of them NaN), `rt_ms` (the time of the sample, or the mean over the
        images that reach the bound), `accuracy`, `ci_low`, `ci_high` (95 % over images) and `n_images` (that answer).

    Raises:
        InputError: a time that was not recorded, or a table without the columns of the race.
    """
    race = (*RACE, "evidence_guess", "label") if len(bounds_ms) else ()
    if missing := [name for name in race if name not in performance]:
        raise InputError(
            f"the table of guesses lacks the columns {', '.join(missing)}; run the experiment again"
        )
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
        at = int(np.argmin(np.abs(time_ms - read_out)))
        n = np.full(len(values), cube.data["correct"].shape[1])
        add(cube.data["correct"][..., at], np.full(len(values), time_ms[at]), n, read_out_ms=read_out)
    for bound in bounds_ms:
        made = decide(cube.data, time_ms, bound)
        answered = np.isfinite(made.rt_ms)
        n = answered.sum(axis=1)
        rt = np.where(answered, made.rt_ms, 0.0).sum(axis=1) / np.where(n > 0, n, np.nan)
        add(made.correct, rt, n, bound_ms=bound)
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
    """
    time, people = np.asarray(time_ms, np.float64), np.asarray(human_ms, np.float64)

    def error(p: np.ndarray) -> np.ndarray:
        return np.interp((people - p[0]) / np.exp(p[1]), time, accuracy) - human_accuracy

    first, last = float(people.min()), float(people.max())
    starts = [
        np.array([a, np.log(b)])
        for a in np.linspace(first - (last - first), last, 25)
        for b in np.geomspace(0.01, 100, 41)
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
