"""Engineering and biological time: the same responses, computed without feedforward delays and with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dynvision.config.run import RunConfig
from dynvision.errors import InputError
from dynvision.runs import ResultPaths
from dynvision.visualization.axes import TIME_LABEL
from dynvision.visualization.layout import panel_grid
from dynvision.visualization.legend import add_legend, line_handle
from dynvision.visualization.names import Comparison
from dynvision.visualization.responses import Y_LABEL
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import LineStyle, Style
from dynvision.visualization.tables import dynamics_of_one_run

COLUMNS = ("layer", "time_ms", "biological", "engineering", "largest_difference", "shift_ms")
SIZE = (2.2, 0.85)
LOOKS: dict[str, tuple[LineStyle, float]] = {
    "biological": ("-", 1.4),
    "engineering": ("--", 1.1),
    "engineering, shifted": (":", 2.2),
}


def draw_both_times(axes: Axes, table: pd.DataFrame, colour: str) -> None:
    """Draw one layer in both times, and the engineering time shifted onto the biological one.

    Args:
        axes: where to draw.
        table: columns `time_ms`, `biological`, `engineering` (already later by `shift_ms`), `shift_ms`.
        colour: of the layer.
    """
    line = table.sort_values("time_ms")
    time, shift = line["time_ms"].to_numpy(dtype=float), float(line["shift_ms"].iloc[0])
    values = {
        "biological": (time, line["biological"]),
        "engineering": (time - shift, line["engineering"]),
        "engineering, shifted": (time, line["engineering"]),
    }
    for name, (at, response) in values.items():
        style, width = LOOKS[name]
        axes.plot(at, response, color=colour, linestyle=style, linewidth=width)


def unrolling_figure(table: pd.DataFrame, style: Style) -> Figure:
    """Draw all layers.

    Args:
        table: columns `layer`, `time_ms`, `biological`, `engineering`, `largest_difference`, `shift_ms`, of one run.
        style: colours, names and order.
    """
    layers = style.ordered(table["layer"].unique())
    colours = style.depths(layers)
    grid = panel_grid(len(layers), 1, *SIZE)
    for axes, layer in zip(grid.panels[:, 0], layers, strict=True):
        draw_both_times(axes, table[table["layer"] == layer], colours[layer])
        axes.set_ylabel(style.name(layer), fontweight="bold", fontsize=8)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.set_xlim(0, float(np.max(table["time_ms"])))
        axes.set_ylim(bottom=0)
    grid.blocks[0].hide_inner_labels()
    grid.label_below(TIME_LABEL)
    grid.label_left(Y_LABEL)
    add_legend(grid, [line_handle(name, line=line) for name, (line, _) in LOOKS.items()])
    return grid.figure


def draw_unrolling(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Draw the engineering and biological time, of one run.

    Raises:
        InputError: the run has no engineering time.
    """
    table = dynamics_of_one_run(paths, comparison, "unrolling", COLUMNS)
    if table.empty:
        raise InputError(
            f"run {comparison.conditions[comparison.base or 0].run_ids[0]} has no engineering time to draw: its skips are "
            "faster than its feedforward path; leave the figure unrolling out"
        )
    with style.context():
        figure = unrolling_figure(table, style)
    return Drawn("unrolling", figure, table, unrolling_caption(table))


def unrolling_caption(table: pd.DataFrame) -> str:
    """Return the caption of the unrolling."""
    difference = float(table["largest_difference"].max())
    return (
        f"Mean response of {table['condition'].iloc[0]} in biological time, with feedforward delays, and in engineering "
        "time, without them; shifted by the delays up to a layer the two are equal (largest difference of any unit: "
        f"{difference:.1e})."
    )
