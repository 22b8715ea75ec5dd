"""Time courses: the mean over images at each time, with its bootstrap interval."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dynvision.analysis.accuracy import chance_level
from dynvision.analysis.bootstrap import bootstrap_interval
from dynvision.analysis.cube import levels, to_cube
from dynvision.analysis.stimulus import with_mask


def response_courses(responses: pd.DataFrame) -> pd.DataFrame:
    """The mean response of each layer in time.

    Args:
        responses: table of responses, of one run or several.

    Returns:
        Columns `run_id, experiment, parameter, value, layer, time_ms, stimulus_on, mask_on, mean, ci_low, ci_high,
        n_images`.

    Raises:
        InputError: the table is not complete.
    """
    return _courses(responses, ("value", "layer", "time_ms"), "mean")


def accuracy_courses(performance: pd.DataFrame) -> pd.DataFrame:
    """The part of the images that is guessed right, in time.

    Args:
        performance: table of guesses, of one run or several.

    Returns:
        Columns `run_id, experiment, parameter, value, time_ms, stimulus_on, mask_on, mean, ci_low, ci_high, n_images,
        chance`, where `chance` is one over the number of the network's classes.

    Raises:
        InputError: the table is not complete.
    """
    courses = _courses(performance, ("value", "time_ms"), "correct")
    chance = {run_id: chance_level(of_run) for run_id, of_run in performance.groupby("run_id", observed=True)}
    courses["chance"] = courses["run_id"].map(chance).astype(float)
    return courses


def _courses(table: pd.DataFrame, axes: tuple[str, ...], column: str) -> pd.DataFrame:
    parts = []
    for run_id, of_run in table.groupby("run_id", observed=True, sort=False):
        cube = to_cube(with_mask(of_run), ("image", *axes), (column, "stimulus_on", "mask_on"))
        samples = cube.data[column].astype(np.float64)
        low, high = bootstrap_interval(samples)
        grid = np.meshgrid(*(np.arange(len(cube.axes[axis])) for axis in axes), indexing="ij")
        part = pd.DataFrame(
            {"run_id": str(run_id)}
            | {name: str(of_run[name].iloc[0]) for name in ("experiment", "parameter")}
            | {axis: cube.axes[axis][index.ravel()] for axis, index in zip(axes, grid, strict=True)}
            | {
                "stimulus_on": cube.data["stimulus_on"][0].ravel(),
                "mask_on": cube.data["mask_on"][0].ravel(),
                "mean": samples.mean(axis=0).ravel(),
                "ci_low": low.ravel(),
                "ci_high": high.ravel(),
                "n_images": len(samples),
            }
        )
        parts.append(part)
    courses = pd.concat(parts, ignore_index=True)
    if "layer" in axes:
        courses["layer"] = pd.Categorical(courses["layer"], levels(table["layer"]))
    return courses
