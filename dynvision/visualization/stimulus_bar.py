"""Bars that show when the stimulus is on, and, hatched, when a mask or another image of a row is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from dynvision.analysis.courses import what_was_shown
from dynvision.visualization.style import PAPER, STIMULUS

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
    """The bars that :func:`draw_stimulus` draws."""
    return len(what_was_shown(table))


def stimulus_handles(table: pd.DataFrame) -> list[Patch]:
    """Image and mask as they appear in a legend; none where there is no mask, since a bar then is the stimulus."""
    if "mask_on" not in table or not table["mask_on"].any():
        return []
    return [
        Patch(color=STIMULUS, linewidth=0, label="image on"),
        Patch(**_masked(STIMULUS), label="mask or other image"),
    ]


def _masked(colour: str) -> dict[str, Any]:
    return {"facecolor": PAPER, "edgecolor": colour, "hatch": HATCH, "linewidth": EDGE}
