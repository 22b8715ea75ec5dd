"""Which classes are taken for which: a panel a condition, a row a class that was shown, a column a guess."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from dynvision.visualization.layout import condition_blocks
from dynvision.visualization.names import Comparison, Row, at_value, swept_label, value_label
from dynvision.visualization.save import Drawn, legible_names
from dynvision.visualization.style import INK, PAPER, Style
from dynvision.visualization.tables import ExperimentTables, some_values

WIDEST = 2.2  # inches: side of a panel
MOST_NAMES = 12  # classes that are named at the axes
MOST_NUMBERS = 12  # classes whose cells have their number
SIZE, DIGIT = 6.5, 0.0575  # points of a number, and inches of one of its digits
DARK = 0.55  # fraction above which a number is light
MAP = LinearSegmentedColormap.from_list("fraction", [PAPER, "#00224e"])


def draw_matrix(axes: Axes, table: pd.DataFrame, names: Sequence[str]) -> None:
    """Draw one matrix.

    Args:
        axes: where to draw.
        table: columns `label`, `guess` (classes by number), `mean`.
        names: of the classes, by number.
    """
    matrix = table.pivot(index="label", columns="guess", values="mean").fillna(0.0)
    values = matrix.to_numpy()
    axes.pcolormesh(
        values,
        cmap=MAP,
        norm=Normalize(0, 1),
        rasterized=values.size > 2500,
    )
    if max(values.shape) <= MOST_NUMBERS:
        _write_numbers(axes, values)
    axes.set_ylim(len(matrix), 0)
    axes.set_xlim(0, values.shape[1])
    axes.set_facecolor(PAPER)
    for spine in axes.spines.values():
        spine.set_visible(True)
    for axis, classes in ((axes.xaxis, matrix.columns), (axes.yaxis, matrix.index)):
        every = -(-len(classes) // MOST_NAMES)
        axis.set_ticks(np.arange(0, len(classes), every) + 0.5, [names[int(n)] for n in classes[::every]])
        axis.set_tick_params(length=0, labelsize=6)
    if max(len(names[int(n)]) for n in matrix.columns) > 2:
        axes.tick_params(axis="x", rotation=90)


def _write_numbers(axes: Axes, values: np.ndarray) -> None:
    """Write the percentage into each cell that is not 0, as large as it fits."""
    width = axes.get_position().width * axes.get_figure(root=True).get_figwidth()  # type: ignore[union-attr]
    size = min(SIZE, 0.85 * SIZE * width / values.shape[1] / (3 * DIGIT))
    for row, column in zip(*np.nonzero(values), strict=True):
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{100 * values[row, column]:.0f}",
            ha="center",
            va="center",
            fontsize=size,
            color=PAPER if values[row, column] > DARK else INK,
        )


def confusion_figure(table: pd.DataFrame, rows: Sequence[Row], class_names: Sequence[str]) -> Figure:
    """Draw the matrices of all panels.

    Args:
        table: columns `panel`, `label`, `guess`, `mean`.
        rows: the panels that stand beside each other, with their titles.
        class_names: of the classes, by number.
    """
    grid, shown = condition_blocks(
        rows, 1, WIDEST, None, room=0.4 + 0.06 * min(15, max(map(len, class_names)))
    )
    for block, row in zip(grid.blocks, shown, strict=True):
        for axes, panel in zip(block.panels[0], row.titles, strict=True):
            draw_matrix(axes, table[table["panel"] == panel], class_names)
        block.panels[0, 0].set_ylabel("class shown")
        block.hide_inner_labels()
    for axes in grid.blocks[-1].panels[0]:
        axes.set_xlabel("class guessed")
    place = grid.right + 0.15 / grid.figure.get_figwidth()
    first = grid.panels[0, 0].get_position()
    bar = grid.figure.add_axes((place, first.y0, 0.1 / grid.figure.get_figwidth(), first.height))
    mesh = grid.panels[0, 0].collections[0]
    ticks = grid.figure.colorbar(mesh, cax=bar, label="images of a class (%)").ax
    ticks.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    ticks.minorticks_off()
    return grid.figure


def draw_confusion(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Draw which classes are taken for which: at three values of one condition, or at the highest value of several."""
    keys = ["parameter", "value", "label", "guess"]
    averaged = comparison.average(tables.confusions, keys)
    label = swept_label(tables.experiment.config, style)
    if len(comparison.labels) == 1:
        values = some_values(averaged["value"])
        table = averaged[averaged["value"].isin(values)].reset_index(drop=True)
        panels = {value_label(value): at_value(label, value) for value in values}
        table["panel"] = [value_label(value) for value in table["value"]]
        rows: tuple[Row, ...] = (Row("", panels),)
    else:
        table = averaged[averaged["value"] == averaged["value"].max()].reset_index(drop=True)
        table["panel"] = table["condition"]
        rows = comparison.rows
    with style.context():
        figure = confusion_figure(table, rows, legible_names(tables.class_names))
    return Drawn("confusion", figure, table, confusion_caption(table, label))


def confusion_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Return the caption of the confusion matrices."""
    where = (
        f"at {at_value(parameter_label, float(table['value'].iloc[0]))}"
        if table["value"].nunique() == 1
        else f"at several values of {parameter_label}"
    )
    seeds = ", averaged over seeds" if table["n_seeds"].max() > 1 else ""
    return (
        f"Part of the images of a class (rows) that are taken for a class (columns), {where}, at the moment of the highest "
        f"accuracy{seeds}. The scale is linear; numbers are percentages, and cells without one are 0."
    )
