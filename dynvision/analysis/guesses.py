"""Which classes are guessed, by the class that was shown.

    n(l, g, t) = number of images of class l whose guess at time t is g
    p(g | l, t) = n(l, g, t) / n(l)

Source: ours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dynvision.analysis.cube import to_cube
from dynvision.analysis.stimulus import with_mask
from dynvision.analysis.time_grid import after_onset

KEYS = ("run_id", "experiment", "parameter")


def guess_courses(performance: pd.DataFrame) -> pd.DataFrame:
    """How often each class is guessed in time, at the highest value of the parameter.

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
    return _identified(pd.concat(parts, ignore_index=True).assign(value=cube.axes["value"][0]), performance)


def confusions(performance: pd.DataFrame) -> pd.DataFrame:
    """How often each class is taken for each, at the moment of the highest accuracy at each value of the parameter.

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
    return _identified(pd.concat(parts, ignore_index=True), performance)


def _count(performance: pd.DataFrame) -> tuple:
    """Counts (V, label, guess, T), the classes, images of each label, and the cube of the table."""
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


def _identified(table: pd.DataFrame, performance: pd.DataFrame) -> pd.DataFrame:
    for name in reversed(KEYS):
        table.insert(0, name, str(performance[name].iloc[0]))
    return table
