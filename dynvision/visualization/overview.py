"""What each parameter of the model does: a column a parameter, a row a measure, a line a value of the stimulus.

Around a base only one parameter differs at a time. Without a base, the others are averaged over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynvision.analysis import CLASSIFIER_LAYER
from dynvision.analysis.conditions import comparable
from dynvision.analysis.tables import levels
from dynvision.errors import InputError
from dynvision.visualization.axes import measure_label, set_measure_axis, set_parameter_axis
from dynvision.visualization.layout import panel_blocks
from dynvision.visualization.legend import add_values, count
from dynvision.visualization.measures import draw_measure, one_layer
from dynvision.visualization.names import (
    Comparison,
    is_number,
    level_label,
    model_parameter_label,
    swept_label,
)
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import GUIDE, Style
from dynvision.visualization.tables import ExperimentTables, focus_measure, some_values

SIZE = (1.3, 1.15)  # inches
MOST_MEASURES = 3  # beside the accuracy
MOST_COLUMNS = 5
BAND_CONDITIONS = "range over the other parameters"


def factor_levels(averaged: pd.DataFrame, comparison: Comparison, style: Style) -> pd.DataFrame:
    """Return measures at each level of each parameter of the model.

    Args:
        averaged: columns `condition`, `layer`, `measure`, `value`, `mean`, `low`, `high`, `band`, `n_seeds`, `n_images`.
        comparison: the conditions.
        style: names and order.

    Returns:
        Columns `factor` (a parameter of the model), `level` (its value as it is shown), `number` (its value, or its place
        among names), `numeric`, `is_base`, and those of `averaged` without `condition`.
    """
    differing = [condition.differing for condition in comparison.conditions]
    labels = np.array(comparison.labels)
    parts = []
    for factor in differing[0]:
        members = comparable(differing, factor)
        values = style.ordered(differing[number][factor] for number in members)
        numeric = all(is_number(value) for value in values)
        for place, value in enumerate(values):
            at_level = [number for number in members if repr(differing[number][factor]) == repr(value)]
            rows = averaged[averaged["condition"].isin(labels[at_level])]
            keys = ["measure", "layer", "value"]
            if len(at_level) == 1:
                level = rows.drop(columns="condition")
            else:
                level = rows.groupby(keys, observed=True, sort=False, as_index=False).agg(
                    mean=("mean", "mean"), low=("mean", "min"), high=("mean", "max"),
                    n_seeds=("n_seeds", "min"), n_images=("n_images", "min"),
                )  # fmt: skip
                level["band"] = BAND_CONDITIONS
            about: dict[str, Any] = {
                "factor": factor,
                "level": level_label(factor, value, style),
                "number": float(value) if numeric else float(place),
                "numeric": numeric,
                "is_base": comparison.base in at_level,
            }
            parts.append(level.assign(**about))
    table = pd.concat(parts, ignore_index=True)
    return table[[*about, *(name for name in table if name not in about)]]


def overview_figure(
    table: pd.DataFrame, comparison: Comparison, style: Style, parameter_label: str
) -> Figure:
    """Draw all parameters.

    Args:
        table: as `factor_levels` makes it, of one layer and the classifier.
        comparison: the conditions, for the names of parameters.
        style: colours, names and order.
        parameter_label: the parameter of the stimulus with its unit.
    """
    measures = list(dict.fromkeys(table["measure"].astype(str)))
    factors = list(dict.fromkeys(table["factor"]))
    colours = style.sequential(table["value"].unique())
    columns = [factors[first : first + MOST_COLUMNS] for first in range(0, len(factors), MOST_COLUMNS)]
    names = not table["numeric"].all()
    grid = panel_blocks(
        len(measures), list(map(len, columns)), *SIZE, (0.2, 0.16), between=0.55 + 0.75 * names
    )
    for block, of_block in zip(grid.blocks, columns, strict=True):
        for column, factor in enumerate(of_block):
            of_factor = table[table["factor"] == factor]
            for axes, measure in zip(block.panels[:, column], measures, strict=True):
                if axes is block.panels[-1, column]:
                    axes.set_xlabel(model_parameter_label(factor, comparison.conditions[0].config, style))
                _draw_factor(axes, of_factor[of_factor["measure"] == measure], colours)
                set_measure_axis(axes, measure, table[table["measure"] == measure])
        for axes, measure in zip(block.panels[:, 0], measures, strict=True):
            axes.set_ylabel(measure_label(measure))
        block.hide_inner_labels()
    add_values(grid, colours, parameter_label)
    return grid.figure


def _draw_factor(axes: Axes, table: pd.DataFrame, colours: dict[float, str]) -> None:
    base = table.loc[table["is_base"], "number"]
    if len(base):
        axes.axvline(float(base.iloc[0]), color=GUIDE, linewidth=4, zorder=0)
    for value in sorted(table["value"].unique(), reverse=True):
        line = table[table["value"] == value].drop(columns="value").rename(columns={"number": "value"})
        draw_measure(axes, line, colours[value], connected=bool(table["numeric"].iloc[0]))
    levels = table.drop_duplicates("number")
    if bool(table["numeric"].iloc[0]):
        set_parameter_axis(axes, levels["number"].to_numpy())
    else:
        axes.set_xticks(levels["number"].to_numpy(), list(levels["level"]), rotation=90)
        axes.set_xlim(-0.4, len(levels) - 0.6)


def draw_overview(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Draw what each parameter of the model does to the main measures of one layer and to the accuracy.

    Raises:
        InputError: the runs differ in their seed at most.
    """
    if len(comparison.labels) < 2:
        raise InputError(
            f"the figure overview compares conditions, and the runs of {tables.experiment.name} are of one; leave overview "
            "out of --figures, or run a sweep, e.g. snakemake --config category=rctype"
        )
    metrics = one_layer(tables.measures(comparison), tables.experiment, style)
    of_layer = levels(metrics.loc[metrics["layer"] != CLASSIFIER_LAYER, "measure"])
    first = focus_measure(metrics, tables.experiment, style)
    chosen = [first, *(name for name in of_layer if name != first)][:MOST_MEASURES] + ["accuracy_peak"]
    metrics = metrics[metrics["measure"].isin(chosen) & metrics["value"].isin(some_values(metrics["value"]))]
    metrics = metrics.assign(measure=pd.Categorical(metrics["measure"].astype(str), chosen)).sort_values(
        "measure", kind="stable"
    )
    table, label = factor_levels(metrics, comparison, style), swept_label(tables.experiment.config, style)
    with style.context():
        figure = overview_figure(table, comparison, style, label)
    return Drawn("overview", figure, table, overview_caption(table, label))


def overview_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Return the caption of the overview of a sweep."""
    layers = [layer for layer in levels(table["layer"]) if layer != CLASSIFIER_LAYER]
    how = (
        "Each parameter is varied alone; the grey line marks the network as configured."
        if table["is_base"].any()
        else "Points are means over the other parameters, and vertical bars show the range over them."
        if table["band"].eq(BAND_CONDITIONS).any()
        else ""
    )
    of_seeds = table["n_seeds"].max()
    seeds = (
        f" Means over {count(of_seeds, 'seed')}; bars show the range."
        if of_seeds > 1 and "alone" in how
        else ""
    )
    return (
        f"What the parameters of the model (columns) do to the measures (rows) of {', '.join(layers)} and to the accuracy, "
        f"one line for each of some values of {parameter_label}. {how}{seeds}"
    )
