"""The figures of the runs themselves: their training and their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from dynvision.analysis import read_training
from dynvision.analysis.weights import ORDER, read_weight_distributions
from dynvision.config.run import RunConfig
from dynvision.runs import ResultPaths
from dynvision.visualization import captions
from dynvision.visualization.colours import condition_colours
from dynvision.visualization.comparison import Comparison
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import Style
from dynvision.visualization.tables import joined
from dynvision.visualization.training import PANELS, training_figure
from dynvision.visualization.weights import MOST_CONDITIONS, weights_figure


def draw_training(
    paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style
) -> Drawn:
    """Loss and accuracy over epochs, of training and validation images."""
    return draw_training_course(_of_runs(paths, configs, "training.csv", read_training), comparison, style)


def draw_training_course(training: pd.DataFrame, comparison: Comparison, style: Style) -> Drawn:
    """The figure of training from the columns `run_id`, `epoch` and `{train,val}_{loss,accuracy}`."""
    quantities = [f"{split}_{quantity}" for quantity in PANELS for split in ("train", "val")]
    long = training.melt(["run_id", "epoch"], quantities, var_name="column", value_name="mean")
    long[["split", "quantity"]] = long["column"].str.split("_", expand=True)
    table = comparison.average(long, ["quantity", "split", "epoch"])
    colours = [condition_colours(comparison, style, row) for row in comparison.rows]
    with style.context():
        figure = training_figure(table, comparison.rows, colours)
    return Drawn("training", figure, table, captions.training_caption(table))


def draw_weights(paths: ResultPaths, configs: list[RunConfig], comparison: Comparison, style: Style) -> Drawn:
    """Distributions of the weights of a few conditions, or of the base where there are many; of its first seed each."""
    shown = range(len(comparison.labels))
    if len(shown) > MOST_CONDITIONS:
        shown = range(comparison.base or 0, (comparison.base or 0) + 1)
    chosen = [comparison.conditions[number].run_ids[0] for number in shown]
    of_chosen = [config for config in configs if config.run_id in chosen]
    table = _of_runs(paths, of_chosen, "weights.parquet", read_weight_distributions)
    return draw_weight_distributions(table, comparison, style)


def draw_weight_distributions(distributions: pd.DataFrame, comparison: Comparison, style: Style) -> Drawn:
    """The figure of weights from a table of one run of each condition that is drawn, as `analysis.weights` makes it."""
    table = distributions.copy()
    table.insert(0, "condition", [comparison.label_of(run_id) for run_id in table["run_id"]])
    density = table["n_in_bin"] / (table["bin_high"] - table["bin_low"])
    violin = [table[name] for name in ("condition", "layer", "connection")]
    table["density"] = density / density.groupby(violin, sort=False, observed=True).transform("max")
    titles = {label: label for label in comparison.labels if label in set(table["condition"])}
    colours = condition_colours(comparison, style) if len(titles) > 1 else style.colours(list(ORDER))
    with style.context():
        figure = weights_figure(table, titles, colours, style)
    return Drawn("weights", figure, table, captions.weights_caption(table))


RUN_FIGURES: dict[str, Callable[[ResultPaths, list[RunConfig], Comparison, Style], Drawn]] = {
    "training": draw_training,
    "weights": draw_weights,
}


def _of_runs(
    paths: ResultPaths, configs: list[RunConfig], name: str, read: Callable[[Path], pd.DataFrame]
) -> pd.DataFrame:
    return joined([read(paths.run(config.run_id) / name).assign(run_id=config.run_id) for config in configs])
