"""Time constants along the hierarchy: of the slowest mode of each layer, and of its activity under noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynvision.config.run import RunConfig
from dynvision.runs import ResultPaths
from dynvision.visualization.layout import panel_grid
from dynvision.visualization.legend import add_conditions
from dynvision.visualization.names import Comparison
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import MUTED, Style, condition_colours
from dynvision.visualization.tables import read_dynamics

SIZE = (1.9, 1.6)
QUANTITIES: dict[str, str] = {
    "stimulus_ms": "slowest mode, held by\na stimulus (ms)",
    "autocorrelation_ms": "autocorrelation time\nunder noise (ms)",
    "spectral_radius": "spectral radius,\nall units active",
}
COLUMNS = ("layer", *QUANTITIES)


def draw_along_layers(axes: Axes, table: pd.DataFrame, layers: list[str], colour: str) -> None:
    """Draw one quantity of one condition along the layers.

    Args:
        axes: where to draw.
        table: columns `layer`, `mean`, `low`, `high`.
        layers: from early to late.
        colour: of the line.
    """
    by_layer = table.set_index("layer").reindex(layers)
    place = np.arange(len(layers))
    mean, low, high = (by_layer[name].to_numpy(dtype=float) for name in ("mean", "low", "high"))
    axes.vlines(place, low, high, color=colour, linewidth=0.9, alpha=0.7)
    axes.plot(place, mean, color=colour, marker="o", clip_on=False)


def timescales_figure(table: pd.DataFrame, colours: Mapping[str, str], style: Style) -> Figure:
    """Draw all quantities.

    Args:
        table: columns `condition`, `layer`, `quantity`, `mean`, `low`, `high`.
        colours: of the conditions, in their order.
        style: names and order.
    """
    layers = style.ordered(table["layer"].unique())
    grid = panel_grid(1, len(QUANTITIES), *SIZE, gap=(0.75, 0.0))
    for axes, (quantity, label) in zip(grid.panels[0], QUANTITIES.items(), strict=True):
        drawn = table[table["quantity"] == quantity]
        for condition, colour in colours.items():
            draw_along_layers(axes, drawn[drawn["condition"] == condition], layers, colour)
        if quantity == "spectral_radius":
            axes.axhline(1, color=MUTED, linestyle="--", linewidth=0.8, zorder=0)
        highest = np.nanmax(drawn[["mean", "high"]].to_numpy(), initial=0.0)
        lowest = np.nanmin(drawn[["mean", "low"]].to_numpy(), initial=0.0)
        axes.set_ylim(
            1.08 * min(lowest, 0.0), 1.08 * max(highest, 1.0 if quantity == "spectral_radius" else 0.0) or 1
        )
        axes.set_ylabel(label)
        axes.set_xticks(
            range(len(layers)), [style.name(layer) for layer in layers], rotation=0 if len(layers) < 5 else 90
        )
        axes.set_xlim(-0.4, len(layers) - 0.6)
    if len(colours) > 1:
        add_conditions(grid, {name: name for name in colours}, colours, grid.blocks[0])
    return grid.figure


def draw_timescales(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Draw the time constants along the hierarchy, of all conditions."""
    measured = read_dynamics(paths, [config.run_id for config in configs], "timescales", COLUMNS)
    long = measured.melt(["run_id", "layer"], list(QUANTITIES), var_name="quantity", value_name="mean")
    table = comparison.average(long, ["quantity", "layer"])
    with style.context():
        figure = timescales_figure(table, condition_colours(comparison, style), style)
    return Drawn("timescales", figure, table, timescales_caption(table))


def timescales_caption(table: pd.DataFrame) -> str:
    """Return the caption of the time constants."""
    seeds = int(table["n_seeds"].max())
    over = f" Lines are means over {seeds} seeds, and vertical bars show their range." if seeds > 1 else ""
    return (
        "Time constants from layer to layer: of the slowest mode of the layer's own step where a test image holds it; of "
        "the units' responses to noise that is new at every step (lag at which the autocorrelation falls to 1/e); and the "
        f"spectral radius with all units active, which is below 1 (dashed) if the layer alone is stable.{over}"
    )
