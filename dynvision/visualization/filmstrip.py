"""The trials of an experiment as rows of pictures: what is on the screen, and when, at every value of the parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dynvision.visualization.labels import value_label
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import INK, MUTED, Style

SIDE = 0.62  # inches, of a picture
GAP = (0.07, 0.34)  # inches, between columns and rows
LEFT, TOP = 0.62, 0.3  # inches, for values and their title
MOST_PICTURES = 12  # in a row


class Picture(Protocol):
    """What is on the screen for a while: times in ms from stimulus onset, pixels (H, W, 3) in 0..1."""

    @property
    def start_ms(self) -> float: ...
    @property
    def end_ms(self) -> float: ...
    @property
    def shown(self) -> str: ...
    @property
    def contrast(self) -> float: ...
    @property
    def pixels(self) -> NDArray[np.float32]: ...


def draw_filmstrip(
    name: str, parameter: str, rows: Sequence[tuple[float, Sequence[Picture]]], style: Style
) -> Drawn:
    """Draw the trials of an experiment.

    Args:
        name: of the experiment.
        parameter: what varies, with its unit.
        rows: each value of the parameter with what is on the screen in its trial, in turn.
        style: the look.
    """
    table = pd.DataFrame(
        [
            {
                "value": value,
                "start_ms": picture.start_ms,
                "end_ms": picture.end_ms,
                "shown": picture.shown,
                "contrast": picture.contrast,
                "mean_pixel": float(picture.pixels.mean()),
            }
            for value, pictures in rows
            for picture in pictures
        ]
    )
    with style.context():
        figure = _figure(parameter, [(value, _some(pictures)) for value, pictures in rows])
    caption = (
        f"What is on the screen in the trials of the experiment {name}, with the time in ms from stimulus onset below each "
        "picture. Of what changes from step to step, some pictures are shown."
    )
    return Drawn("trials", figure, table, caption)


def _some(pictures: Sequence[Picture]) -> list[Picture]:
    """Return at most as many pictures as a row has room for, evenly spread, the first and the last among them."""
    if len(pictures) <= MOST_PICTURES:
        return list(pictures)
    return [pictures[round(k * (len(pictures) - 1) / (MOST_PICTURES - 1))] for k in range(MOST_PICTURES)]


def _figure(parameter: str, rows: Sequence[tuple[float, Sequence[Picture]]]) -> Figure:
    n_columns = max(len(pictures) for _, pictures in rows)
    width = LEFT + n_columns * (SIDE + GAP[0])
    height = TOP + len(rows) * (SIDE + GAP[1])
    figure = Figure(figsize=(width, height))
    figure.text(0.02 / width, 1 - 0.12 / height, parameter, va="center", fontsize="medium")
    for row, (value, pictures) in enumerate(rows):
        top = height - TOP - row * (SIDE + GAP[1])
        middle = (top - SIDE / 2) / height
        figure.text((LEFT - 0.12) / width, middle, value_label(value), ha="right", va="center")
        for column, picture in enumerate(pictures):
            left = LEFT + column * (SIDE + GAP[0])
            axes = figure.add_axes((left / width, (top - SIDE) / height, SIDE / width, SIDE / height))
            axes.imshow(picture.pixels.clip(0, 1), vmin=0, vmax=1, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(True)
                spine.set_linewidth(1.1 if picture.shown in ("image", "film") else 0.5)
                spine.set_color(INK if picture.shown in ("image", "film") else MUTED)
            axes.set_xlabel(
                f"{picture.start_ms:g} to {picture.end_ms:g}", fontsize=5.5, labelpad=2, color=MUTED
            )
    return figure
