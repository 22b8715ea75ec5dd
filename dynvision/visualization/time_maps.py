"""A network beside a recording: scores at every pair of times, and courses along the lag of each layer.

Maps: a column a layer, a row an area; x is the time of the recording, y that of the network, in ms from stimulus onset.
The dashed line is the diagonal shifted by the lag of the best diagonal; contours surround significant clusters.
Courses: a panel an area, a line a layer along its dashed line; the band is the noise ceiling of the recording.
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
    return fixed_layout(figure)


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
        has_lag = course["lag_ms"].notna().iloc[0]
        label = (
            f"{style.name(layer)} ({course['lag_ms'].iloc[0]:g} ms)" if has_lag else f"{style.name(layer)}"
        )
        axes.plot(
            course["brain_ms"],
            course["score"],
            "-" if has_lag else ":",
            color=colours[str(layer)],
            label=label,
        )
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
    return fixed_layout(figure)


def fixed_layout(figure: Figure) -> Figure:
    """Return a figure with its layout fixed, so that its outline is known before it is saved."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
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
