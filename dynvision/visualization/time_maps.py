"""Scores of a network and a recording at every pair of times, a column a layer, a row an area.

x: time of the recording, y: time of the network, both in ms from stimulus onset. The dashed line is the diagonal shifted by
the lag of the best diagonal; contours surround significant clusters.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from dynvision.files import atomic_path
from dynvision.visualization.save import make_legible

PANEL = 2.1  # inches
SCORES = {"rsa": "correlation of RDMs", "encoding": "correlation of prediction and recording", "cka": "CKA"}
INK, MAP = "#333333", "RdBu_r"


def draw_time_map(axes: Axes, table: pd.DataFrame, lag_ms: float, norm: TwoSlopeNorm) -> None:
    """Draw the scores of one layer and one area.

    Args:
        axes: where to draw.
        table: columns model_ms, brain_ms, score, significant.
        lag_ms: by how much the recording follows.
        norm: of the colours.
    """
    scores = table.pivot(index="model_ms", columns="brain_ms", values="score")
    significant = table.pivot(index="model_ms", columns="brain_ms", values="significant")
    x, y = scores.columns.to_numpy(), scores.index.to_numpy()
    axes.pcolormesh(x, y, scores.to_numpy(), cmap=MAP, norm=norm, shading="nearest", rasterized=True)
    if significant.to_numpy().any():
        axes.contour(x, y, significant.to_numpy().astype(float), levels=[0.5], colors=INK, linewidths=0.7)
    if np.isfinite(lag_ms):
        axes.plot(y + lag_ms, y, linestyle="--", color=INK, linewidth=0.9)
    axes.set_xlim(x.min(), x.max())
    axes.set_ylim(y.min(), y.max())


def time_maps_figure(scores: pd.DataFrame, lags: pd.DataFrame, method: str) -> Figure:
    """Draw all layers and areas on one scale of colours.

    Args:
        scores: as :func:`dynvision.recordings.compare` gives them.
        lags: likewise.
        method: name of the comparison, for the label.
    """
    layers, areas = list(dict.fromkeys(scores["layer"])), list(dict.fromkeys(scores["area"]))
    largest = float(np.nanmax(np.abs(scores["score"]))) if scores["score"].notna().any() else 1.0
    norm = TwoSlopeNorm(0.0, -largest or -1.0, largest or 1.0)
    figure = Figure(figsize=(PANEL * len(layers) + 1.6, PANEL * len(areas) + 0.9), layout="constrained")
    panels = figure.subplots(len(areas), len(layers), squeeze=False, sharex=True, sharey=True)
    for row, area in enumerate(areas):
        for column, layer in enumerate(layers):
            axes = panels[row, column]
            table = scores[(scores["layer"] == layer) & (scores["area"] == area)]
            if table.empty:
                axes.remove()
                continue
            found = lags[(lags["layer"] == layer) & (lags["area"] == area)].iloc[0]
            draw_time_map(axes, table, found["lag_ms"], norm)
            lag = f", lag {found['lag_ms']:g} ms" if np.isfinite(found["lag_ms"]) else ""
            axes.set_title(f"{layer} - {area}{lag}", fontsize=9)
    figure.supxlabel("time of the recording (ms)", fontsize=9)
    figure.supylabel("time of the network (ms)", fontsize=9)
    bar = figure.colorbar(ScalarMappable(norm, MAP), ax=panels, shrink=0.8)
    bar.set_label(SCORES[method], fontsize=9)
    return figure


def save_time_maps(scores: pd.DataFrame, lags: pd.DataFrame, folder: Path, method: str) -> None:
    """Write the maps as ``time_maps.png`` and ``.svg``, each whole or not at all."""
    figure = time_maps_figure(scores, lags, method)
    make_legible(figure)
    for suffix in ("png", "svg"):
        with atomic_path(folder / f"time_maps.{suffix}") as temporary:
            figure.savefig(temporary, dpi=150)
