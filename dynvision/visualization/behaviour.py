"""A network's decisions beside those of observers: consistencies with their ceilings, and speed-accuracy curves.

Left: a row a measure; the dot is the network, the bar the ceiling (of accuracies and speed-accuracy correlations the range
over observers). Right: accuracy in quantiles of reaction time, both standardized, since a network has its own clock.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynvision.visualization.style import GUIDE, INK, MUTED, Style
from dynvision.visualization.time_maps import fixed_layout

SIZE = (6.2, 2.3)  # inches
MEASURES = {
    "accuracy": "accuracy",
    "image_accuracy": "accuracy by image",
    "image_rt": "reaction time by image",
    "confusion": "confusions",
    "speed_accuracy": "time and being right",
}
OFFSET = 0.18  # between conditions


def draw_measures(axes: Axes, table: pd.DataFrame, colours: dict[str, str], style: Style) -> None:
    """Draw each measure of each condition, with its ceiling.

    Args:
        axes: where to draw.
        table: columns condition, measure, network, observers, ceiling_low, ceiling_high.
        colours: of the conditions.
        style: names.
    """
    conditions = list(colours)
    for place, measure in enumerate(MEASURES):
        for number, condition in enumerate(conditions):
            rows = table[(table["measure"] == measure) & (table["condition"].astype(str) == condition)]
            if rows.empty:
                continue
            row = rows.iloc[0]
            y = place + OFFSET * (number - (len(conditions) - 1) / 2)
            axes.plot([row["ceiling_low"], row["ceiling_high"]], [y, y], color=GUIDE, linewidth=5, zorder=1)
            axes.plot(row["observers"], y, "|", color=MUTED, markersize=7, zorder=2)
            axes.plot(row["network"], y, "o", color=colours[condition], label=style.name(condition), zorder=3)
    axes.axvline(0, color=MUTED, linewidth=0.6, zorder=0)
    axes.set_yticks(range(len(MEASURES)), list(MEASURES.values()))
    axes.set_ylim(len(MEASURES) - 0.5, -0.5)
    axes.set_xlabel("fraction or correlation")
    if len(conditions) > 1:
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[: len(conditions)], labels[: len(conditions)], title="condition")


def draw_curves(axes: Axes, table: pd.DataFrame, colours: dict[str, str]) -> None:
    """Draw accuracy in quantiles of standardized reaction time.

    Args:
        axes: where to draw.
        table: columns of, condition, rt_ms, accuracy, n.
        colours: of the conditions.
    """
    for (of, condition), curve in table.groupby(["of", "condition"], sort=False):
        weights = curve["n"].to_numpy(dtype=float)
        times = curve["rt_ms"].to_numpy(dtype=float)
        mean = np.average(times, weights=weights)
        spread = float(np.sqrt(np.average((times - mean) ** 2, weights=weights)))
        colour = (
            colours[str(condition)]
            if of == "network"
            else (MUTED if len(colours) == 1 else colours[str(condition)])
        )
        axes.plot(
            (times - mean) / (spread or 1.0),
            curve["accuracy"],
            "o-" if of == "network" else "s--",
            color=colour,
            label=f"{of} ({mean:.0f} ms)" if len(colours) == 1 else f"{of}, {condition}",
        )
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("reaction time (standardized)")
    axes.set_ylabel("accuracy")
    axes.legend(loc="best")


def behaviour_figure(table: pd.DataFrame, style: Style) -> Figure:
    """Draw measures and curves.

    Args:
        table: rows of the panels ``measures`` and ``speed_accuracy``, with the columns of both.
        style: names and colours.
    """
    measures, curves = (table[table["panel"] == name] for name in ("measures", "speed_accuracy"))
    conditions = list(dict.fromkeys(measures["condition"].astype(str)))
    colours = {conditions[0]: INK} if len(conditions) == 1 else style.colours(conditions)
    figure = Figure(figsize=SIZE, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    draw_measures(left, measures, colours, style)
    draw_curves(right, curves, colours)
    return fixed_layout(figure)


def behaviour_caption(table: pd.DataFrame) -> str:
    """Return the caption of the figure."""
    measures = table[table["panel"] == "measures"]
    n_images, n_observers = (int(measures[name].max()) for name in ("n_images", "n_observers"))
    ceiling = (
        "Grey bars are ceilings: of correlations how well halves of the observers agree with each other (low) and with all "
        "of them (high), of accuracy and of the correlation of time and being right the range over observers."
        if n_observers > 1
        else "Of one observer there is no ceiling."
    )
    return (
        f"Decisions on {n_images:,} images beside {n_observers:,} observers. Left: the network (dots) and the mean "
        f"observer (ticks). {ceiling} Right: accuracy in quantiles of reaction time, standardized; the legend has mean "
        "times."
    )
