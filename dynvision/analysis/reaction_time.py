"""When a network answers, and how well it does by then.

    reaction_time_confidence_ms   = min { t > 0 : max_k p_k(t) >= 1/2 }
    reaction_time_entropy_ms      = min { t > 0 : H(t) <= 1 bit },  H = -sum_k p_k log2 p_k
    reaction_time_accumulation_ms = min { t > 0 : max_k E_k(t) >= B },  E_k(t) = dt sum of p_k over the steps in (0, t]
    reaction_time_uncertainty_ms  = dt sum of u(t), t > 0,  u = K / sum_k (1 + max(z_k, 0))
    speed_accuracy_range          = accuracy(t_off) - accuracy(dt)

p are the softmax probabilities of the classes, z the logits, K the number of classes. **Thresholds**: half the
probability on one class, and the entropy of two equally likely classes. **Accumulation**: one accumulator a class; the
first that reaches the bound B is the answer. B is in ms of certainty, 20 by default, which a network that is certain at
once reaches after 20 ms and one of K equally likely classes after K B; a low bound is speed, a high one accuracy.
**Uncertainty**: that of a Dirichlet distribution whose evidence are the logits; its area is large where the network
stays unsure. An image for which a threshold is never met has no reaction time and is left out; `n_images` is how many
met it. The functions take other thresholds.

Decisions at any bound, and how a network's times map to those of people, are in :mod:`dynvision.analysis.decisions`.

Sources: the entropy threshold of Spoerer et al. (2020), PLOS Comput Biol 16:e1008215; the race of Rafiei et al. (2024), Nat
Hum Behav 8:1752 (RTNet), there of outputs, here of probabilities; the area of Goetschalckx et al. (2023), NeurIPS, there of
networks that are trained with an evidential loss. Values of thresholds are ours.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset, last_on, sample_interval
from dynvision.config.comparison import DECISIONS, ROUNDING_MS

# A probability, bits, and ms of certainty.
CONFIDENCE_THRESHOLD, ENTROPY_THRESHOLD, BOUND_MS = (
    DECISIONS[rule][0] for rule in ("confidence", "entropy", "accumulation")
)


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
    at = at_bound(evidence_ms, time_ms, bound_ms)[..., None]
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
    recorded = correct[..., after].astype(np.float64)
    last, is_shown = last_on(stimulus_on[:, after])
    late = np.take_along_axis(recorded, last[:, None, None], axis=-1)[..., 0]
    return np.where(is_shown[:, None], late - recorded[..., 0], np.nan)


def _first_time(met: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    after = after_onset(time_ms)
    met = met[..., after]
    return np.where(met.any(axis=-1), time_ms[after][met.argmax(axis=-1)], np.nan)


def at_bound(evidence_ms: np.ndarray, time_ms: np.ndarray, bound_ms: float) -> np.ndarray:
    """Return the index of the first sample at which a bound is reached; the last one where it never is."""
    met = np.logical_and(evidence_ms >= bound_ms - ROUNDING_MS, after_onset(time_ms))
    return np.asarray(np.where(met.any(axis=-1), met.argmax(axis=-1), len(time_ms) - 1))
