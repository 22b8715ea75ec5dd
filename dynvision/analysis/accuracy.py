"""What the classifier gets right, in time.

    accuracy(t)      = part of the images whose guess at t is their label
    accuracy_peak    = max over t > 0 of accuracy(t)
    accuracy_mean_on = mean of accuracy(t) over the samples with the stimulus on

Each function returns one number an image whose mean over images is the measure, so that one bootstrap over
images serves all. For `accuracy_peak` these are the images' outcomes at the time of the maximum: the interval
is that of the accuracy at this time. It leaves out the uncertainty of the time itself, and the maximum of a
noisy curve is biased upwards, the more so the fewer the images.

Source: ours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dynvision.analysis.registry import register
from dynvision.analysis.time_grid import after_onset


@register(
    "accuracy_peak",
    "peak accuracy",
    "fraction",
    "highest accuracy over images at any one time from stimulus onset to the end of the record; the best of many times, "
    "chosen on the images that it is measured on, lies above the accuracy on other images, the more so the fewer the "
    "images; its interval is that of the accuracy at this time",
    on_request=False,
)
def accuracy_peak(correct: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray) -> np.ndarray:
    """Outcomes at the first time after onset at which accuracy is highest.

    Args:
        correct: whether the guess was right, (V, I, T) of bool.
        time_ms: times in ms, (T,).
        stimulus_on: not used, (V, T) of bool.

    Returns:
        0 or 1 for each image, (V, I).
    """
    recorded = correct[..., after_onset(time_ms)]
    best = recorded.mean(axis=1).argmax(axis=-1)
    return np.take_along_axis(recorded, best[:, None, None], axis=-1)[..., 0].astype(np.float64)


@register(
    "accuracy_mean_on",
    "accuracy while on",
    "fraction",
    "accuracy averaged over the time that the stimulus is on",
    on_request=False,
)
def accuracy_mean_on(correct: np.ndarray, time_ms: np.ndarray, stimulus_on: np.ndarray) -> np.ndarray:
    """Part of the time with the stimulus on in which the guess was right.

    Args:
        correct: whether the guess was right, (V, I, T) of bool.
        time_ms: not used, (T,).
        stimulus_on: whether the stimulus was on, (V, T) of bool.

    Returns:
        A fraction for each image, (V, I); NaN where the stimulus was never on.
    """
    n_on = stimulus_on.sum(axis=-1)[:, None]
    n_right = (correct & stimulus_on[:, None, :]).sum(axis=-1)
    return np.where(n_on > 0, n_right / np.maximum(n_on, 1), np.nan)


def chance_level(performance: pd.DataFrame) -> float:
    """Accuracy of guessing evenly among the classes of the network, as a fraction.

    Args:
        performance: table of guesses of one run, with the column `n_classes`. Tables of before lack it: the network then
            has as many classes as the highest number of a class that occurs tells, which may be too few.
    """
    if "n_classes" in performance:
        return 1.0 / int(performance["n_classes"].iloc[0])
    return 1.0 / (1 + int(performance[["label", "guess"]].to_numpy().max()))
