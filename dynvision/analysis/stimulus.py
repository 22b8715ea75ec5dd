"""When the stimulus was on, and when a mask was.

A sample at t with the stimulus on stands for [t - dt, t), so a stimulus of 40 ms lasts from 0 to 40 whatever dt is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dynvision.analysis.time_grid import sample_interval

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
    """Return a table with `mask_on`: whether `shown` says mask, or another image of a row; never without that column."""
    return table.assign(mask_on=table["shown"].isin(("mask", "other")) if "shown" in table else False)


def what_was_shown(table: pd.DataFrame) -> list[StimulusPeriods]:
    """The periods of image and mask: once if all values of the parameter share them, else for each.

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
    """The periods in which the stimulus was on, at each value of the parameter.

    Args:
        table: any table with the columns `value`, `time_ms` and `stimulus_on`, of one time grid.
        column: says whether it is on, in place of `stimulus_on`.

    Returns:
        Columns `value, start_ms, end_ms`, ascending. A value without a stimulus has no row.

    Raises:
        InputError: the times are not evenly spaced.
    """
    grid = table[["value", "time_ms", column]].drop_duplicates().sort_values(["value", "time_ms"])
    dt = sample_interval(np.unique(grid["time_ms"].to_numpy()))
    rows = []
    for value, of_value in grid.groupby("value"):
        on = of_value[column].to_numpy().astype(np.int8)
        edges = np.diff(np.concatenate([[0], on, [0]]))
        time_ms = of_value["time_ms"].to_numpy()
        for first, behind in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            rows.append((value, time_ms[first] - dt, time_ms[behind - 1]))
    return pd.DataFrame(rows, columns=["value", "start_ms", "end_ms"])


def _by_value(periods: pd.DataFrame) -> dict[float, Periods]:
    found: dict[float, Periods] = {}
    for value, start, end in periods.itertuples(index=False):
        found[float(value)] = (*found.get(float(value), ()), (float(start), float(end)))
    return found
