"""Accuracy of the classifier in time: a panel a condition, a line a value of the swept parameter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynvision.visualization.axes import (
    draw_courses,
    draw_stimulus,
    n_bars,
    set_time_axis,
    stimulus_handles,
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
from dynvision.visualization.style import MUTED, Style
from dynvision.visualization.tables import ExperimentTables

PANEL_HEIGHT = 1.6
CHANCE_ROOM = 0.48  # inches right of the panels, for the word


def performance_figure(
    table: pd.DataFrame, rows: Sequence[Row], style: Style, parameter_label: str
) -> Figure:
    """Draw accuracy over time for all conditions, with the level of chance.

    Args:
        table: columns `condition`, `value`, `time_ms`, `stimulus_on`, `mask_on`, `mean`, `low`, `high`, `chance`.
        rows: the conditions that stand beside each other, with their titles.
        style: colours, names and order.
        parameter_label: the swept parameter with its unit.
    """
    colours = style.sequential(table["value"].unique())
    of_condition = dict(iter(table.groupby("condition", sort=False)))
    bars = max(n_bars(part) for part in of_condition.values())
    grid, shown = condition_blocks(rows, 1, 3.2, PANEL_HEIGHT, bars)
    for block, row in zip(grid.blocks, shown, strict=True):
        for axes, strip, condition in zip(block.panels[0], block.strips, row.titles, strict=True):
            draw_stimulus(strip, of_condition[condition], colours)
            draw_courses(axes, of_condition[condition], colours)
            set_accuracy_axis(axes, float(of_condition[condition]["chance"].iloc[0]))
        name_chance(block.panels[0, -1], float(of_condition[condition]["chance"].iloc[0]))
        block.panels[0, 0].set_ylabel("accuracy (fraction)")
    set_time_axis(grid, np.unique(table["time_ms"]))
    legend = add_values(grid, colours, parameter_label, gap=CHANCE_ROOM)
    add_legend_below(grid, stimulus_handles(table), legend)
    return grid.figure


def set_accuracy_axis(axes: Axes, chance: float) -> None:
    """Set a y axis from 0 to 1 with the level of chance."""
    axes.axhline(chance, color=MUTED, linestyle=(0, (4, 3)), linewidth=0.8, zorder=1)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])


def name_chance(axes: Axes, chance: float) -> None:
    """Name the line of chance, right of the panel."""
    axes.annotate(
        "chance",
        (1, chance),
        (3, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
        color=MUTED,
    )


def draw_performance(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Draw the accuracy over time."""
    table = comparison.average(
        tables.accuracy, ["parameter", "value", "time_ms", "stimulus_on", "mask_on", "chance"]
    )
    label = swept_label(tables.experiment.config, style)
    with style.context():
        figure = performance_figure(table, comparison.rows, style, label)
    return Drawn("performance", figure, table, performance_caption(table, label))


def performance_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Return the caption of the figure of performance."""
    chances = sorted({round(float(chance), 4) for chance in table["chance"]})
    level = " or ".join(f"{100 * chance:.3g} %" for chance in chances)
    return (
        "Part of the images that are classified correctly at each moment, including the times without a "
        f"stimulus, one line for each value of {parameter_label}. The dashed line is chance ({level}). "
        f"{stimulus_sentence(table, parameter_label)} {course_band_sentence(table)}"
    )
