"""Peak accuracy, its time and its confidence against a parameter, beside the same network without recurrence.

Conditions are lines of one colour each; the feedforward-only twin of a condition is dashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynvision.analysis.accuracy import QUANTITIES
from dynvision.visualization.axes import set_parameter_axis
from dynvision.visualization.layout import quantity_blocks
from dynvision.visualization.legend import (
    MOST_BANDS,
    add_conditions,
    add_legend,
    add_legend_below,
    course_band_sentence,
    line_handle,
)
from dynvision.visualization.names import Comparison, Row, swept_label, words_of
from dynvision.visualization.performance import set_accuracy_axis
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import BAND_ALPHA, PAPER, LineStyle, Style, condition_colours
from dynvision.visualization.tables import ExperimentTables

SIZE = (1.9, 1.5)
NETWORKS: dict[str, tuple[LineStyle, str]] = {
    "as trained": ("-", "o"),
    "feedforward only": ((0, (3, 2)), "s"),
}


def draw_quantity(
    axes: Axes, table: pd.DataFrame, colour: str, network: str, band: bool = True, connected: bool = True
) -> None:
    """Draw one quantity of one condition against the parameter.

    Args:
        axes: where to draw.
        table: columns `value`, `mean`, `low`, `high`.
        colour: of the line.
        network: ``as trained`` or ``feedforward only``.
        band: whether the interval is drawn.
        connected: whether a line connects the values, which it does not where they are categories.
    """
    line = table.sort_values("value")
    value, mean, low, high = (line[name].to_numpy(dtype=float) for name in ("value", "mean", "low", "high"))
    style, marker = NETWORKS[network]
    filled = colour if network == "as trained" else PAPER
    if band and np.isfinite(low).any():
        if connected:
            axes.fill_between(value, low, high, color=colour, alpha=BAND_ALPHA, linewidth=0)
        else:
            axes.vlines(value, low, high, color=colour, linewidth=0.9, alpha=0.7)
    line_style: LineStyle = style if connected else "None"
    axes.plot(
        value, mean, color=colour, linestyle=line_style, marker=marker, markerfacecolor=filled, clip_on=False
    )


def robustness_figure(
    table: pd.DataFrame,
    rows: Sequence[Row],
    colours: Sequence[Mapping[str, str]],
    parameter_label: str,
) -> Figure:
    """Draw all quantities.

    Args:
        table: columns `condition`, `network`, `quantity`, `value`, `mean`, `low`, `high`, `chance`.
        rows: the conditions that share panels, with their titles.
        colours: of the conditions of each row.
        parameter_label: the swept parameter with its unit.
    """
    quantities = [name for name in QUANTITIES if name in set(table["quantity"])]
    networks = [name for name in NETWORKS if name in set(table["network"])]
    grid, panels = quantity_blocks(rows, len(quantities), SIZE)
    latest = float(np.nanmax(table.loc[table["quantity"] == "time_ms", "mean"], initial=0.0))
    for row, of_row, axes_of_row, block in zip(rows, colours, panels, grid.blocks, strict=True):
        for axes, quantity in zip(axes_of_row, quantities, strict=True):
            drawn = table[table["quantity"] == quantity]
            for (condition, network), line in drawn.groupby(["condition", "network"], sort=False):
                if condition in row.titles:
                    draw_quantity(
                        axes,
                        line,
                        of_row[str(condition)],
                        str(network),
                        band=len(row.titles) <= MOST_BANDS,
                        connected=not words_of(parameter_label),
                    )
            _set_axis(axes, quantity, table["chance"].unique(), latest)
            axes.set_xlabel(parameter_label)
            set_parameter_axis(axes, table["value"].to_numpy(), parameter_label)
        legend = add_conditions(grid, row.titles, of_row, block) if len(row.titles) > 1 else None
        handles = []
        if len(networks) > 1:
            handles += [
                line_handle(name, line=line, marker=marker, filled=name == "as trained")
                for name, (line, marker) in NETWORKS.items()
            ]
        if handles and legend is not None:
            add_legend_below(grid, handles, legend)
        elif handles:
            add_legend(grid, handles, block=block)
    return grid.figure


def _set_axis(axes: Axes, quantity: str, chances: np.ndarray, latest: float) -> None:
    label, unit = QUANTITIES[quantity]
    axes.set_ylabel(f"{label}\n({unit})")
    if quantity == "accuracy":
        for chance in chances:
            set_accuracy_axis(axes, float(chance))
    elif unit == "fraction":
        axes.set_ylim(0, 1.02)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    else:
        axes.set_ylim(0, 1.08 * latest if latest > 0 else 1)


def draw_robustness(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Draw the peak accuracy, its time and its confidence, with the feedforward-only twin."""
    keys = ["parameter", "network", "quantity", "value", "chance"]
    table = comparison.average(tables.moments, keys)
    label = swept_label(tables.experiment.config, style)
    colours = [condition_colours(comparison, style, row) for row in comparison.rows]
    with style.context():
        figure = robustness_figure(table, comparison.rows, colours, label)
    return Drawn("robustness", figure, table, robustness_caption(table, label, comparison.rows))


def robustness_caption(table: pd.DataFrame, parameter_label: str, rows: Sequence[Row]) -> str:
    """Return the caption of the figure of robustness."""
    twin = (
        " Dashed, with open markers: the same weights without recurrence and feedback."
        if table["network"].nunique() > 1
        else " The feedforward-only twin of this experiment was not run."
    )
    return (
        f"The highest accuracy at any one time from stimulus onset, the time at which it is reached, and the mean "
        f"probability of the guess at that time, against {parameter_label}. The time is chosen on the same images, so that "
        f"the accuracy lies above that on other images, the more so the fewer the images.{twin} The grey line is chance. "
        f"{course_band_sentence(table, max(len(row.titles) for row in rows))}"
    )
