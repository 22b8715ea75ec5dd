"""Guesses of the classifier in time: a panel a class that was shown, a line a class that is guessed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynvision.visualization.axes import draw_stimulus, set_time_axis, stimulus_handles
from dynvision.visualization.layout import panel_blocks, wrapped
from dynvision.visualization.legend import add_legend, add_legend_below, line_handle, stimulus_sentence
from dynvision.visualization.names import Comparison, at_value, swept_label
from dynvision.visualization.save import Drawn, legible_names
from dynvision.visualization.style import INK, MUTED, Style
from dynvision.visualization.tables import ExperimentTables

MOST_CLASSES = 12  # panels; further classes are not drawn
MOST_NAMED = 12  # guesses that have a colour
MOST_GUESSES = 3  # lines in a panel beside the class itself
COLUMNS = 4
SIZE = (1.35, 0.95)


def leading_guesses(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the classes that are drawn: those shown first, and for each the guesses that are most frequent.

    Args:
        table: columns `label`, `guess`, `stimulus_on`, `mean`, of one condition.
    """
    labels = sorted(table["label"].unique())[:MOST_CLASSES]
    shown = table[table["label"].isin(labels)]
    others = shown[shown["guess"] != shown["label"]]
    totals = others.groupby(["label", "guess"])["mean"].sum().reset_index()
    leading = totals.sort_values("mean", ascending=False, kind="stable").groupby("label").head(MOST_GUESSES)
    kept = set(leading[["label", "guess"]].itertuples(index=False, name=None)) | {(n, n) for n in labels}
    pairs = pd.Series(list(zip(shown["label"], shown["guess"], strict=True)), index=shown.index)
    return shown[pairs.isin(kept)].reset_index(drop=True)


def draw_guesses(axes: Axes, table: pd.DataFrame, label: int, colours: dict[int, str]) -> None:
    """Draw how often each class is guessed when one is shown.

    Args:
        axes: where to draw.
        table: columns `guess`, `time_ms`, `mean`, of one label.
        label: the class that was shown; its line is heavy and on top.
        colours: by class.
    """
    for guess in sorted(table["guess"].unique()):
        own, line = guess == label, table[table["guess"] == guess]
        axes.plot(
            line["time_ms"],
            line["mean"],
            color=INK if own else colours[int(guess)],
            linewidth=1.8 if own else 1.0,
            zorder=3 if own else 2,
        )


def classifier_figure(table: pd.DataFrame, style: Style, class_names: Sequence[str]) -> Figure:
    """Draw the guesses for each class.

    Args:
        table: columns `label`, `guess`, `value`, `time_ms`, `stimulus_on`, `mask_on`, `mean`, of one condition, as
            `leading_guesses`.
        style: colours, names and order.
        class_names: of the classes, by number.
    """
    labels = sorted(int(label) for label in table["label"].unique())
    guesses = sorted({int(guess) for guess in table.loc[table["guess"] != table["label"], "guess"].unique()})
    named = _most_frequent(table, guesses)
    colours = {**dict.fromkeys(guesses, MUTED), **style.colours(named)}
    n_columns = min(COLUMNS, len(labels))
    full, rest = divmod(len(labels), n_columns)
    grid = panel_blocks(1, [n_columns] * full + [rest] * (rest > 0), *SIZE, n_bars=1, between=0.32)
    panels = [
        (axes, strip)
        for block in grid.blocks
        for axes, strip in zip(block.panels[0], block.strips, strict=True)
    ]
    for label, (axes, strip) in zip(labels, panels, strict=True):
        of_label = table[table["label"] == label]
        draw_stimulus(strip, of_label, {})
        strip.set_title(wrapped(class_names[label], SIZE[0]), pad=3)
        draw_guesses(axes, of_label, label, colours)
        axes.set_ylim(0, 1.04)
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    set_time_axis(grid, np.unique(table["time_ms"]))
    for block in grid.blocks[:-1]:
        for column, axes in enumerate(block.panels[0]):
            axes.tick_params(
                labelbottom=column >= len(grid.blocks[-1].panels[0]) and block is grid.blocks[-2]
            )
    grid.label_left("fraction of the images of a class")
    handles = [line_handle("the class shown", INK)]
    handles += [line_handle(class_names[guess], colours[guess]) for guess in named]
    if len(named) < len(guesses):
        handles.append(line_handle(f"one of {len(guesses) - len(named)} others", MUTED))
    legend = add_legend(grid, handles, "guess")
    add_legend_below(grid, stimulus_handles(table), legend)
    return grid.figure


def _most_frequent(table: pd.DataFrame, guesses: Sequence[int]) -> list[int]:
    """Return the guesses that are made most often, over all classes shown, by their number."""
    totals = table[table["guess"] != table["label"]].groupby("guess")["mean"].sum()
    return sorted(sorted(guesses, key=lambda guess: (-totals[guess], guess))[:MOST_NAMED])


def draw_classifier(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Draw the guesses over time by the class shown, of the base or else the first condition."""
    runs = comparison.conditions[comparison.base or 0].run_ids
    guesses = tables.guesses[tables.guesses["run_id"].isin(runs)]
    keys = ["parameter", "value", "label", "guess", "time_ms", "stimulus_on", "mask_on"]
    table = leading_guesses(comparison.average(_complete(guesses), keys))
    table["class"] = [tables.class_names[int(n)] for n in table["label"]]
    table["guessed"] = [tables.class_names[int(n)] for n in table["guess"]]
    with style.context():
        figure = classifier_figure(table, style, legible_names(tables.class_names))
    return Drawn(
        "classifier", figure, table, classifier_caption(table, swept_label(tables.experiment.config, style))
    )


def _complete(guesses: pd.DataFrame) -> pd.DataFrame:
    """Return guesses of several runs with zeros where one run never guessed a class that another did."""
    runs = guesses["run_id"].unique()
    if len(runs) == 1:
        return guesses
    about = ["experiment", "parameter", "value", "label", "guess", "time_ms", "stimulus_on", "mask_on"]
    every = pd.concat([guesses[about].drop_duplicates().assign(run_id=run_id) for run_id in runs])
    filled = every.merge(guesses, how="left", on=["run_id", *about])
    per_label = guesses.drop_duplicates(["run_id", "label"]).set_index(["run_id", "label"])["n_images"]
    filled["n_images"] = per_label.reindex(pd.MultiIndex.from_frame(filled[["run_id", "label"]])).to_numpy()
    return filled.fillna({"mean": 0.0})


def classifier_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Return the caption of the figure of guesses."""
    where = at_value(parameter_label, float(table["value"].iloc[0]))
    return (
        f"Guesses of {table['condition'].iloc[0]} over time at {where}, a panel for each class that "
        "was shown: the part of its images for which a class is the guess. Heavy: the class itself; in colour: the classes "
        f"that it is most often taken for. {stimulus_sentence(table, parameter_label)}"
    )
