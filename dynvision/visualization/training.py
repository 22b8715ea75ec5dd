"""Loss and accuracy over epochs of all runs: a colour a condition, validation solid and training thin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dynvision.analysis import read_training
from dynvision.analysis.bootstrap import BAND_SEEDS
from dynvision.config.run import RunConfig
from dynvision.runs import ResultPaths
from dynvision.visualization.axes import top_of
from dynvision.visualization.layout import quantity_blocks
from dynvision.visualization.legend import add_conditions, add_legend_below, count, line_handle
from dynvision.visualization.names import Comparison, Row
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import BAND_ALPHA, LineStyle, Style, condition_colours
from dynvision.visualization.tables import of_runs

PANELS = {"loss": "loss", "accuracy": "accuracy (fraction of images)"}
SPLIT_LOOKS: dict[str, tuple[LineStyle, float]] = {"train": (":", 1.0), "val": ("-", 1.5)}
SPLIT_NAMES = {"train": "training", "val": "validation"}


def draw_epochs(axes: Axes, table: pd.DataFrame, colour: str, split: str) -> None:
    """Draw one quantity of one condition and split over epochs.

    Args:
        axes: where to draw.
        table: columns `epoch`, `mean`, `low`, `high`.
        colour: of the line.
        split: ``train`` or ``val``.
    """
    line = table.sort_values("epoch")
    epoch, mean, low, high = (line[name].to_numpy(dtype=float) for name in ("epoch", "mean", "low", "high"))
    style, width = SPLIT_LOOKS[split]
    if np.any(high > low):
        axes.fill_between(epoch, low, high, color=colour, alpha=BAND_ALPHA, linewidth=0)
    marker = "o" if len(epoch) == 1 else ""
    axes.plot(epoch, mean, color=colour, linestyle=style, linewidth=width, marker=marker)


def training_figure(table: pd.DataFrame, rows: Sequence[Row], colours: Sequence[Mapping[str, str]]) -> Figure:
    """Draw the course of all trainings.

    Args:
        table: columns `condition`, `quantity` (loss, accuracy), `split` (train, val), `epoch`, `mean`, `low`, `high`.
        rows: the conditions that share panels, with their titles.
        colours: of the conditions of each row.
    """
    grid, panels = quantity_blocks(rows, len(PANELS), (2.4, 1.7))
    for row, of_row, axes_of_row, block in zip(rows, colours, panels, grid.blocks, strict=True):
        for axes, quantity in zip(axes_of_row, PANELS, strict=True):
            of_panel = table[table["quantity"] == quantity]
            for (condition, split), line in of_panel.groupby(["condition", "split"], sort=False):
                if condition in row.titles:
                    draw_epochs(axes, line, of_row[str(condition)], str(split))
            _set_axes(axes, quantity, of_panel)
        legend = add_conditions(grid, row.titles, of_row, block)
        handles = [line_handle(SPLIT_NAMES[split], line=line) for split, (line, _) in SPLIT_LOOKS.items()]
        add_legend_below(grid, handles, legend)
    return grid.figure


def _set_axes(axes: Axes, quantity: str, of_panel: pd.DataFrame) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylabel(PANELS[quantity])
    first, last = of_panel["epoch"].min(), of_panel["epoch"].max()
    if first == last:
        axes.set_xlim(first - 1, last + 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_ylim(0, 1.02 if quantity == "accuracy" else top_of(of_panel))


def draw_training(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Draw the loss and accuracy over epochs, of training and validation images."""
    return draw_training_course(of_runs(paths, configs, "training.csv", read_training), comparison, style)


def draw_training_course(training: pd.DataFrame, comparison: Comparison, style: Style) -> Drawn:
    """Draw the figure of training from the columns `run_id`, `epoch` and `{train,val}_{loss,accuracy}`."""
    quantities = [f"{split}_{quantity}" for quantity in PANELS for split in ("train", "val")]
    long = training.melt(["run_id", "epoch"], quantities, var_name="column", value_name="mean")
    long[["split", "quantity"]] = long["column"].str.split("_", expand=True)
    table = comparison.average(long, ["quantity", "split", "epoch"])
    colours = [condition_colours(comparison, style, row) for row in comparison.rows]
    with style.context():
        figure = training_figure(table, comparison.rows, colours)
    return Drawn("training", figure, table, training_caption(table))


def training_caption(table: pd.DataFrame) -> str:
    """Return the caption of the figure of training."""
    band = (
        f" With several seeds, lines are their mean and bands reach from the lowest to the highest "
        f"({count(table['n_seeds'].max(), 'seed')})."
        if BAND_SEEDS in set(table["band"])
        else ""
    )
    return (
        "Loss and accuracy over the epochs of training, on training images (dotted) and on validation images "
        f"(solid).{band}"
    )
