"""When a network is sure enough to answer.

    reaction_time_confidence_ms = min { t > 0 : max_k p_k(t) >= 1/2 }
    reaction_time_entropy_ms    = min { t > 0 : H(t) <= 1 bit },  H = -sum_k p_k log2 p_k

p are the softmax probabilities of the classes. Half the probability on one class, and the entropy of two equally
likely classes. An image for which the threshold is never met has no reaction time and is left out of the mean; `n_images`
says how many were met. Both functions take other thresholds.

Source: the entropy threshold of Spoerer et al. (2020), PLOS Comput Biol 16:e1008215; the values of the thresholds are ours.
"""

from __future__ import annotations

import numpy as np

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset

CONFIDENCE_THRESHOLD = 0.5
ENTROPY_THRESHOLD = 1.0  # bits


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


def _first_time(met: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    after = after_onset(time_ms)
    met = met[..., after]
    return np.where(met.any(axis=-1), time_ms[after][met.argmax(axis=-1)], np.nan)
