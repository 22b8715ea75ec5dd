"""Bars that show when the stimulus is on."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from dynvision.analysis.stimulus import stimulus_periods
from dynvision.visualization.style import STIMULUS

BAR_HEIGHT = 0.7  # of the distance between bars


def stimulus_rows(table: pd.DataFrame) -> list[tuple[float | None, list[tuple[float, float]]]]:
    """The bars to draw: one for all values if they share the stimulus' times, else one a value.

    Args:
        table: columns `value`, `time_ms`, `stimulus_on`.

    Returns:
        For each bar the value (None for all) and its periods from start to end in ms; ascending values.
    """
    periods: dict[float, list[tuple[float, float]]] = {
        float(value): [] for value in sorted(table["value"].unique())
    }
    for value, start, end in stimulus_periods(table).itertuples(index=False):
        periods[float(value)].append((float(start), float(end)))
    distinct = {tuple(spans) for spans in periods.values()}
    if len(distinct) == 1:
        return [(None, list(distinct.pop()))]
    return list(periods.items())


def draw_stimulus(axes: Axes, table: pd.DataFrame, colours: Mapping[float, str]) -> None:
    """Draw when the stimulus is on, the lowest value at the bottom.

    Args:
        axes: a flat axes; its x axis is in ms.
        table: columns `value`, `time_ms`, `stimulus_on`.
        colours: by value, for bars that differ.
    """
    rows = stimulus_rows(table)
    for row, (value, periods) in enumerate(rows):
        colour = STIMULUS if value is None else colours[value]
        for start, end in periods:
            axes.add_patch(
                Rectangle(
                    (start, row + (1 - BAR_HEIGHT) / 2), end - start, BAR_HEIGHT, color=colour, linewidth=0
                )
            )
    axes.set_ylim(0, max(len(rows), 1))
