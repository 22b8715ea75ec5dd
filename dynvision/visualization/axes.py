"""The axes of the swept parameter, of a measure and of time, and what stands along time: courses and stimulus bars.

Parameter: linear or logarithmic, ticks at the values themselves. Measure: fractions from 0 to 1, others from 0 on, and
further where values lie further. Courses are lines with their bands. A bar shows when the stimulus is on; a mask, or
another image of a sequence, is a hatched bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator, MultipleLocator, NullFormatter, NullLocator

from dynvision.analysis.courses import what_was_shown
from dynvision.analysis.registry import MEASURES
from dynvision.visualization.layout import Grid
from dynvision.visualization.legend import MOST_BANDS
from dynvision.visualization.names import value_label, words_of
from dynvision.visualization.style import BAND_ALPHA, GUIDE, PAPER, STIMULUS

MOST_TICKS = 20  # at the values themselves; of more values, the axis has round ones
LOG_AXIS = ", log axis"
MARGIN = 0.06  # of the span, on either side
CHARACTER = 0.064  # inches: width of a digit of a tick label
SPACE = 0.06  # inches: least space between tick labels


def is_logarithmic(values: np.ndarray) -> bool:
    """Return whether the axis should be logarithmic: more than a decade, and more even in ratio than in difference."""
    ascending = np.unique(values)
    if len(ascending) < 3 or ascending[0] <= 0 or ascending[-1] / ascending[0] <= 10:
        return False
    steps, ratios = np.diff(ascending), np.diff(np.log(ascending))
    return bool(ratios.std() / ratios.mean() < steps.std() / steps.mean())


def set_parameter_axis(axes: Axes, values: np.ndarray, parameter_label: str = "") -> None:
    """Set scale, limits and ticks of the x axis, and state in its label where it is logarithmic.

    Args:
        axes: the axes, already in its place.
        values: the values that the parameter takes, in any order.
        parameter_label: label of the parameter, which has the words for values that are categories.
    """
    ascending = np.unique(values)
    if words := words_of(parameter_label):
        axes.set_xlim(ascending[0] - 0.5, ascending[-1] + 0.5)
        axes.set_xticks(ascending, [words[value] for value in ascending])
        axes.tick_params(axis="x", length=0)
        return
    logarithmic, label = is_logarithmic(ascending), axes.get_xlabel()
    if logarithmic and label and not label.endswith(LOG_AXIS):  # lines that share axes each come here
        axes.set_xlabel(f"{label}{LOG_AXIS}")
    if logarithmic:
        axes.set_xscale("log")
        position = np.log(ascending)
        margin = MARGIN * (position[-1] - position[0])
        axes.set_xlim(np.exp(position[0] - margin), np.exp(position[-1] + margin))
    else:
        position = ascending
        margin = MARGIN * ((ascending[-1] - ascending[0]) or abs(ascending[0]) or 1.0)
        axes.set_xlim(position[0] - margin, position[-1] + margin)
    if len(ascending) > MOST_TICKS and not logarithmic:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        return
    figure_width = axes.get_figure(root=True).get_figwidth()  # type: ignore[union-attr]
    labelled = labels_with_room(ascending, position, axes.get_position().width * figure_width)
    all_labelled = len(labelled) == len(ascending)
    axes.xaxis.set_minor_locator(NullLocator() if all_labelled else FixedLocator(list(ascending)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(labelled, [value_label(value) for value in labelled])


def labels_with_room(ascending: np.ndarray, position: np.ndarray, width: float) -> list[float]:
    """Return the values to label so that no labels touch: every n-th, or whatever fits where that is more.

    Args:
        ascending: values, (V,).
        position: where they are on the axis, in any unit, (V,).
        width: width of the axis in inches.
    """
    span = float(position[-1] - position[0]) * (1 + 2 * MARGIN) or 1.0
    centre = (position - position[0]) / span * width
    half = np.array([CHARACTER * len(value_label(value)) / 2 for value in ascending])
    greedy: list[int] = []
    for index in range(len(ascending) - 1, -1, -1):
        if not greedy or centre[greedy[-1]] - half[greedy[-1]] - centre[index] - half[index] >= SPACE:
            greedy.append(index)
    for stride in range(1, len(ascending) + 1):
        even = np.arange(len(ascending) - 1, -1, -stride)[::-1]
        room = np.diff(centre[even]) - half[even][1:] - half[even][:-1]
        if (room >= SPACE).all():
            break
    chosen = even if len(even) >= len(greedy) else np.array(greedy[::-1])
    return [float(value) for value in ascending[chosen]]


ROOM = 0.08  # of the range, beyond the outermost value
TOP_OF_FRACTIONS = 1.02


def measure_label(measure: str, between: str = "\n") -> str:
    """Return what the axis states: the measure and, after ``between``, its unit."""
    return f"{MEASURES[measure].label}{between}({MEASURES[measure].unit})"


def set_measure_axis(axes: Axes, measure: str, table: pd.DataFrame, most_ticks: int = 4) -> None:
    """Set limits and ticks of the y axis, with a line at 0 where there are values below.

    Args:
        axes: where the measure is drawn.
        measure: its name.
        table: columns `mean`, `low`, `high`, of all panels that are to have this axis.
        most_ticks: at most so many intervals between ticks.
    """
    values = table[["mean", "low", "high"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    lowest, highest = values.min(initial=0.0), values.max(initial=0.0)
    is_fraction = MEASURES[measure].unit == "fraction"
    if is_fraction and lowest == 0 and highest <= TOP_OF_FRACTIONS:
        axes.set_ylim(0, TOP_OF_FRACTIONS)
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        return
    top = max(highest, 1.0) if is_fraction or lowest == highest else highest
    room = ROOM * (top - lowest)
    axes.set_ylim(lowest - room if lowest < 0 else 0, top + room)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=most_ticks))
    if lowest < 0:
        axes.axhline(0, color=GUIDE, linewidth=0.8, zorder=0)


BAR_HEIGHT = 0.7  # of the distance between bars
HATCH = "/" * 8  # of masks
EDGE = 0.6  # points


def draw_stimulus(axes: Axes, table: pd.DataFrame, colours: Mapping[float, str], room: int = 1) -> None:
    """Draw when the stimulus is on, the lowest value at the bottom.

    Args:
        axes: a flat axes; its x axis is in ms.
        table: columns `value`, `time_ms`, `stimulus_on`, and `mask_on` if there may be masks.
        colours: by value, for bars that differ.
        room: bars for which the axes has room; fewer stand at its bottom.
    """
    rows = what_was_shown(table)
    for row, shown in enumerate(rows):
        colour = STIMULUS if shown.value is None else colours[shown.value]
        bottom = row + (1 - BAR_HEIGHT) / 2
        for start, end in shown.image:
            axes.add_patch(Rectangle((start, bottom), end - start, BAR_HEIGHT, color=colour, linewidth=0))
        for start, end in shown.mask:
            axes.add_patch(Rectangle((start, bottom), end - start, BAR_HEIGHT, **_masked(colour)))
    axes.set_ylim(0, max(len(rows), room))


def n_bars(table: pd.DataFrame) -> int:
    """Return the number of bars that :func:`draw_stimulus` draws."""
    return len(what_was_shown(table))


def stimulus_handles(table: pd.DataFrame) -> list[Patch]:
    """Return image and mask as they appear in a legend; none where there is no mask, since a bar then is the stimulus."""
    if "mask_on" not in table or not table["mask_on"].any():
        return []
    return [
        Patch(color=STIMULUS, linewidth=0, label="image on"),
        Patch(**_masked(STIMULUS), label="mask or other image"),
    ]


def _masked(colour: str) -> dict[str, Any]:
    return {"facecolor": PAPER, "edgecolor": colour, "hatch": HATCH, "linewidth": EDGE}


TIME_LABEL = "time from stimulus onset (ms)"


def top_of(table: pd.DataFrame) -> float:
    """Return the upper end of a y axis from 0 on, of the columns `mean` and `high`."""
    top = np.nanmax(table[["mean", "high"]].to_numpy(), initial=0.0)
    return float(1.06 * top) if np.isfinite(top) and top > 0 else 1.0


def draw_courses(axes: Axes, table: pd.DataFrame, colours: Mapping[float, str]) -> None:
    """Draw one line a value, with its band unless there are too many of them.

    Args:
        axes: where to draw.
        table: columns `value`, `time_ms`, `mean`, `low`, `high`, of one panel.
        colours: by value.
    """
    bands = table["value"].nunique() <= MOST_BANDS
    for value in sorted(table["value"].unique(), reverse=True):  # short lines stay visible on long ones
        line = table[table["value"] == value]
        time, low, high = (line[name].to_numpy() for name in ("time_ms", "low", "high"))
        if bands and np.isfinite(low).any():
            axes.fill_between(time, low, high, color=colours[value], alpha=BAND_ALPHA, linewidth=0)
        axes.plot(time, line["mean"], color=colours[value], label=value_label(value))


def set_time_axis(grid: Grid, time_ms: np.ndarray) -> None:
    """Give all panels and strips the same times, with labels below the last row of each block only.

    Args:
        grid: the panels.
        time_ms: times of the samples, (T,), ascending.
    """
    dt = float(np.min(np.diff(time_ms)))  # conditions may have grids of their own
    for block in grid.blocks:
        for axes in [*block.panels.ravel(), *block.strips]:
            axes.set_xlim(time_ms[0] - dt, time_ms[-1])
        for axes in block.panels.ravel():
            mark_onset(axes, dt)
        block.hide_inner_labels()
    grid.label_below(TIME_LABEL)


def mark_onset(axes: Axes, dt: float) -> None:
    """Draw a line at stimulus onset, and as many ticks as the panel has room for, at round times that were sampled.

    Args:
        axes: in its place, with the limits of its x axis.
        dt: sampling interval in ms.
    """
    axes.axvline(0, color=GUIDE, linewidth=0.6, zorder=0)
    width = axes.get_position().width * axes.get_figure(root=True).get_figwidth()  # type: ignore[union-attr]
    start, end = axes.get_xlim()
    axes.xaxis.set_major_locator(MultipleLocator(round_step((end - start) / max(3, int(width / 0.3)), dt)))


def round_step(least: float, dt: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, ... that is not below `least` and a multiple of dt; else a multiple of dt.

    Args:
        least: in ms.
        dt: sampling interval in ms.
    """
    first = int(np.floor(np.log10(dt)))
    for step in (digit * 10.0**power for power in range(first, first + 8) for digit in (1, 2, 5)):
        if step >= least * (1 - 1e-9) and abs(step / dt - round(step / dt)) < 1e-6:
            return step
    return dt * float(np.ceil(least / dt))
