"""Accuracy of the classifier in time: a panel a condition, a line a value of the swept parameter."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dynvision.visualization.courses import draw_courses, set_time_axis
from dynvision.visualization.layout import panel_grid, panel_width, wrapped
from dynvision.visualization.legend import add_legend, value_handles
from dynvision.visualization.stimulus_bar import draw_stimulus, stimulus_rows
from dynvision.visualization.style import MUTED, Style

PANEL_HEIGHT = 1.6


def performance_figure(
    table: pd.DataFrame, titles: dict[str, str], style: Style, parameter_label: str
) -> Figure:
    """Draw accuracy over time for all conditions, with the level of chance.

    Args:
        table: columns `condition`, `value`, `time_ms`, `stimulus_on`, `mean`, `low`, `high`, `chance`.
        titles: title of each condition, in the order of the columns.
        style: colours, names and order.
        parameter_label: the swept parameter with its unit.
    """
    colours = style.sequential(table["value"].unique())
    per_condition = {condition: table[table["condition"] == condition] for condition in titles}
    n_bars = max(len(stimulus_rows(of_condition)) for of_condition in per_condition.values())
    width = panel_width(len(titles), widest=3.2)
    grid = panel_grid(1, len(titles), width, PANEL_HEIGHT, n_bars=n_bars)
    for column, (condition, of_condition) in enumerate(per_condition.items()):
        axes = grid.panels[0, column]
        draw_stimulus(grid.strips[column], of_condition, colours)
        grid.strips[column].set_title(wrapped(titles[condition], width), pad=4)
        chance = float(of_condition["chance"].iloc[0])
        axes.axhline(chance, color=MUTED, linestyle=(0, (4, 3)), linewidth=0.8, zorder=1)
        draw_courses(axes, of_condition, colours)
        axes.set_ylim(0, 1.02)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    grid.panels[0, -1].annotate(
        "chance",
        (1, chance),
        (3, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
        color=MUTED,
    )
    grid.panels[0, 0].set_ylabel("accuracy (fraction of images)")
    set_time_axis(grid, np.unique(table["time_ms"]), width)
    add_legend(grid, value_handles(colours), parameter_label)
    return grid.figure
