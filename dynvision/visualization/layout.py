"""Panels in a grid, sized in inches, so that a panel looks the same whatever the number of panels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TEXT_WIDTH = 7.0  # inches: two columns of a journal
LABEL_BELOW = 0.24  # inches from the panels
LABEL_LEFT = 0.55
STRIP_PER_BAR = 0.055
STRIP_GAP = 0.05
NO_BREAK = "\N{NO-BREAK SPACE}"  # keeps a number and its unit on one line
TITLE_CHARACTER = 0.064  # inches: mean width of a character in a title


@dataclass(frozen=True)
class Grid:
    """A figure with panels.

    Attributes:
        figure: the figure.
        panels: axes, (rows, columns).
        strips: one flat axes above each column for the stimulus, or empty.
        left, right, bottom, top: the outline of panels and strips, in figure coordinates.
    """

    figure: Figure
    panels: np.ndarray
    strips: list[Axes]
    left: float
    right: float
    bottom: float
    top: float

    def hide_inner_labels(self) -> None:
        """Keep tick labels left of the first column and below the last row only."""
        for axes in self.panels[:-1].ravel():
            axes.tick_params(labelbottom=False)
        for axes in self.panels[:, 1:].ravel():
            axes.tick_params(labelleft=False)

    def label_below(self, label: str) -> None:
        """One label of the x axes below all columns."""
        height = self.bottom - LABEL_BELOW / self.figure.get_figheight()
        self.figure.text(
            (self.left + self.right) / 2, height, label, ha="center", va="top", fontsize="medium"
        )

    def label_left(self, label: str) -> None:
        """One label of the y axes left of all rows."""
        place = self.left - LABEL_LEFT / self.figure.get_figwidth()
        centre = (self.bottom + self.top) / 2
        self.figure.text(place, centre, label, rotation=90, ha="right", va="center", fontsize="medium")


def panel_grid(
    n_rows: int,
    n_columns: int,
    width: float,
    height: float,
    gap: tuple[float, float] = (0.15, 0.15),
    n_bars: int = 0,
) -> Grid:
    """Lay out panels.

    Args:
        n_rows: number of rows.
        n_columns: number of columns.
        width: width of a panel in inches.
        height: height of a panel in inches.
        gap: between columns and between rows, in inches.
        n_bars: stimulus bars in the strip above each column; 0 makes no strip.
    """
    margin = 0.6
    strip = n_bars * STRIP_PER_BAR + STRIP_GAP if n_bars else 0.0
    total_width = n_columns * width + (n_columns - 1) * gap[0] + 2 * margin
    total_height = n_rows * height + (n_rows - 1) * gap[1] + strip + 2 * margin
    figure = Figure(figsize=(total_width, total_height))
    FigureCanvasAgg(figure)

    def place(left: float, bottom: float, panel_height: float) -> Axes:
        return figure.add_axes(
            (left / total_width, bottom / total_height, width / total_width, panel_height / total_height)
        )

    panels = np.empty((n_rows, n_columns), dtype=object)
    for row in range(n_rows):
        for column in range(n_columns):
            bottom = margin + (n_rows - 1 - row) * (height + gap[1])
            panels[row, column] = place(margin + column * (width + gap[0]), bottom, height)
    strips = []
    if n_bars:
        bottom = total_height - margin - strip + STRIP_GAP
        for column in range(n_columns):
            axes = place(margin + column * (width + gap[0]), bottom, strip - STRIP_GAP)
            axes.set_axis_off()
            strips.append(axes)
    return Grid(
        figure,
        panels,
        strips,
        left=margin / total_width,
        right=1 - margin / total_width,
        bottom=margin / total_height,
        top=1 - margin / total_height,
    )


def wrapped(title: str, width: float) -> str:
    """A title in lines that fit above a panel of `width` inches."""
    n_characters = max(8, int(width / TITLE_CHARACTER))
    lines = (re.sub(r"= .*$", lambda end: end[0].replace(" ", NO_BREAK), line) for line in title.split("\n"))
    return "\n".join(fill(line, n_characters, break_on_hyphens=False) for line in lines)


def panel_width(n_columns: int, widest: float, narrowest: float = 1.25) -> float:
    """Width of a panel in inches so that the columns fit a page, within bounds."""
    return float(np.clip((TEXT_WIDTH - 1.5) / n_columns - 0.15, narrowest, widest))
