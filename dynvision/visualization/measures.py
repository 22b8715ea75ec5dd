"""Measures against the swept parameter: a panel a measure, a line a layer.

Conditions share the panels, distinguished by line style and marker, as long as that can be read; beyond, each has a
column of its own, with common y axes. Of more conditions than have room beside each other, one layer is shown, and a line
is a condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynvision.analysis.conditions import NamedExperiment
from dynvision.analysis.metrics import CLASSIFIER_LAYER
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.tables import levels
from dynvision.visualization.axes import (
    LOG_AXIS,
    is_logarithmic,
    measure_label,
    set_measure_axis,
    set_parameter_axis,
)
from dynvision.visualization.layout import Grid, condition_blocks, panel_grid, quantity_blocks
from dynvision.visualization.legend import (
    add_conditions,
    add_legend,
    band_sentence,
    capital,
    definition,
    line_handle,
)
from dynvision.visualization.names import Comparison, Row, swept_label, words_of
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import (
    BAND_ALPHA,
    INK,
    LINE_STYLES,
    MARKERS,
    PAPER,
    Style,
    condition_colours,
)
from dynvision.visualization.tables import ExperimentTables, focus_layer

MOST_LINES = 8  # in one panel
MOST_APART = 12  # conditions that have panels of their own
MOST_COLUMNS = 3  # of panels, where conditions share them
HEAVIEST = 1.8  # weight of the lowest of many lines, where one hides another
SAME = 0.02  # of the largest value: what the eye cannot distinguish
MOST_MARKERS = 20  # of a line; beyond, intervals are a band
SHARED_SIZE = (1.75, 1.3)  # inches
COLUMN_HEIGHT = 1.05


def intervals_drawn(n_values: int, connected: bool = True) -> str:
    """Return how the intervals of a measure are drawn at so many values: ``bands`` or ``vertical bars``."""
    return "bands" if connected and n_values > MOST_MARKERS else "vertical bars"


def draw_measure(
    axes: Axes,
    table: pd.DataFrame,
    colour: str,
    look: int = 0,
    emphasis: bool = False,
    weight: float = 1.0,
    connected: bool = True,
) -> None:
    """Draw one measure of one layer and condition against the parameter.

    Args:
        axes: where to draw.
        table: columns `value`, `mean`, `low`, `high`.
        colour: of the line.
        look: number of the line style and marker.
        emphasis: draw it heavier and on top.
        weight: of line and markers; what is drawn below others has more of it, so that it is seen where values are equal.
        connected: whether a line connects the values, which it does not where they are categories.
    """
    line = table.sort_values("value")
    value, mean, low, high = (line[name].to_numpy(dtype=float) for name in ("value", "mean", "low", "high"))
    many = intervals_drawn(len(value), connected) == "bands"
    if many:
        axes.fill_between(value, low, high, color=colour, alpha=BAND_ALPHA, linewidth=0)
    else:
        axes.vlines(value, low, high, color=colour, linewidth=0.9 * weight, alpha=0.7)
    axes.plot(
        value,
        mean,
        color=colour,
        linestyle=LINE_STYLES[look % len(LINE_STYLES)] if connected else "None",
        marker="" if many else MARKERS[look % len(MARKERS)],
        markerfacecolor=colour if look % 2 == 0 else PAPER,
        linewidth=(1.8 if emphasis else 1.2) * weight,
        markersize=rcParams["lines.markersize"] * weight,
        zorder=3 if emphasis else 2,
        clip_on=False,  # markers at the end of an axis are whole
    )


def measures_figure(
    table: pd.DataFrame,
    rows: Sequence[Row],
    style: Style,
    parameter_label: str,
    focus_layer: str = "",
    colours: Sequence[Mapping[str, str]] = (),
) -> Figure:
    """Draw all measures.

    Args:
        table: columns `condition`, `layer`, `measure`, `value`, `mean`, `low`, `high`.
        rows: the conditions that stand beside each other, with their titles.
        style: colours, names and order.
        parameter_label: the swept parameter with its unit.
        focus_layer: the layer to show first and heavier; empty for none.
        colours: of the conditions of each row, for conditions that are lines.
    """
    measures = levels(table["measure"])
    if _are_lines(rows):
        return _lines_of_conditions(table, rows, colours, measures, parameter_label)
    layers = [layer for layer in style.ordered(table["layer"].unique()) if layer != CLASSIFIER_LAYER]
    of_layer = style.depths(layers) | {CLASSIFIER_LAYER: INK}
    layers.sort(key=lambda layer: layer != focus_layer)
    handles = [line_handle(style.name(layer), of_layer[layer]) for layer in layers]
    titles = dict(item for row in rows for item in row.titles.items())
    if len(layers) * len(titles) <= MOST_LINES:
        grid, panels = _shared_panels(measures, list(titles), parameter_label)
        if len(titles) > 1:
            handles += [
                line_handle(
                    name,
                    line=LINE_STYLES[n % len(LINE_STYLES)],
                    marker=MARKERS[n % len(MARKERS)],
                    filled=n % 2 == 0,
                )
                for n, name in enumerate(titles)
            ]
        looks = {name: n for n, name in enumerate(titles)}
        free = grid.panels.ravel()[len(measures) :]
    else:
        grid, panels = _a_column_each(measures, rows, parameter_label, table["value"].to_numpy())
        looks = dict.fromkeys(titles, 0)
        free = np.empty(0)
    connected = not words_of(parameter_label)
    for measure, condition, axes in panels:
        drawn = table[table["measure"] == measure]
        of_panel = drawn[drawn["condition"] == condition]
        present = [layer for layer in [CLASSIFIER_LAYER, *layers] if layer in set(of_panel["layer"])]
        below = len(present) * (max(looks.values()) - looks[condition])  # lines that are drawn on top
        most = max(1, len(present) * (max(looks.values()) + 1) - 1)
        heaviest = HEAVIEST if hides_a_line(drawn) else 1.0
        for number, layer in enumerate(present):
            weight = 1 + (heaviest - 1) * (below + len(present) - 1 - number) / most
            line = of_panel[of_panel["layer"] == layer]
            draw_measure(
                axes, line, of_layer[layer], looks[condition], layer == focus_layer, weight, connected
            )
        set_measure_axis(axes, measure, drawn)
        set_parameter_axis(axes, table["value"].to_numpy(), parameter_label)
    add_legend(grid, handles, cell=free[0] if len(free) else None)
    for axes in free:
        axes.remove()
    return grid.figure


def hides_a_line(drawn: pd.DataFrame) -> bool:
    """Return whether two layers or conditions have the same measure throughout, as far as the eye can tell.

    Args:
        drawn: columns `condition`, `layer`, `value`, `mean`, of one measure.
    """
    lines = drawn.pivot(index=["condition", "layer"], columns="value", values="mean").to_numpy()
    scale = np.nanmax(np.abs(lines), initial=0.0)
    a, b = lines[:, None], lines[None]
    absent = np.where(np.isnan(a) & np.isnan(b), 0.0, np.inf)  # two lines without a value there are not apart
    difference = np.where(np.isnan(a) | np.isnan(b), absent, np.abs(a - b))
    apart = difference.max(axis=-1)[np.triu_indices(len(lines), 1)]
    return bool((apart <= SAME * scale).any())


def one_layer(table: pd.DataFrame, experiment: NamedExperiment, style: Style) -> pd.DataFrame:
    """Return the rows of the focus layer, or of the first one where there is none, and of the classifier."""
    chosen = focus_layer(table, experiment, style)
    return table[table["layer"].isin([chosen, CLASSIFIER_LAYER])].reset_index(drop=True)


def _lines_of_conditions(
    table: pd.DataFrame,
    rows: Sequence[Row],
    colours: Sequence[Mapping[str, str]],
    measures: list[str],
    parameter_label: str,
) -> Figure:
    """Draw a block for each row of conditions, a panel for each measure and a line for each condition, of one layer."""
    grid, panels = quantity_blocks(rows, len(measures), SHARED_SIZE)
    for row, of_row, axes_of_row, block in zip(rows, colours, panels, grid.blocks, strict=True):
        for axes, measure in zip(axes_of_row, measures, strict=True):
            drawn = table[table["measure"] == measure]
            for condition in row.titles:
                of_condition = drawn[drawn["condition"] == condition]
                draw_measure(axes, of_condition, of_row[condition], connected=not words_of(parameter_label))
            axes.set_ylabel(measure_label(measure))
            axes.set_xlabel(parameter_label)
            set_measure_axis(axes, measure, drawn)
            set_parameter_axis(axes, table["value"].to_numpy(), parameter_label)
        add_conditions(grid, row.titles, of_row, block)
    return grid.figure


Panels = list[tuple[str, str, Axes]]  # measure, condition, where


def _shared_panels(measures: list[str], conditions: list[str], parameter_label: str) -> tuple[Grid, Panels]:
    """Lay out a panel for each measure, which all conditions share."""
    n_columns = min(len(measures), MOST_COLUMNS)
    grid = panel_grid(-(-len(measures) // n_columns), n_columns, *SHARED_SIZE, gap=(0.62, 0.55))
    panels: Panels = []
    for measure, axes in zip(measures, grid.panels.ravel(), strict=False):
        axes.set_ylabel(measure_label(measure))
        axes.set_xlabel(parameter_label)
        panels += [(measure, condition, axes) for condition in conditions]
    return grid, panels


def _a_column_each(
    measures: list[str], rows: Sequence[Row], parameter_label: str, values: np.ndarray
) -> tuple[Grid, Panels]:
    """Lay out a row for each measure and a column for each condition."""
    grid, shown = condition_blocks(rows, len(measures), SHARED_SIZE[0], COLUMN_HEIGHT, row_gap=0.2)
    logarithmic = is_logarithmic(values) and not words_of(parameter_label)
    grid.label_below(f"{parameter_label}{LOG_AXIS}" if logarithmic else parameter_label)
    panels: Panels = []
    for block, row in zip(grid.blocks, shown, strict=True):
        block.hide_inner_labels()
        for line, measure in zip(block.panels, measures, strict=True):
            line[0].set_ylabel(measure_label(measure))
            panels += [(measure, condition, axes) for condition, axes in zip(row.titles, line, strict=True)]
    return grid, panels


def draw_measures(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Draw the experiment's measures and the accuracies; of a large sweep, those of one layer."""
    table, label = tables.measures(comparison), swept_label(tables.experiment.config, style)
    focus = tables.experiment.config.focus_layer
    if of_conditions := _are_lines(comparison.rows):
        table = one_layer(table, tables.experiment, style)
    colours = [condition_colours(comparison, style, row) for row in comparison.rows]
    with style.context():
        figure = measures_figure(table, comparison.rows, style, label, focus, colours)
    return Drawn("measures", figure, table, measures_caption(table, label, of_conditions))


