"""Responses in time: a row a layer, a column a condition, a line a value of the swept parameter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dynvision.visualization.axes import (
    draw_courses,
    draw_stimulus,
    n_bars,
    set_time_axis,
    stimulus_handles,
    top_of,
)
from dynvision.visualization.layout import condition_blocks
from dynvision.visualization.legend import (
    add_legend_below,
    add_values,
    course_band_sentence,
    stimulus_sentence,
)
from dynvision.visualization.names import Comparison, Row, swept_label
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import Style
from dynvision.visualization.tables import ExperimentTables, focus_layer

PANEL_HEIGHT = 0.95
MOST_PANELS = 48  # beyond, one layer is shown
Y_LABEL = "mean response of units, |r| (a.u.)"


def responses_figure(table: pd.DataFrame, rows: Sequence[Row], style: Style, parameter_label: str) -> Figure:
    """Draw the responses of all layers and conditions.

    Args:
        table: columns `condition`, `layer`, `value`, `time_ms`, `stimulus_on`, `mask_on`, `mean`, `low`, `high`.
        rows: the conditions that stand beside each other, with their titles.
        style: colours, names and order.
        parameter_label: the swept parameter with its unit.
    """
    layers = style.ordered(table["layer"].unique())
    colours = style.sequential(table["value"].unique())
    of_condition = dict(iter(table.groupby("condition", sort=False)))
    bars = max(n_bars(part) for part in of_condition.values())
    grid, shown = condition_blocks(rows, len(layers), 2.6, PANEL_HEIGHT, bars)
    tops = {layer: top_of(table[table["layer"] == layer]) for layer in layers}
    for block, row in zip(grid.blocks, shown, strict=True):
        for column, condition in enumerate(row.titles):
            part = of_condition[condition]
            draw_stimulus(block.strips[column], part, colours)
            for axes, layer in zip(block.panels[:, column], layers, strict=True):
                draw_courses(axes, part[part["layer"] == layer], colours)
                axes.set_ylim(0, tops[layer])
                axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        for axes, layer in zip(block.panels[:, 0], layers, strict=True):
            axes.set_ylabel(style.name(layer), fontweight="bold", fontsize=8)
    set_time_axis(grid, np.unique(table["time_ms"]))
    grid.label_left(Y_LABEL)
    legend = add_values(grid, colours, parameter_label)
    add_legend_below(grid, stimulus_handles(table), legend)
    return grid.figure


def draw_responses(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Draw the responses of the layers over time; of a large sweep, of one layer."""
    table = tables.courses(comparison)
    n_panels = table["layer"].nunique() * sum(len(row.titles) for row in comparison.rows)
    if n_panels > MOST_PANELS:
        table = table[table["layer"] == focus_layer(table, tables.experiment, style)].reset_index(drop=True)
    label = swept_label(tables.experiment.config, style)
    with style.context():
        figure = responses_figure(table, comparison.rows, style, label)
    return Drawn("responses", figure, table, responses_caption(table, label))


def responses_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Return the caption of the figure of responses."""
    columns = " in each condition (columns)" if table["condition"].nunique() > 1 else ""
    return (
        f"Responses of the layers (rows) over time{columns}, one line for each value of {parameter_label}. "
        "A response is the mean absolute activity of all units of a layer, in the model's own unit (a.u.), "
        "averaged over images. The sample at a time is the response to everything that was shown up to then. "
        f"{stimulus_sentence(table, parameter_label)} {course_band_sentence(table)}"
    )
