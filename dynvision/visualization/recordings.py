"""A network beside a recording in time, and its decisions beside those of observers.

**Maps** of scores at every pair of times: a column a layer, a row an area; x is the time of the recording, y that of the
network, in ms from stimulus onset. The dashed line is the diagonal shifted by the lag of the best diagonal; contours
surround significant clusters.

**Courses** along that line: a panel an area, a line a layer; the band is the noise ceiling of the recording.

**Behaviour.** Left: consistencies, a row a measure; the dot is the network, the bar the ceiling (of accuracies and
speed-accuracy correlations the range over observers). Right: accuracy in quantiles of reaction time, both standardized,
since a network has its own clock.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from dynvision.config.comparison import METHODS
from dynvision.visualization.style import GUIDE, INK, MUTED, Style

PANEL = 1.7  # inches
COURSE = (2.6, 1.9)  # inches, width and height
LABELS = {"rsa": "correlation of RDMs", "encoding": "correlation of prediction", "cka": "CKA"}
MAP = "RdBu_r"


def draw_time_map(axes: Axes, table: pd.DataFrame, norm: TwoSlopeNorm) -> None:
    """Draw the scores of one layer and one area.

    Args:
        axes: where to draw.
        table: columns model_ms, brain_ms, score, significant, lag_ms.
        norm: of the colours.
    """
    scores = table.pivot(index="model_ms", columns="brain_ms", values="score")
    significant = table.pivot(index="model_ms", columns="brain_ms", values="significant")
    x, y = scores.columns.to_numpy(), scores.index.to_numpy()
    axes.pcolormesh(x, y, scores.to_numpy(), cmap=MAP, norm=norm, shading="nearest", rasterized=True)
    if significant.to_numpy().any() and min(significant.shape) > 1:
        axes.contour(x, y, significant.to_numpy().astype(float), levels=[0.5], colors=INK, linewidths=0.7)
    lag_ms = float(table["lag_ms"].iloc[0])
    if np.isfinite(lag_ms):
        axes.plot(y + lag_ms, y, linestyle="--", color=INK, linewidth=0.9)
    axes.set_xlim(x.min(), x.max() if len(x) > 1 else x.min() + 1)
    axes.set_ylim(y.min(), y.max() if len(y) > 1 else y.min() + 1)


def time_maps_figure(table: pd.DataFrame, style: Style) -> Figure:
    """Draw all layers and areas on one scale of colours.

    Args:
        table: columns method, layer, area, lag_ms, model_ms, brain_ms, score, significant.
        style: names.
    """
    layers, areas = list(dict.fromkeys(table["layer"])), list(dict.fromkeys(table["area"]))
    largest = float(np.nanmax(np.abs(table["score"]))) if table["score"].notna().any() else 1.0
    norm = TwoSlopeNorm(0.0, -largest or -1.0, largest or 1.0)
    figure = Figure(figsize=(PANEL * len(layers) + 1.3, PANEL * len(areas) + 0.6), layout="constrained")
    panels = figure.subplots(len(areas), len(layers), squeeze=False, sharex=True, sharey=True)
    for row, area in enumerate(areas):
        for column, layer in enumerate(layers):
            axes = panels[row, column]
            part = table[(table["layer"] == layer) & (table["area"] == area)]
            if part.empty:
                axes.set_axis_off()
                continue
            draw_time_map(axes, part, norm)
            lag_ms = float(part["lag_ms"].iloc[0])
            lag = f"\nlag {lag_ms:g} ms" if np.isfinite(lag_ms) else "\nno lag"
            axes.set_title(f"{style.name(layer)}, {style.name(area)}{lag}")
    figure.supxlabel("time of the recording (ms)", fontsize=7.5)
    figure.supylabel("time of the network (ms)", fontsize=7.5)
    bar = figure.colorbar(ScalarMappable(norm, MAP), ax=panels, shrink=0.8)
    bar.set_label(LABELS[str(table["method"].iloc[0])])
    return figure


def draw_courses(axes: Axes, table: pd.DataFrame, colours: dict[str, str], style: Style) -> None:
    """Draw the courses of all layers in one area, with the noise ceiling.

    Args:
        axes: where to draw.
        table: columns layer, lag_ms, brain_ms, score, ceiling_low, ceiling_high, significant.
        colours: of the layers.
        style: names.
    """
    ceiling = table.drop_duplicates("brain_ms").sort_values("brain_ms")
    axes.fill_between(
        ceiling["brain_ms"],
        ceiling["ceiling_low"],
        ceiling["ceiling_high"],
        color=GUIDE,
        linewidth=0,
        zorder=0,
    )
    axes.axhline(0, color=MUTED, linewidth=0.6, zorder=1)
    for layer, course in table.groupby("layer", sort=False):
        lag_ms = float(course["lag_ms"].iloc[0])
        has_lag = np.isfinite(lag_ms)
        label = style.name(layer) + (f" ({lag_ms:g} ms)" if has_lag else "")
        line = "-" if has_lag else ":"
        axes.plot(course["brain_ms"], course["score"], line, color=colours[str(layer)], label=label)
        found = course[course["significant"]]
        axes.plot(found["brain_ms"], found["score"], "o", markersize=2, color=colours[str(layer)])


def courses_figure(table: pd.DataFrame, style: Style) -> Figure:
    """Draw the courses of the scores, a panel an area.

    Args:
        table: columns method, layer, area, lag_ms, brain_ms, score, ceiling_low, ceiling_high, significant.
        style: names and colours.
    """
    areas = list(dict.fromkeys(table["area"]))
    colours = style.depths(list(dict.fromkeys(table["layer"].astype(str))))
    figure = Figure(figsize=(COURSE[0] * len(areas) + 0.3, COURSE[1] + 0.5), layout="constrained")
    panels = figure.subplots(1, len(areas), squeeze=False, sharey=True)[0]
    for axes, area in zip(panels, areas, strict=True):
        draw_courses(axes, table[table["area"] == area], colours, style)
        axes.set_title(style.name(area))
        axes.set_xlabel("time of the recording (ms)")
        axes.legend(title="layer (lag)", loc="best", handlelength=1.2)
    panels[0].set_ylabel(LABELS[str(table["method"].iloc[0])])
    return figure


def time_maps_caption(table: pd.DataFrame) -> str:
    """Return the caption of the maps of a network beside a recording."""
    outline = (
        " Contours surround clusters that shuffled images do not reach (p < .05)."
        if table["significant"].any()
        else " No cluster exceeds shuffled images."
    )
    return (
        f"Scores of each layer and area (titles) at every pair of times: {METHODS[str(table['method'].iloc[0])]}. "
        "Dashed is the diagonal with the highest mean; its lag is by how much the recording follows the network. A layer "
        f"without a cluster above chance has no lag.{outline}"
    )


def courses_caption(table: pd.DataFrame) -> str:
    """Return the caption of the courses of a network beside a recording."""
    ceiling = (
        "The band is the noise ceiling: how well repetitions of the recording agree."
        if table["ceiling_low"].notna().any()
        else "Without repeated images there is no noise ceiling."
    )
    return (
        f"Scores over the time of the recording ({METHODS[str(table['method'].iloc[0])]}), each layer compared at its lag; "
        "a layer without a lag is dotted and compared at equal times. Dots are significant (p < .05, clusters of the "
        f"map). {ceiling}"
    )


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
        colour = MUTED if of == "observers" and len(colours) == 1 else colours[str(condition)]
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
    return figure


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
