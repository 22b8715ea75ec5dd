"""Legends stand beside the panels, never on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dynvision.visualization.labels import value_label
from dynvision.visualization.layout import Block, Grid
from dynvision.visualization.style import INK, PAPER, LineStyle

LINE_WIDTH = 1.8
LABEL_WIDTH = 28  # characters
GAP = 0.12  # inches from the panels
Handle = Line2D | Patch


def line_handle(
    label: str, colour: str = INK, line: LineStyle = "-", marker: str = "", filled: bool = True
) -> Line2D:
    """A line as it appears in a legend.

    Args:
        label: what it says; long lines are broken.
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


def value_handles(colours: Mapping[float, str]) -> list[Line2D]:
    """Lines of the swept parameter's values, the highest on top."""
    return [line_handle(value_label(value), colours[value]) for value in sorted(colours, reverse=True)]


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


def add_legend_below(grid: Grid, handles: Sequence[Handle], above: Legend) -> Legend:
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
