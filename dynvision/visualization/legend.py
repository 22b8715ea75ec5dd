"""Legends stand beside the panels, never on them. Of more values than can be distinguished there is a colour bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dynvision.visualization.layout import Block, Grid
from dynvision.visualization.names import value_label
from dynvision.visualization.style import INK, PAPER, LineStyle

LINE_WIDTH = 1.8
LABEL_WIDTH = 28  # characters
GAP = 0.12  # inches from the panels
MOST_LINES = 12  # of a legend; beyond, there is a colour bar
MOST_TICKS = 7  # of a colour bar
BAR = (0.12, 1.5)  # inches: width and height of a colour bar
TITLE_LINE = 0.13  # inches
Handle = Line2D | Patch


def line_handle(
    label: str, colour: str = INK, line: LineStyle = "-", marker: str = "", filled: bool = True
) -> Line2D:
    """Return a line as it appears in a legend.

    Args:
        label: what it states; long lines are broken.
        colour: of line and marker.
        line: style of the line; ``"None"`` for none.
        marker: its marker; empty for none.
        filled: whether the marker is.
    """
    return Line2D(
        [],
        [],
        color=colour,
        linestyle=line,
        linewidth=LINE_WIDTH if line == "-" and not marker else LINE_WIDTH / 1.5,
        marker=marker,
        markerfacecolor=colour if filled else PAPER,
        label="\n".join(fill(part, LABEL_WIDTH) for part in label.split("\n")),
    )


def add_values(
    grid: Grid, colours: Mapping[float, str], parameter_label: str, gap: float = GAP
) -> Legend | Axes:
    """Explain the colours of the swept parameter's values, the highest on top.

    Args:
        grid: the panels of the figure.
        colours: by value.
        parameter_label: the parameter with its unit.
        gap: from the panels, in inches.
    """
    ascending = sorted(colours)
    labels = [value_label(value, parameter_label) for value in ascending]
    if len(ascending) > MOST_LINES:
        corner = (grid.right + gap / grid.figure.get_figwidth(), grid.top)
        return _colour_bar(grid, corner, [colours[value] for value in ascending], labels, parameter_label)
    handles = [line_handle(label, colours[value]) for value, label in zip(ascending, labels, strict=True)]
    return add_legend(grid, handles[::-1], parameter_label, gap=gap)


def add_conditions(
    grid: Grid, titles: Mapping[str, str], colours: Mapping[str, str], block: Block
) -> Legend | Axes:
    """Explain the colours of conditions that share panels, right of their block.

    Args:
        grid: the panels of the figure.
        titles: of the conditions.
        colours: of the conditions.
        block: their panels.
    """
    if len(titles) > MOST_LINES:
        corner = (grid.right + GAP / grid.figure.get_figwidth(), block.panels[0, -1].get_position().y1)
        names = [title.replace("\n", ", ") for title in titles.values()]
        return _colour_bar(grid, corner, [colours[name] for name in titles], names, "")
    return add_legend(
        grid, [line_handle(title, colours[name]) for name, title in titles.items()], block=block
    )


def _colour_bar(
    grid: Grid, corner: tuple[float, float], colours: Sequence[str], labels: Sequence[str], title: str
) -> Axes:
    """Draw a bar of all colours, from bottom to top, with labels at some of them, evenly spread, the first and last too."""
    width, height = grid.figure.get_figwidth(), grid.figure.get_figheight()
    head = TITLE_LINE * (fill(title, LABEL_WIDTH).count("\n") + 1) if title else 0.0
    axes = grid.figure.add_axes(
        (corner[0], corner[1] - (head + BAR[1]) / height, BAR[0] / width, BAR[1] / height)
    )
    axes.imshow(
        np.arange(len(colours))[:, None],
        cmap=ListedColormap(list(colours)),
        aspect="auto",
        origin="lower",
        interpolation="nearest",
    )
    shown = np.unique(np.linspace(0, len(colours) - 1, MOST_TICKS).round().astype(int))
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks(shown, [fill(labels[n], LABEL_WIDTH) for n in shown])
    axes.tick_params(length=2)
    if title:
        axes.text(
            0, 1.02, fill(title, LABEL_WIDTH), transform=axes.transAxes, ha="left", va="bottom", fontsize=7.5
        )
    return axes


def add_legend(
    grid: Grid,
    handles: Sequence[Handle],
    title: str | None = None,
    cell: Axes | None = None,
    block: Block | None = None,
    gap: float = GAP,
) -> Legend:
    """Put a legend right of all panels, right of a block, or in the place of a panel that is not needed.

    Args:
        grid: the panels of the figure.
        handles: what it explains, from top to bottom.
        title: its heading, with a unit.
        cell: the panel in whose place it stands.
        block: the block that it stands beside.
        gap: from the panels, in inches.
    """
    corner = (grid.right + gap / grid.figure.get_figwidth(), grid.top)
    if block is not None:
        corner = (corner[0], block.panels[0, -1].get_position().y1)
    if cell is not None:
        corner = (cell.get_position().x0, cell.get_position().y1)
    return _legend_at(corner, grid, handles, title)


def add_legend_below(grid: Grid, handles: Sequence[Handle], above: Legend | Axes) -> Legend | Axes:
    """Put a further legend under one; without handles there is none, and the one above is the last."""
    if not handles:
        return above
    extent = above.get_window_extent().transformed(grid.figure.transFigure.inverted())
    return _legend_at((extent.x0, extent.y0 - GAP / grid.figure.get_figheight()), grid, handles, None)


def _legend_at(
    corner: tuple[float, float], grid: Grid, handles: Sequence[Handle], title: str | None
) -> Legend:
    dashed = any(isinstance(handle, Line2D) and handle.get_linestyle() != "-" for handle in handles)
    return grid.figure.legend(
        handles=list(handles),
        title=title,
        loc="upper left",
        bbox_to_anchor=corner,
        borderaxespad=0,
        handlelength=2.4 if dashed else 1.4,
        labelspacing=0.4,
        alignment="left",
    )
