"""Responses in time: a row a layer, a column a condition, a line a value of the swept parameter."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dynvision.visualization.courses import draw_courses, set_time_axis
from dynvision.visualization.layout import panel_grid, panel_width, wrapped
from dynvision.visualization.legend import add_legend, value_handles
from dynvision.visualization.stimulus_bar import draw_stimulus, stimulus_rows
from dynvision.visualization.style import Style

PANEL_HEIGHT = 0.95
Y_LABEL = "mean response of units, |r| (a.u.)"


def responses_figure(
    table: pd.DataFrame, titles: dict[str, str], style: Style, parameter_label: str
) -> Figure:
    """Draw the responses of all layers and conditions.

    Args:
        table: columns `condition`, `layer`, `value`, `time_ms`, `stimulus_on`, `mean`, `low`, `high`.
        titles: title of each condition, in the order of the columns.
        style: colours, names and order.
        parameter_label: the swept parameter with its unit.
    """
    layers = style.ordered(table["layer"].unique())
    colours = style.sequential(table["value"].unique())
    per_condition = {condition: table[table["condition"] == condition] for condition in titles}
    n_bars = max(len(stimulus_rows(of_condition)) for of_condition in per_condition.values())
    width = panel_width(len(titles), widest=2.6)
    grid = panel_grid(len(layers), len(titles), width, PANEL_HEIGHT, n_bars=n_bars)
    for column, (condition, of_condition) in enumerate(per_condition.items()):
        draw_stimulus(grid.strips[column], of_condition, colours)
        grid.strips[column].set_title(wrapped(titles[condition], width), pad=4)
        for row, layer in enumerate(layers):
            draw_courses(grid.panels[row, column], of_condition[of_condition["layer"] == layer], colours)
    for row, layer in enumerate(layers):
        of_layer = table[table["layer"] == layer]
        top = np.nanmax(of_layer[["mean", "high"]].to_numpy(), initial=0.0)
        for axes in grid.panels[row]:
            axes.set_ylim(0, 1.06 * top if np.isfinite(top) and top > 0 else 1)
            axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
            axes.margins(x=0)
        grid.panels[row, 0].set_ylabel(style.name(layer), fontweight="bold", fontsize=8)
    set_time_axis(grid, np.unique(table["time_ms"]), width)
    grid.label_left(Y_LABEL)
    add_legend(grid, value_handles(colours), parameter_label)
    return grid.figure
