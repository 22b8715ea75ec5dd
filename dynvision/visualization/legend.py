"""What explains the panels: legends beside them, and sentences that the captions of several figures share.

Legends stand beside the panels, never on them. Of more values than can be distinguished there is a colour bar. Sentences
are made from the table that was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dynvision.analysis.bootstrap import BAND_IMAGES, BAND_SEEDS
from dynvision.analysis.courses import what_was_shown
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.tables import levels
from dynvision.visualization.layout import Block, Grid
from dynvision.visualization.names import split_unit, value_label
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


MOST_BANDS = 12  # lines in a panel that have a band
CORTEX = "cortex"  # in place of a condition, in the data of a figure that has cortex beside the network


def stimulus_sentence(table: pd.DataFrame, parameter_label: str) -> str:
    """Return what the bars above the panels show."""
    shown = what_was_shown(table)
    masks = ", hatched when a mask is" if any(one.mask for one in shown) else ""
    if len(shown) > 1:
        coloured = f"in the colour of the {split_unit(parameter_label)[0]}"
        return f"The bars on top show when the stimulus is on{masks}, {coloured}."
    return f"The grey bar on top shows when the stimulus is on{masks}."


def course_band_sentence(table: pd.DataFrame, n_lines: int = 0) -> str:
    """Return what the bands of courses show. More than `MOST_BANDS` lines have none.

    Args:
        table: columns `value`, `band`, `n_images`, `n_seeds`, of the courses and of nothing else.
        n_lines: lines in a panel; 0 for one line at each value.
    """
    if (n_lines or table["value"].nunique()) <= MOST_BANDS:
        return band_sentence(table)
    return "Of so many lines the intervals are in the CSV file alone."


def band_sentence(table: pd.DataFrame, drawn: str = "bands") -> str:
    """Return what intervals show, from the columns `band`, `n_images` and `n_seeds`.

    Args:
        table: of what has the intervals.
        drawn: how they are drawn: ``bands`` or ``vertical bars``.
    """
    bands, sentences = set(table["band"]), []
    if BAND_IMAGES in bands:
        n_images = table.loc[table["band"] == BAND_IMAGES, "n_images"].max()
        several = " where a condition has one seed" if BAND_SEEDS in bands else ""
        sentences.append(
            f"{drawn} show the 95 % bootstrap interval of the {_average(table)} over {count(n_images, 'image')}{several}"
        )
    if BAND_SEEDS in bands:
        n_seeds = table.loc[table["band"] == BAND_SEEDS, "n_seeds"].max()
        sentences.append(
            f"lines are means over up to {count(n_seeds, 'seed')} and {drawn} show the range over seeds"
            if len(bands) > 1
            else f"lines are means over {count(n_seeds, 'seed')} and {drawn} show the range over seeds"
        )
    return capital("; ".join(sentences)) + "."


def _average(table: pd.DataFrame) -> str:
    measures = levels(table["measure"]) if "measure" in table else []
    median = any(name in MEASURES and MEASURES[name].average == "median" for name in measures)
    return "mean (of times the median)" if median else "mean"


def definition(measure: str, rows: pd.DataFrame) -> str:
    """Return what a measure is, what is taken over images, and of how many of them."""
    if MEASURES[measure].average != "median":
        return MEASURES[measure].definition
    over = "median over the images that have one"
    if "fraction" in rows and rows["fraction"].notna().any():
        low, high = (f"{100 * part:.3g}" for part in (rows["fraction"].min(), rows["fraction"].max()))
        over += f" ({low} % of them)" if low == high else f" ({low} % to {high} % of them)"
    return f"{MEASURES[measure].definition}; {over}"


def count(number: float, noun: str) -> str:
    """Return a number with its noun: ``1 image``, ``1,000 images``."""
    return f"{int(number):,} {noun}" + ("" if int(number) == 1 else "s")


def capital(text: str) -> str:
    """Return a text with a capital at its beginning; the rest is left as it is."""
    return text[:1].upper() + text[1:]
