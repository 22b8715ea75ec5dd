"""How well, when and how surely a network classifies, at each value of a parameter.

    t*(v)       = argmax over t >= 0 of accuracy(v, t)         accuracy: part of the images that are guessed right
    accuracy    = accuracy(v, t*)
    time        = t*
    confidence  = mean over images of the probability of the guess at t*

Source: ours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dynvision.analysis.accuracy import chance_level
from dynvision.analysis.bootstrap import bootstrap_interval
from dynvision.analysis.cube import to_cube
from dynvision.analysis.time_grid import after_onset

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
    columns = [name for name in ("correct", "confidence") if name in performance]
    cube = to_cube(performance, ("image", "value", "time_ms"), columns)
    after = after_onset(cube.axes["time_ms"])
    recorded = {name: array[..., after].astype(np.float64) for name, array in cube.data.items()}
    best = recorded["correct"].mean(axis=0).argmax(axis=-1)
    moments = {
        name: np.take_along_axis(array, best[None, :, None], axis=-1)[..., 0]
        for name, array in recorded.items()
    }
    rows = []
    for quantity, samples in {"accuracy": moments["correct"], **moments}.items():
        if quantity != "correct":
            low, high = bootstrap_interval(samples)
            rows.append(_rows(quantity, cube.axes["value"], samples.mean(axis=0), low, high))
    nothing = np.full(len(best), np.nan)
    rows.append(_rows("time_ms", cube.axes["value"], cube.axes["time_ms"][after][best], nothing, nothing))
    table = pd.concat(rows, ignore_index=True)
    for name in ("parameter", "experiment", "run_id"):
        table.insert(0, name, str(performance[name].iloc[0]))
    return table.assign(
        n_images=len(cube.axes["image"]),
        chance=chance_level(performance),
    )


def _rows(
    quantity: str, values: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame({"value": values, "quantity": quantity, "mean": mean, "ci_low": low, "ci_high": high})
