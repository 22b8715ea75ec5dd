"""An experiment on one page: all layers at one value of the parameter, one layer at all values, and its main measure.

Layers stand above each other, each scaled to its own maximum, so that their time courses can be compared. Where the
measure is known of cortex, it stands beside the network's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dynvision.analysis.conditions import Condition
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.scorecard.targets import cortex_course
from dynvision.analysis.time_grid import sample_interval
from dynvision.visualization.axes import (
    TIME_LABEL,
    draw_courses,
    draw_stimulus,
    mark_onset,
    measure_label,
    n_bars,
    set_measure_axis,
    set_parameter_axis,
    stimulus_handles,
    top_of,
)
from dynvision.visualization.layout import panel_grid
from dynvision.visualization.legend import (
    CORTEX,
    add_legend_below,
    add_values,
    band_sentence,
    course_band_sentence,
    definition,
    line_handle,
    stimulus_sentence,
)
from dynvision.visualization.measures import draw_measure, intervals_drawn
from dynvision.visualization.names import Comparison, at_value, swept_label, words_of
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import INK, MUTED, Style, condition_colours
from dynvision.visualization.tables import ExperimentTables, focus_layer, focus_measure

SIZE = (1.75, 2.1)  # inches
STEP = 1.15  # between layers, in maxima
FILL = 0.25
MOST_ROOM = 8  # stimulus bars for which the strip of a single one has room
MOST_LINES = 8  # conditions that have a colour of their own


def draw_ridge(axes: Axes, table: pd.DataFrame, layers: list[str], style: Style) -> None:
    """Draw the layers above each other, the first on top, each scaled to its maximum.

    Args:
        axes: where to draw.
        table: columns `layer`, `time_ms`, `mean`, of one value.
        layers: in their order.
        style: colours and names.
    """
    colours = style.depths(layers)
    for place, layer in enumerate(reversed(layers)):
        line = table[table["layer"] == layer]
        mean = line["mean"].to_numpy(dtype=float)
        highest = np.nanmax(mean, initial=0.0)
        scaled = STEP * place + (mean / highest if highest > 0 else mean)
        axes.fill_between(
            line["time_ms"], STEP * place, scaled, color=colours[layer], alpha=FILL, linewidth=0
        )
        axes.plot(line["time_ms"], scaled, color=colours[layer])
    axes.set_ylim(-0.05, STEP * len(layers))
    axes.set_yticks(
        [STEP * place for place in range(len(layers))], [style.name(layer) for layer in layers[::-1]]
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def dynamics_figure(
    courses: pd.DataFrame,
    measures: pd.DataFrame,
    style: Style,
    parameter_label: str,
    focus_layer: str,
    colours: Mapping[str, str],
    shown: str,
    cortex: pd.DataFrame | None = None,
) -> Figure:
    """Draw the panels.

    Args:
        courses: columns `layer`, `value`, `time_ms`, `stimulus_on`, `mask_on`, `mean`, `low`, `high`, of the condition
            that is shown.
        measures: columns `condition`, `measure`, `value`, `mean`, `low`, `high`, of the focus layer and one measure.
        style: colours, names and order.
        parameter_label: the swept parameter with its unit.
        focus_layer: the layer of the second and third panel.
        colours: of the conditions.
        shown: the condition of the first two panels.
        cortex: the measure in cortex: columns `value`, `mean`, `low`, `high`, `area`; None where it is not known.
    """
    layers = style.ordered(courses["layer"].unique())
    values = np.unique(courses["value"])
    middle = float(values[len(values) // 2])
    sequence = style.sequential(values)
    bars = n_bars(courses)
    grid = panel_grid(1, 3 + (cortex is not None), *SIZE, gap=(0.62, 0.0), n_bars=bars)
    ridge, focus, of_measure = grid.panels[0, :3]
    at_middle = courses[courses["value"] == middle]
    draw_ridge(ridge, at_middle, layers, style)
    draw_stimulus(grid.blocks[0].strips[0], at_middle, sequence, min(bars, MOST_ROOM))
    grid.blocks[0].strips[0].set_title(f"all layers, {at_value(parameter_label, middle)}", pad=4)
    of_focus = courses[courses["layer"] == focus_layer]
    draw_courses(focus, of_focus, sequence)
    draw_stimulus(grid.blocks[0].strips[1], of_focus, sequence)
    grid.blocks[0].strips[1].set_title(style.name(focus_layer), fontweight="bold", pad=4)
    focus.set_ylim(0, top_of(of_focus))
    focus.yaxis.set_major_locator(MaxNLocator(nbins=5))
    focus.set_ylabel("mean response, |r| (a.u.)")
    times = np.unique(courses["time_ms"])
    dt = sample_interval(times)
    for axes in (ridge, focus, *grid.blocks[0].strips[:2]):
        axes.set_xlim(times[0] - dt, times[-1])
    for axes in (ridge, focus):
        mark_onset(axes, dt)
        axes.set_xlabel(TIME_LABEL)
    legend = add_values(grid, sequence, parameter_label)
    legend = add_legend_below(grid, stimulus_handles(courses), legend)
    many = len(colours) > MOST_LINES
    for condition, line in measures.groupby("condition", sort=False):
        own = condition == shown
        colour = (INK if own else MUTED) if many else colours[str(condition)]
        draw_measure(
            of_measure,
            line,
            colour,
            emphasis=own and len(colours) > 1,
            connected=not words_of(parameter_label),
        )
    if len(colours) > 1:
        handles = [line_handle(name, colour) for name, colour in colours.items()]
        if many:
            handles = [line_handle(shown, INK), line_handle("other conditions", MUTED)]
        add_legend_below(grid, handles, legend)
    name = str(measures["measure"].iloc[0])
    both = measures if cortex is None else pd.concat([measures, cortex], ignore_index=True)  # equal axes
    if cortex is not None:
        draw_measure(grid.panels[0, 3], cortex, INK)
        _set_measure(grid.panels[0, 3], both, name, parameter_label)
        grid.blocks[0].strips[3].set_title(f"cortex, {cortex['area'].iloc[0]}", pad=4)
    _set_measure(of_measure, both, name, parameter_label)
    grid.blocks[0].strips[2].set_title(style.name(focus_layer), fontweight="bold", pad=4)
    return grid.figure


def _set_measure(axes: Axes, table: pd.DataFrame, measure: str, parameter_label: str) -> None:
    axes.set_ylabel(measure_label(measure, " "))
    axes.set_xlabel(parameter_label)
    set_measure_axis(axes, measure, table, most_ticks=5)
    set_parameter_axis(axes, table["value"].to_numpy(), parameter_label)


def draw_dynamics(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Draw all layers, one layer at all values, and its main measure, beside cortex where that is known.

    The table has the courses, then the measure, then the measure in cortex.
    """
    courses = tables.courses(comparison)
    shown = comparison.labels[comparison.base or 0]
    courses = courses[courses["condition"] == shown].reset_index(drop=True)
    layer = focus_layer(courses, tables.experiment, style)
    metrics = tables.measures(comparison)
    measure = focus_measure(metrics, tables.experiment, style)
    measures = metrics[(metrics["measure"] == measure) & (metrics["layer"] == layer)].reset_index(drop=True)
    cortex = _cortex(
        tables.experiment.name, comparison.conditions[comparison.base or 0], layer, measure, style
    )
    label = swept_label(tables.experiment.config, style)
    colours = condition_colours(comparison, style)
    with style.context():
        figure = dynamics_figure(courses, measures, style, label, layer, colours, shown, cortex)
    parts = [courses.assign(measure="response"), measures]
    if cortex is not None:
        parts.append(cortex.assign(condition=CORTEX, layer=cortex["area"], measure=measure))
    table = pd.concat(parts, ignore_index=True)
    return Drawn("dynamics", figure, table, dynamics_caption(table, label))


