"""The axes of the swept parameter and of a measure.

Parameter: linear or logarithmic, ticks at the values themselves. Measure: fractions from 0 to 1, others from 0 on, and
further where values lie further.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from dynvision.analysis.registry import MEASURES
from dynvision.visualization.names import value_label, words_of
from dynvision.visualization.style import GUIDE

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
