"""Panels in a grid, sized in inches, so that a panel looks the same whatever the number of panels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dynvision.visualization.names import NO_BREAK, Row

MOST_COLUMNS = 6  # of conditions beside each other
MOST_QUANTITIES = 4  # beside each other
NARROWEST = 1.25  # inches: width of a panel
TITLE_PAD = 4.0  # points
TITLE_LINE = 9.6  # points
TEXT_WIDTH = 7.0  # inches: two columns of a journal
LABEL_BELOW = 0.24  # inches from the panels
LABEL_LEFT = 0.55
STRIP_PER_BAR = 0.055
HIGHEST_STRIP = 0.7  # inches, of however many bars
STRIP_GAP = 0.05
TITLE_CHARACTER = 0.064  # inches: mean width of a character in a title


@dataclass(frozen=True)
class Block:
    """Panels with common columns.

    Attributes:
        panels: axes, (rows, columns).
        strips: one flat axes above each column for the stimulus, or empty.
    """

    panels: np.ndarray
    strips: list[Axes]

    def hide_inner_labels(self) -> None:
        """Keep tick labels left of the first column and below the last row only."""
        for axes in self.panels[:-1].ravel():
            axes.tick_params(labelbottom=False)
        for axes in self.panels[:, 1:].ravel():
            axes.tick_params(labelleft=False)


@dataclass(frozen=True)
class Grid:
    """A figure with panels, in blocks one below the other.

    Attributes:
        figure: the figure.
        blocks: its panels.
        left, right, bottom, top: the outline of panels and strips, in figure coordinates.
    """

    figure: Figure
    blocks: list[Block]
    left: float
    right: float
    bottom: float
    top: float

    @property
    def panels(self) -> np.ndarray:
        """The panels of the first block."""
        return self.blocks[0].panels

    def label_below(self, label: str) -> None:
        """Write one label of the x axes below all columns."""
        height = self.bottom - LABEL_BELOW / self.figure.get_figheight()
        self.figure.text(
            (self.left + self.right) / 2, height, label, ha="center", va="top", fontsize="medium"
        )

    def label_left(self, label: str) -> None:
        """Write one label of the y axes left of all rows."""
        place = self.left - LABEL_LEFT / self.figure.get_figwidth()
        centre = (self.bottom + self.top) / 2
        self.figure.text(place, centre, label, rotation=90, ha="right", va="center", fontsize="medium")

    def head(self, block: Block, heading: str) -> None:
        """Write a heading above the titles of a block."""
        axes = block.strips[0] if block.strips else block.panels[0, 0]
        inches = self.figure.get_figheight() * axes.get_position().y1
        lift = (TITLE_PAD + TITLE_LINE * _n_lines(block)) / 72
        self.figure.text(
            self.left,
            (inches + lift) / self.figure.get_figheight(),
            heading,
            ha="left",
            va="bottom",
            fontsize="large",
            fontweight="bold",
        )


def panel_grid(
    n_rows: int,
    n_columns: int,
    width: float,
    height: float,
    gap: tuple[float, float] = (0.15, 0.15),
    n_bars: int = 0,
) -> Grid:
    """Lay out panels in one block.

    Args:
        n_rows: number of rows.
        n_columns: number of columns.
        width: width of a panel in inches.
        height: height of a panel in inches.
        gap: between columns and between rows, in inches.
        n_bars: stimulus bars in the strip above each column; 0 makes no strip.
    """
    return panel_blocks(n_rows, [n_columns], width, height, gap, n_bars)


def panel_blocks(
    n_rows: int,
    columns: Sequence[int],
    width: float,
    height: float,
    gap: tuple[float, float] = (0.15, 0.15),
    n_bars: int = 0,
    between: float = 0.0,
) -> Grid:
    """Lay out panels in blocks one below the other, all with the same rows.

    Args:
        n_rows: number of rows of a block.
        columns: number of columns of each block.
        width: width of a panel in inches.
        height: height of a panel in inches.
        gap: between columns and between rows, in inches.
        n_bars: stimulus bars in the strip above each column; 0 makes no strip.
        between: room between blocks for tick labels and titles, in inches.
    """
    margin, most = 0.6, max(columns)
    strip = min(n_bars * STRIP_PER_BAR, HIGHEST_STRIP) + STRIP_GAP if n_bars else 0.0
    block_height = n_rows * height + (n_rows - 1) * gap[1] + strip
    total_width = most * width + (most - 1) * gap[0] + 2 * margin
    total_height = len(columns) * block_height + (len(columns) - 1) * between + 2 * margin
    figure = Figure(figsize=(total_width, total_height))
    FigureCanvasAgg(figure)

    def place(column: int, bottom: float, panel_height: float) -> Axes:
        left = margin + column * (width + gap[0])
        return figure.add_axes(
            (left / total_width, bottom / total_height, width / total_width, panel_height / total_height)
        )

    blocks = []
    for number, n_columns in enumerate(columns):
        top = total_height - margin - number * (block_height + between)
        panels = np.empty((n_rows, n_columns), dtype=object)
        for row, column in np.ndindex(panels.shape):
            panels[row, column] = place(column, top - strip - row * (height + gap[1]) - height, height)
        strips = [
            place(column, top - strip + STRIP_GAP, strip - STRIP_GAP)
            for column in range(n_columns if n_bars else 0)
        ]
        for axes in strips:
            axes.set_axis_off()
        blocks.append(Block(panels, strips))
    return Grid(
        figure,
        blocks,
        left=margin / total_width,
        right=1 - margin / total_width,
        bottom=margin / total_height,
        top=1 - margin / total_height,
    )


def fitted_rows(rows: Sequence[Row], most: int) -> list[Row]:
    """Return rows of at most so many conditions; longer ones are divided evenly, and the first part has the heading."""
    fitted = []
    for row in rows:
        titles = list(row.titles.items())
        n_parts = -(-len(titles) // most)
        length = -(-len(titles) // n_parts)
        parts = [dict(titles[first : first + length]) for first in range(0, len(titles), length)]
        fitted += [Row(row.heading if part is parts[0] else "", part) for part in parts]
    return fitted


def condition_blocks(
    rows: Sequence[Row],
    n_rows: int,
    widest: float,
    height: float | None,
    n_bars: int = 0,
    row_gap: float = 0.15,
    room: float = 0.36,
) -> tuple[Grid, list[Row]]:
    """Lay out a block for each row of conditions, a column for each condition, with titles and headings.

    Args:
        rows: the conditions that stand beside each other.
        n_rows: rows of panels in a block.
        widest: width of a panel in inches where there is enough room.
        height: height of a panel in inches; None makes it a square.
        n_bars: stimulus bars in the strip above each column.
        row_gap: between the rows of a block, in inches.
        room: for tick labels below a block, in inches.

    Returns:
        The panels, and what each block shows.
    """
    shown = fitted_rows(rows, MOST_COLUMNS)
    width = panel_width(max(len(row.titles) for row in shown), widest)
    titles = [[wrapped(title, width) for title in row.titles.values()] for row in shown]
    lines = max(title.count("\n") + 1 for part in titles for title in part)
    between = room + (lines + any(row.heading for row in shown)) * TITLE_LINE / 72 + 0.08
    columns = [len(row.titles) for row in shown]
    grid = panel_blocks(n_rows, columns, width, height or width, (0.15, row_gap), n_bars, between)
    for block, row, part in zip(grid.blocks, shown, titles, strict=True):
        for axes, title in zip(block.strips or block.panels[0], part, strict=True):
            axes.set_title(title, pad=TITLE_PAD)
        if row.heading:
            grid.head(block, row.heading)
    return grid, shown


def quantity_blocks(
    rows: Sequence[Row], n_panels: int, size: tuple[float, float]
) -> tuple[Grid, list[list[Axes]]]:
    """Lay out a block for each row of conditions and a panel for each quantity, where conditions are lines.

    Args:
        rows: the conditions that share panels.
        n_panels: number of quantities.
        size: width and height of a panel in inches.

    Returns:
        The grid, and the panels of each block.
    """
    n_rows = -(-n_panels // MOST_QUANTITIES)
    n_columns = -(-n_panels // n_rows)
    grid = panel_blocks(n_rows, [n_columns] * len(rows), *size, (0.62, 0.55), between=0.85)
    panels = [list(block.panels.ravel()) for block in grid.blocks]
    for block, row, axes in zip(grid.blocks, rows, panels, strict=True):
        if row.heading:
            grid.head(block, row.heading)
        for free in axes[n_panels:]:
            free.remove()
    return grid, [axes[:n_panels] for axes in panels]


def _n_lines(block: Block) -> int:
    return max(axes.get_title().count("\n") + 1 for axes in block.strips or block.panels[0])


def wrapped(title: str, width: float) -> str:
    """Return a title in lines that fit above a panel of `width` inches."""
    n_characters = max(8, int(width / TITLE_CHARACTER))
    lines = (re.sub(r"= .*$", lambda end: end[0].replace(" ", NO_BREAK), line) for line in title.split("\n"))
    return "\n".join(fill(line, n_characters, break_on_hyphens=False) for line in lines)


def panel_width(n_columns: int, widest: float) -> float:
    """Return the width of a panel in inches so that the columns fit a page, within bounds."""
    return float(np.clip((TEXT_WIDTH - 1.5) / n_columns - 0.15, NARROWEST, widest))
