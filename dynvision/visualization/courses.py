"""Lines over time with their bands: what figures of responses and of performance share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from dynvision.visualization.captions import MOST_BANDS
from dynvision.visualization.labels import value_label
from dynvision.visualization.layout import Grid
from dynvision.visualization.style import BAND_ALPHA, GUIDE

TIME_LABEL = "time from stimulus onset (ms)"


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
    dt = float(np.min(np.diff(time_ms))) if len(time_ms) > 1 else 1.0
    for block in grid.blocks:
        for axes in [*block.panels.ravel(), *block.strips]:
            axes.set_xlim(time_ms[0] - dt, time_ms[-1])
        for axes in block.panels.ravel():
            mark_onset(axes, dt)
        block.hide_inner_labels()
    grid.label_below(TIME_LABEL)


def mark_onset(axes: Axes, dt: float) -> None:
    """A line at stimulus onset, and as many ticks as the panel has room for, at round times that were sampled.

    Args:
        axes: in its place, with the limits of its x axis.
        dt: sampling interval in ms.
    """
    axes.axvline(0, color=GUIDE, linewidth=0.6, zorder=0)
    width = axes.get_position().width * axes.get_figure(root=True).get_figwidth()  # type: ignore[union-attr]
    start, end = axes.get_xlim()
    axes.xaxis.set_major_locator(MultipleLocator(round_step((end - start) / max(3, int(width / 0.3)), dt)))


def round_step(least: float, dt: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, ... that is not below `least` and a multiple of dt; else a multiple of dt.

    Args:
        least: in ms.
        dt: sampling interval in ms.
    """
    first = int(np.floor(np.log10(dt)))
    for step in (digit * 10.0**power for power in range(first, first + 8) for digit in (1, 2, 5)):
        if step >= least * (1 - 1e-9) and abs(step / dt - round(step / dt)) < 1e-6:
            return step
    return dt * float(np.ceil(least / dt))