def measures_caption(table: pd.DataFrame, parameter_label: str, of_conditions: bool = False) -> str:
    """Return the caption of the figure of measures, with the definition of each.

    Args:
        table: as it was drawn.
        parameter_label: the swept parameter with its unit.
        of_conditions: whether a line is a condition, and not a layer.
    """
    measures = levels(table["measure"])
    definitions = " ".join(
        f"{capital(MEASURES[name].label)}: {definition(name, table[table['measure'] == name])}."
        for name in measures
    )
    layers = [layer for layer in levels(table["layer"]) if layer != CLASSIFIER_LAYER]
    lines = f"condition, of {' and '.join(layers)}" if of_conditions else "layer"
    hidden = any(hides_a_line(drawn) for _, drawn in table.groupby("measure", observed=True))
    heavier = (
        "Where lines have the same values, those below are heavier. " if hidden and not of_conditions else ""
    )
    drawn = intervals_drawn(table["value"].nunique(), not words_of(parameter_label))
    return (
        f"Measures of the responses against {parameter_label}, one panel for each measure and one line for each "
        f"{lines}; accuracies are those of the classifier. {definitions} {heavier}{band_sentence(table, drawn)}"
    )


def _are_lines(rows: Sequence[Row]) -> bool:
    """Return whether conditions are lines in common panels, because there are too many for panels of their own."""
    return len(rows) > 1 or sum(len(row.titles) for row in rows) > MOST_APART
