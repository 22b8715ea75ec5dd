"""Time courses: the mean over images at each time with its bootstrap interval, and what was on the screen meanwhile.

A sample at t with the stimulus on stands for [t - dt, t), so a stimulus of 40 ms lasts from 0 to 40 whatever dt is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import bootstrap_interval
from dynvision.analysis.tables import chance_level, levels, to_cube
from dynvision.analysis.time_grid import sample_interval, stretches

Periods = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class StimulusPeriods:
    """What was on the screen at one value of the parameter.

    Attributes:
        value: the value; None stands for all, which are then alike.
        image: periods of the image, each from start to end in ms, ascending.
        mask: those of a mask.
    """

    value: float | None
    image: Periods
    mask: Periods = ()


def with_mask(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with `mask_on`: whether `shown` states mask, or another image of a row; never without that column."""
    return table.assign(mask_on=table["shown"].isin(("mask", "other")) if "shown" in table else False)


def what_was_shown(table: pd.DataFrame) -> list[StimulusPeriods]:
    """Return the periods of image and mask: once if all values of the parameter share them, else for each.

    Args:
        table: columns `value`, `time_ms`, `stimulus_on`, and `mask_on` if there may be masks.

    Returns:
        Ascending in value.

    Raises:
        InputError: the times are not evenly spaced.
    """
    found = {
        column: _by_value(stimulus_periods(table, column)) if column in table else {}
        for column in ("stimulus_on", "mask_on")
    }
    shown = [
        StimulusPeriods(float(value), found["stimulus_on"].get(value, ()), found["mask_on"].get(value, ()))
        for value in sorted(table["value"].unique())
    ]
    alike = len({(one.image, one.mask) for one in shown}) == 1
    return [StimulusPeriods(None, shown[0].image, shown[0].mask)] if alike else shown


def stimulus_periods(table: pd.DataFrame, column: str = "stimulus_on") -> pd.DataFrame:
    """Return the periods in which the stimulus was on, at each value of the parameter.

    Args:
        table: any table with the columns `value`, `time_ms` and `stimulus_on`, of one time grid.
        column: states whether it is on, in place of `stimulus_on`.

    Returns:
        Columns `value, start_ms, end_ms`, ascending. A value without a stimulus has no row.

    Raises:
        InputError: the times are not evenly spaced.
    """
    grid = table[["value", "time_ms", column]].drop_duplicates().sort_values(["value", "time_ms"])
    dt = sample_interval(np.unique(grid["time_ms"].to_numpy()))
    rows = []
    for value, of_value in grid.groupby("value"):
        time_ms = of_value["time_ms"].to_numpy()
        for first, after in zip(*stretches(of_value[column].to_numpy()), strict=True):
            rows.append((value, time_ms[first] - dt, time_ms[after - 1]))
    return pd.DataFrame(rows, columns=["value", "start_ms", "end_ms"])


def _by_value(periods: pd.DataFrame) -> dict[float, Periods]:
    found: dict[float, Periods] = {}
    for value, start, end in periods.itertuples(index=False):
        found[float(value)] = (*found.get(float(value), ()), (float(start), float(end)))
    return found


def response_courses(responses: pd.DataFrame) -> pd.DataFrame:
    """Return the mean response of each layer in time.

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
    """Return the part of the images that is guessed right, in time.

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
