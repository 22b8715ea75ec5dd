"""The y axis of a measure: fractions from 0 to 1, others from 0 on, and further where values lie further."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from dynvision.analysis.registry import MEASURES
from dynvision.visualization.style import GUIDE

ROOM = 0.08  # of the range, beyond the outermost value
TOP_OF_FRACTIONS = 1.02


def measure_label(measure: str, between: str = "\n") -> str:
    """What the axis says: the measure and, after ``between``, its unit."""
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
