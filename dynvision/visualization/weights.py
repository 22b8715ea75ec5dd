"""Distributions of weights: a panel a layer, a violin a connection, for one condition or for several beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynvision.analysis.weights import ORDER, read_weight_distributions
from dynvision.config.run import RunConfig
from dynvision.runs import ResultPaths
from dynvision.visualization.layout import panel_grid
from dynvision.visualization.legend import add_legend, line_handle
from dynvision.visualization.names import Comparison
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import GUIDE, INK, PAPER, Style, condition_colours
from dynvision.visualization.tables import of_runs

MOST_CONDITIONS = 4  # beside each other
HALF = 0.42  # half the width of a violin
HEIGHT = 1.5
PER_VIOLIN = 0.36  # inches
LINEAR = 1e-3  # of the largest weight: below, the axis is linear


def draw_violin(axes: Axes, place: float, table: pd.DataFrame, colour: str, half: float) -> None:
    """Draw one distribution as a violin with its quartiles and its median.

    Args:
        axes: where to draw.
        place: centre on the x axis.
        table: columns `bin_low`, `bin_high`, `density` (largest is 1), `q05`, `q25`, `median`, `q75`, `q95`.
        colour: of the violin.
        half: half its width.
    """
    facts = table.iloc[0]
    if facts["q05"] < facts["q95"]:  # not of a single weight
        _draw_shape(axes, place, table, colour, half)
    axes.vlines(place, facts["q05"], facts["q95"], color=INK, linewidth=0.7)
    axes.vlines(place, facts["q25"], facts["q75"], color=INK, linewidth=2.2)
    axes.plot(
        place,
        facts["median"],
        marker="o",
        color=colour if facts["q05"] == facts["q95"] else PAPER,
        markersize=2.6,
        markeredgecolor=INK,
        markeredgewidth=0.6,
    )


def _draw_shape(axes: Axes, place: float, table: pd.DataFrame, colour: str, half: float) -> None:
    edges = np.append(table["bin_low"], table["bin_high"].iloc[-1])
    width = half * table["density"].to_numpy()
    axes.stairs(
        place + width,
        edges,
        baseline=place - width,
        orientation="horizontal",
        fill=True,
        color=colour,
        alpha=0.45,
    )


def weights_figure(
    table: pd.DataFrame, conditions: Sequence[str], colours: Mapping[str, str], style: Style
) -> Figure:
    """Draw the weights of all layers.

    Args:
        table: columns `condition`, `layer`, `connection` and those of `draw_violin`.
        conditions: beside each other in a panel.
        colours: of the conditions, or of the connections where there is one condition.
        style: colours, names and order.
    """
    layers = style.ordered(table["layer"].unique())
    connections = {
        layer: [name for name in ORDER if name in set(table.loc[table["layer"] == layer, "connection"])]
        for layer in layers
    }
    most = max(map(len, connections.values()))
    width = max(0.9, PER_VIOLIN * most * max(1, 0.55 * len(conditions)))
    n_columns = max(1, min(len(layers), int(7.5 / (width + 0.55))))
    grid = panel_grid(-(-len(layers) // n_columns), n_columns, width, HEIGHT, gap=(0.55, 1.05))
    panels = grid.panels.ravel()
    for axes, layer in zip(panels, layers, strict=False):
        _draw_layer(axes, table[table["layer"] == layer], connections[layer], conditions, colours)
        axes.set_title(style.name(layer), fontweight="bold", pad=4)
        axes.set_xlim(-0.6, most - 0.4)
    for axes in panels[len(layers) :]:
        axes.remove()
    grid.label_left("weight (a.u.), log axis away from 0")
    if len(conditions) > 1:
        add_legend(grid, [line_handle(name, colours[name]) for name in conditions])
    return grid.figure


def _draw_layer(
    axes: Axes,
    table: pd.DataFrame,
    connections: Sequence[str],
    conditions: Sequence[str],
    colours: Mapping[str, str],
) -> None:
    axes.axhline(0, color=GUIDE, linewidth=0.7, zorder=0)
    half = HALF / len(conditions)
    for number, connection in enumerate(connections):
        for rank, condition in enumerate(conditions):
            violin = table[(table["connection"] == connection) & (table["condition"] == condition)]
            if len(violin):
                place = number + (2 * rank - len(conditions) + 1) * half
                colour = colours[condition if len(conditions) > 1 else connection]
                draw_violin(axes, place, violin, colour, half * 0.95)
    largest = float(np.abs(table[["bin_low", "bin_high"]].to_numpy()).max())
    axes.set_yscale("symlog", linthresh=max(LINEAR * largest, 1e-6), linscale=0.5)
    axes.set_ylim(-1.3 * largest, 1.3 * largest)
    _set_ticks(axes, largest)
    axes.set_xticks(range(len(connections)), connections, rotation=90)
    axes.tick_params(axis="x", length=0)


def _set_ticks(axes: Axes, largest: float) -> None:
    """Set ticks at zero and at powers of ten on both sides of it."""
    top = int(np.floor(np.log10(largest)))
    powers = [10.0**exponent for exponent in range(top - 2, top + 1)]
    ticks = [-power for power in reversed(powers)] + [0.0] + powers
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def draw_weights(paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style) -> Drawn:
    """Draw the weights of the first seed of a few conditions, or of the base where there are many."""
    shown = range(len(comparison.labels))
    if len(shown) > MOST_CONDITIONS:
        shown = range(comparison.base or 0, (comparison.base or 0) + 1)
    chosen = [comparison.conditions[number].run_ids[0] for number in shown]
    of_chosen = [config for config in configs if config.run_id in chosen]
    table = of_runs(paths, of_chosen, "weights.parquet", read_weight_distributions)
    return draw_weight_distributions(table, comparison, style)


def draw_weight_distributions(distributions: pd.DataFrame, comparison: Comparison, style: Style) -> Drawn:
    """Draw the figure of weights from a table of `analysis.weights`, of one run of each condition."""
    table = distributions.copy()
    table.insert(0, "condition", [comparison.label_of(run_id) for run_id in table["run_id"]])
    density = table["n_in_bin"] / (table["bin_high"] - table["bin_low"])
    violin = [table[name] for name in ("condition", "layer", "connection")]
    table["density"] = density / density.groupby(violin, sort=False, observed=True).transform("max")
    conditions = [label for label in comparison.labels if label in set(table["condition"])]
    colours = condition_colours(comparison, style) if len(conditions) > 1 else style.colours(list(ORDER))
    with style.context():
        figure = weights_figure(table, conditions, colours, style)
    return Drawn("weights", figure, table, weights_caption(table))


def weights_caption(table: pd.DataFrame) -> str:
    """Return the caption of the distributions of weights."""
    return (
        "Distributions of the weights of each layer by the connection that they are of: violins show how many weights have "
        "a value (each is scaled to its widest place), bars the quartiles, thin lines the middle 90 %, dots the median. "
        "The axis is logarithmic away from zero. Biases are left out; of several seeds the first is shown."
    )
