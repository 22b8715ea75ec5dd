"""Where the activity of each layer goes: its first two principal components in time, a line an image."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dynvision.config.run import RunConfig
from dynvision.runs import ResultPaths
from dynvision.visualization.layout import MOST_COLUMNS, panel_grid, panel_width
from dynvision.visualization.legend import MOST_LINES, add_legend, line_handle
from dynvision.visualization.names import Comparison
from dynvision.visualization.save import Drawn, legible_names
from dynvision.visualization.style import INK, MUTED, Style
from dynvision.visualization.tables import dynamics_of_one_run, names_of_classes

COLUMNS = ("layer", "image", "label", "time_ms", "stimulus_on", "component", "score", "explained")
DIM = 0.45  # opacity without a stimulus


def draw_trajectory(axes: Axes, table: pd.DataFrame, colour: str) -> None:
    """Draw the trajectory of one image: strong while the stimulus is on, dim without it, a dot at onset.

    Args:
        axes: where to draw.
        table: columns `time_ms`, `stimulus_on`, and the scores `1` and `2`, ascending in time.
        colour: of the line.
    """
    on = table["stimulus_on"].to_numpy(dtype=bool)
    axes.plot(table[1], table[2], color=colour, linewidth=0.8, alpha=DIM)
    axes.plot(table.loc[on, 1], table.loc[on, 2], color=colour, linewidth=1.3)
    before = table[
        table["time_ms"] <= 0
    ]  # the state at onset is the last sample that the stimulus has not reached
    start = before.tail(1) if len(before) else table.head(1)
    axes.plot(start[1], start[2], marker="o", color=colour, markersize=3)


def trajectories_figure(table: pd.DataFrame, style: Style, class_names: Sequence[str] = ()) -> Figure:
    """Draw the trajectories of all layers.

    Args:
        table: columns `layer`, `image`, `label`, `time_ms`, `stimulus_on`, `component` (1, 2), `score`, `explained`, of one
            run.
        style: colours, names and order.
        class_names: of the classes, by number; numbers where there are none.
    """
    layers = style.ordered(table["layer"].unique())
    labels = sorted(int(label) for label in table["label"].unique())
    colours = style.colours(labels)
    n_columns = min(len(layers), MOST_COLUMNS)
    width = panel_width(n_columns, widest=1.8)
    grid = panel_grid(-(-len(layers) // n_columns), n_columns, width, width, gap=(0.5, 0.55))
    panels = grid.panels.ravel()
    for axes, layer in zip(panels, layers, strict=False):
        of_layer = table[table["layer"] == layer]
        wide = of_layer.pivot(
            index=["image", "label", "time_ms", "stimulus_on"], columns="component", values="score"
        )
        for (_, label), line in wide.reset_index().groupby(["image", "label"]):
            draw_trajectory(axes, line.sort_values("time_ms"), colours[int(label)])
        explained = of_layer.drop_duplicates("component").set_index("component")["explained"]
        axes.set_title(style.name(layer), fontweight="bold", pad=3)
        axes.set_xlabel(f"PC 1 ({100 * explained[1]:.0f} %)")
        axes.set_ylabel(f"PC 2 ({100 * explained[2]:.0f} %)")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    for axes in panels[len(layers) :]:
        axes.remove()
    names = {n: class_names[n] if n < len(class_names) else f"class {n}" for n in labels}
    handles = [line_handle(names[label], colours[label]) for label in labels]
    if len(labels) > MOST_LINES:
        handles = [line_handle(f"a colour for each of {len(labels)} classes", MUTED)]
    add_legend(
        grid, [*handles, line_handle("onset", INK, "None", "o"), line_handle("without stimulus: dim", MUTED)]
    )
    return grid.figure


def draw_trajectories(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Draw the principal components in time, of one run."""
    table = dynamics_of_one_run(paths, comparison, "trajectories", COLUMNS)
    table = table[table["component"] <= 2].reset_index(drop=True)
    with style.context():
        names = names_of_classes(paths, comparison.conditions[comparison.base or 0].config)
        figure = trajectories_figure(table, style, legible_names(names))
    return Drawn("trajectories", figure, table, trajectories_caption(table))


def trajectories_caption(table: pd.DataFrame) -> str:
    """Return the caption of the trajectories."""
    return (
        f"Activity of {table['condition'].iloc[0]} in time, on the first two principal components of each layer over "
        f"{table['image'].nunique()} images, one line an image in the colour of its class. A dot marks stimulus onset; "
        "lines are strong while the stimulus is on. In brackets: part of the variance."
    )
