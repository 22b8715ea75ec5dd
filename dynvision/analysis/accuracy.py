"""What the classifier gets right, in time, and which classes it takes for which.

    accuracy(t)      = part of the images whose guess at t is their label
    accuracy_peak    = max over t > 0 of accuracy(t)
    accuracy_mean_on = mean of accuracy(t) over the samples with the stimulus on
    t*(v)            = argmax over t > 0 of accuracy(v, t), at each value v of the parameter
    p(g | l, t)      = n(l, g, t) / n(l)       part of the images of class l whose guess at time t is g

Measures return one number an image whose mean over images is the measure, so that one bootstrap over images serves all.
For `accuracy_peak` these are the images' outcomes at the time of the maximum: the interval is that of the accuracy at this
time. It leaves out the uncertainty of the time itself, and the maximum of a noisy curve is biased upwards, the more so the
fewer the images. The same holds for accuracy, time and confidence at t* (`best_moments`).

Source: ours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import bootstrap_interval
from dynvision.analysis.courses import with_mask
from dynvision.analysis.registry import register
from dynvision.analysis.tables import chance_level, identified, to_cube
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


# Label and unit by name; what is missing in the table of guesses is left out.
QUANTITIES: dict[str, tuple[str, str]] = {
    "accuracy": ("peak accuracy", "fraction"),
    "time_ms": ("time of peak accuracy", "ms"),
    "confidence": ("confidence at that time", "fraction"),
}


def best_moments(performance: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, time and confidence at the moment of the highest accuracy.

    Args:
        performance: table of guesses of one run, with the column `confidence` or without it.

    Returns:
        Columns `run_id, experiment, parameter, value, quantity, mean, ci_low, ci_high, n_images, chance`. A time has no
        interval.

    Raises:
        InputError: the table is not complete.
    """
    quantities = {"correct": "accuracy", "confidence": "confidence"}
    columns = [name for name in quantities if name in performance]
    cube = to_cube(performance, ("image", "value", "time_ms"), columns)
    after = after_onset(cube.axes["time_ms"])
    recorded = {name: array[..., after].astype(np.float64) for name, array in cube.data.items()}
    best = recorded["correct"].mean(axis=0).argmax(axis=-1)
    rows = []
    for name, array in recorded.items():
        samples = np.take_along_axis(array, best[None, :, None], axis=-1)[..., 0]
        low, high = bootstrap_interval(samples)
        rows.append(_rows(quantities[name], cube.axes["value"], samples.mean(axis=0), low, high))
    nothing = np.full(len(best), np.nan)
    rows.append(_rows("time_ms", cube.axes["value"], cube.axes["time_ms"][after][best], nothing, nothing))
    return identified(pd.concat(rows, ignore_index=True), performance).assign(
        n_images=len(cube.axes["image"]),
        chance=chance_level(performance),
    )


def _rows(
    quantity: str, values: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame({"value": values, "quantity": quantity, "mean": mean, "ci_low": low, "ci_high": high})


def guess_courses(performance: pd.DataFrame) -> pd.DataFrame:
    """Return how often each class is guessed in time, at the highest value of the parameter.

    Args:
        performance: table of guesses of one run.

    Returns:
        Columns `run_id, experiment, parameter, value, label, guess, time_ms, stimulus_on, mask_on, mean, n_images`; classes
        that are never guessed for a label have no rows, except the label itself. `n_images` is the number of images of the
        label.

    Raises:
        InputError: the table is not complete.
    """
    highest = performance[performance["value"] == performance["value"].max()]
    counts, classes, n_images, cube = _count(highest)
    time_ms, on, masked = cube.axes["time_ms"], cube.data["stimulus_on"][0, 0], cube.data["mask_on"][0, 0]
    parts = []
    for label, guess in zip(
        *np.nonzero(counts[0].any(axis=-1) | np.eye(len(classes), dtype=bool)), strict=True
    ):
        if n_images[label]:
            parts.append(
                pd.DataFrame(
                    {
                        "label": classes[label],
                        "guess": classes[guess],
                        "time_ms": time_ms,
                        "stimulus_on": on,
                        "mask_on": masked,
                        "mean": counts[0, label, guess] / n_images[label],
                        "n_images": n_images[label],
                    }
                )
            )
    return identified(pd.concat(parts, ignore_index=True).assign(value=cube.axes["value"][0]), performance)


def confusions(performance: pd.DataFrame) -> pd.DataFrame:
    """Return how often each class is taken for each, at the moment of the highest accuracy at each value of the parameter.

    Args:
        performance: table of guesses of one run.

    Returns:
        Columns `run_id, experiment, parameter, value, time_ms, label, guess, mean, n_images`: a row for each value, class
        that was shown and class that is guessed; `mean` sums to 1 over guesses, `n_images` is the number of images of the
        label.

    Raises:
        InputError: the table is not complete.
    """
    counts, classes, n_images, cube = _count(performance)
    after = after_onset(cube.axes["time_ms"])
    times = cube.axes["time_ms"][after]
    right = np.trace(counts, axis1=1, axis2=2)[:, after]  # (V, T)
    best = right.argmax(axis=-1)
    shown = np.flatnonzero(n_images)
    parts = []
    for number, value in enumerate(cube.axes["value"]):
        at_best = counts[number, shown][..., after][..., best[number]]
        parts.append(
            pd.DataFrame(
                {
                    "value": value,
                    "time_ms": times[best[number]],
                    "label": np.repeat(classes[shown], len(classes)),
                    "guess": np.tile(classes, len(shown)),
                    "mean": (at_best / n_images[shown, None]).ravel(),
                    "n_images": np.repeat(n_images[shown], len(classes)),
                }
            )
        )
    return identified(pd.concat(parts, ignore_index=True), performance)


def _count(performance: pd.DataFrame) -> tuple:
    """Return the counts (V, label, guess, T), the classes, images of each label, and the cube of the table."""
    columns = ("label", "guess", "stimulus_on", "mask_on")
    cube = to_cube(with_mask(performance), ("value", "image", "time_ms"), columns)
    label, guess = cube.data["label"][0, :, 0], cube.data["guess"]
    classes = np.union1d(label, guess[guess >= 0])  # -1 is no guess
    n_classes = len(classes)
    row, column = np.searchsorted(classes, label), np.searchsorted(classes, guess)
    n_values, _, n_times = guess.shape
    value, time = np.arange(n_values)[:, None, None], np.arange(n_times)
    flat = ((value * n_classes + row[None, :, None]) * n_classes + column) * n_times + time
    counts = np.bincount(flat[guess >= 0], minlength=n_values * n_classes**2 * n_times)
    n_images = np.bincount(row, minlength=n_classes)
    return counts.reshape(n_values, n_classes, n_classes, n_times), classes, n_images, cube
