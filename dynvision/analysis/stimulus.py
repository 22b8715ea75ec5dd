"""When the stimulus was on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dynvision.analysis.time_grid import sample_interval


def stimulus_periods(table: pd.DataFrame) -> pd.DataFrame:
    """The periods in which the stimulus was on, at each value of the parameter.

    Args:
        table: any table with the columns `value`, `time_ms` and `stimulus_on`, of one time grid.

    Returns:
        Columns `value, start_ms, end_ms`, ascending. A sample at t with the stimulus on counts until t + dt, so a
        stimulus of 40 ms lasts from 0 to 40 whatever dt is. A value without a stimulus has no row.

    Raises:
        InputError: the times are not evenly spaced.
    """
    grid = table[["value", "time_ms", "stimulus_on"]].drop_duplicates().sort_values(["value", "time_ms"])
    dt = sample_interval(np.unique(grid["time_ms"].to_numpy()))
    rows = []
    for value, of_value in grid.groupby("value"):
        on = of_value["stimulus_on"].to_numpy().astype(np.int8)
        edges = np.diff(np.concatenate([[0], on, [0]]))
        time_ms = of_value["time_ms"].to_numpy()
        for first, behind in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            rows.append((value, time_ms[first], time_ms[behind - 1] + dt))
    return pd.DataFrame(rows, columns=["value", "start_ms", "end_ms"])
