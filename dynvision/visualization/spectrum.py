"""Eigenvalues of each layer's step in the complex plane, a column a layer, a row a condition.

|lambda| < 1    a disturbance decays: inside the circle
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from dynvision.config.run import RunConfig
from dynvision.runs import ResultPaths
from dynvision.visualization.layout import MOST_COLUMNS, panel_grid, panel_width, wrapped
from dynvision.visualization.legend import add_legend, line_handle
from dynvision.visualization.names import Comparison
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import GUIDE, MUTED, PAPER, Style
from dynvision.visualization.tables import read_dynamics

COLUMNS = ("layer", "point", "real", "imag", "modulus", "time_constant_ms")
POINTS: dict[str, tuple[str, bool]] = {
    "stimulus": ("where the stimulus holds it", True),
    "all_active": ("all units active", False),
}
MOST_SPECTRA = 4  # conditions below each other
MARGIN = 1.12  # of the largest modulus, or of the circle


def draw_eigenvalues(axes: Axes, table: pd.DataFrame, colour: str, reach: float) -> None:
    """Draw the eigenvalues of one layer.

    Args:
        axes: where to draw.
        table: columns `point`, `real`, `imag`.
        colour: of the layer.
        reach: largest modulus of all panels.
    """
    axes.axhline(0, color=GUIDE, linewidth=0.6, zorder=0)
    axes.axvline(0, color=GUIDE, linewidth=0.6, zorder=0)
    axes.add_patch(Circle((0, 0), 1, facecolor="none", edgecolor=MUTED, linewidth=0.8, linestyle="--"))
    for point, (_, filled) in POINTS.items():
        at_point = table[table["point"] == point]
        face = colour if filled else PAPER
        axes.plot(
            at_point["real"],
            at_point["imag"],
            linestyle="",
            marker="o" if filled else "s",
            markersize=4 if filled else 5,
            markerfacecolor=face,
            markeredgecolor=colour,
            zorder=3 if filled else 2,
        )
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])


def spectrum_figure(table: pd.DataFrame, conditions: Sequence[str], style: Style) -> Figure:
    """Draw the spectra of all layers.

    Args:
        table: columns `condition`, `layer`, `point`, `real`, `imag`, `modulus`.
        conditions: from top to bottom.
        style: colours, names and order.
    """
    layers = style.ordered(table["layer"].unique())
    colours = style.depths(layers)
    n_columns = min(len(layers), MOST_COLUMNS)
    n_blocks = -(-len(layers) // n_columns)
    width = panel_width(n_columns, widest=1.7)
    grid = panel_grid(len(conditions) * n_blocks, n_columns, width, width, gap=(0.2, 0.35))
    reach = MARGIN * max(1.0, float(table["modulus"].max()))
    free = set(grid.panels.ravel())
    for row, condition in enumerate(conditions):
        for number, layer in enumerate(layers):
            block, column = divmod(number, n_columns)
            axes = grid.panels[row * n_blocks + block, column]
            free.discard(axes)
            of_panel = table[(table["condition"] == condition) & (table["layer"] == layer)]
            draw_eigenvalues(axes, of_panel, colours[layer], reach)
            axes.set_title(style.name(layer), fontweight="bold", pad=3)
            axes.tick_params(
                labelleft=column == 0, labelbottom=row * n_blocks + block == len(grid.panels) - 1
            )
        if len(conditions) > 1:
            grid.panels[row * n_blocks, 0].set_ylabel(wrapped(condition, 1.6))
    for axes in free:
        axes.remove()
    grid.label_below("real part of an eigenvalue")
    grid.label_left("imaginary part")
    add_legend(
        grid,
        [
            line_handle(label, MUTED, "None", "o" if filled else "s", filled)
            for label, filled in POINTS.values()
        ],
        "linearised",
    )
    return grid.figure


def draw_spectrum(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Leading eigenvalues of each layer, of the first seed of a few conditions, or of the base where there are many."""
    shown = list(range(len(comparison.labels)))
    if len(shown) > MOST_SPECTRA:
        shown = [comparison.base or 0]
    first = [comparison.conditions[number].run_ids[0] for number in shown]
    table = read_dynamics(paths, first, "spectrum", COLUMNS)
    table.insert(0, "condition", [comparison.label_of(run_id) for run_id in table["run_id"]])
    with style.context():
        figure = spectrum_figure(table, [comparison.labels[n] for n in shown], style)
    return Drawn("spectrum", figure, table, spectrum_caption(table))


def spectrum_caption(table: pd.DataFrame) -> str:
    """Return the caption of the spectra."""
    radius = float(table.loc[table["point"] == "all_active", "modulus"].max())
    stable = (
        "All of them are inside the circle, so that each layer alone is stable."
        if radius < 1
        else f"The largest modulus is {radius:.3g}: that layer alone is not stable with all of its units active."
    )
    return (
        "Leading eigenvalues of one step of each layer, leak and recurrent delay included. Inside the dashed circle of "
        "modulus 1 a disturbance decays, and the faster the closer to the centre; off the real axis it oscillates. Filled: "
        "linearised where a test image holds the layer; open: with all units above threshold, the upper bound. "
        f"{stable}"
    )