def _cortex(
    experiment: str, condition: Condition, layer: str, measure: str, style: Style
) -> pd.DataFrame | None:
    """Return the measure in cortex, of the protocol and the areas that the scorecard assigns to experiment and layer."""
    areas = style.scorecard.areas_of(condition.config.model.name)
    return cortex_course(style.scorecard.protocol_of(experiment), measure, areas.get(layer, ()))


def dynamics_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Return the caption of the summary on one page, from the courses and the measure."""
    courses = table[table["measure"] == "response"]
    measured = table[(table["measure"] != "response") & (table["condition"] != CORTEX)]
    measure, layer = str(measured["measure"].iloc[0]), str(measured["layer"].iloc[0])
    several = measured["condition"].nunique() > 1
    whose = f" of {courses['condition'].iloc[0]}" if several else ""
    lines = ", one line for each condition" if several else ""
    return (
        f"Left: the layers{whose} above each other, each scaled to its own maximum, so that their time courses can be "
        f"compared. Middle: the response of {layer} at each value of {parameter_label}. Right: {MEASURES[measure].label} "
        f"of {layer}{lines}; it is the {definition(measure, measured)}.{_beside(table)} "
        f"{stimulus_sentence(courses, parameter_label)} {_intervals(table, parameter_label)}"
    )


def _intervals(table: pd.DataFrame, parameter_label: str) -> str:
    """Return what intervals show: bands of the courses, and bands or vertical bars of the measure."""
    courses = table[table["measure"] == "response"]
    measured = table[(table["measure"] != "response") & (table["condition"] != CORTEX)]
    drawn = intervals_drawn(measured["value"].nunique(), not words_of(parameter_label))
    of_courses, of_measure = course_band_sentence(courses), band_sentence(measured, drawn)
    return of_courses if of_courses == of_measure else f"Middle: {of_courses} Right: {of_measure}"


def _beside(table: pd.DataFrame) -> str:
    cortex = table[table["condition"] == CORTEX]
    if cortex.empty:
        return ""
    return f" Far right: the same in {cortex['layer'].iloc[0]} of cortex, {cortex['source'].iloc[0]}."
