"""What figures over time share: lines with their bands, the axis of time, and bars that show when the stimulus is on.

A mask, or another image of a sequence, is a hatched bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MultipleLocator

from dynvision.analysis.courses import what_was_shown
from dynvision.visualization.layout import Grid
from dynvision.visualization.legend import MOST_BANDS
from dynvision.visualization.names import value_label
from dynvision.visualization.style import BAND_ALPHA, GUIDE, PAPER, STIMULUS

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
