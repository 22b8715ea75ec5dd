"""What is on the screen in a trial, for ``dynvision show-trial``.

`draw_trial`: a trial of the training, with the outputs that are scored, against time. `draw_filmstrip`: the trials of an
experiment as rows of pictures, one row for each value of the parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from dynvision.analysis.time_grid import stretches
from dynvision.trials import Trial, TrialPicture
from dynvision.visualization.axes import TIME_LABEL, round_step
from dynvision.visualization.layout import panel_grid
from dynvision.visualization.names import value_label
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import GUIDE, INK, MUTED, PHASES, STIMULUS, Style

WIDTH = 6.2  # inches
ROW_HEIGHT = 0.28
MOST_FRAMES = 12
NULL_GREY = 0.5


def draw_trial(trial: Trial, image: NDArray[np.float32] | None, style: Style) -> Drawn:
    """Draw the figure of a trial.

    Args:
        trial: of the training.
        image: what is shown, (H, W, 3) in 0..1; None draws a bright square in its place.
        style: the look.
    """
    table, dt = pd.DataFrame(trial.steps()), trial.dt
    table.insert(3, "label_counts", table["scored_frame_ms"].notna())
    with style.context():
        figure = trial_figure(table, dt, image)
    residual = table["phase"].eq("residual").sum() * dt
    caption = (
        f"What the network sees in a trial of its training, and which of its outputs are compared with a label, by steps "
        f"of {dt:g} ms."
    )
    if residual:
        caption += f" The output at a time is compared with the label of the frame {residual:g} ms before."
    return Drawn("trial", figure, table, caption)


def trial_figure(table: pd.DataFrame, dt: float, image: NDArray[np.float32] | None) -> Figure:
    """Draw a film of the input above bars of what is shown and scored.

    Args:
        table: columns `time_ms`, `phase`, `sees_image`, `label_counts`.
        dt: length of a step in ms.
        image: see `draw_trial`.
    """
    n_frames = min(len(table), MOST_FRAMES)
    film_height = min(0.62, WIDTH / n_frames * 0.92)
    grid = panel_grid(2, 1, WIDTH, ROW_HEIGHT, gap=(0.0, 0.1))
    figure = grid.figure
    before = figure.get_figheight()
    figure.set_figheight(before + film_height)
    for axes in grid.panels[:, 0]:
        place = axes.get_position()
        scale = before / figure.get_figheight()  # panels keep their size below the film
        axes.set_position((place.x0, place.y0 * scale, place.width, place.height * scale))
    rows = {"image on": "sees_image", "label counts": "label_counts"}
    start, end = float(table["time_ms"].iloc[0]) - dt, float(table["time_ms"].iloc[-1])
    for axes, (label, column) in zip(grid.panels[:, 0], rows.items(), strict=True):
        _shade_phases(axes, table, dt)
        for first, last in _periods(table, table[column], dt):
            axes.axvspan(first, last, color=STIMULUS if column == "sees_image" else INK, linewidth=0)
        axes.set_xlim(start, end)
        axes.set_ylim(0, 1)
        axes.set_yticks([0.5], labels=[label], fontsize="medium")
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=GUIDE, linewidth=0.6)
    grid.panels[0, 0].tick_params(labelbottom=False)
    bottom = grid.panels[1, 0]
    bottom.xaxis.set_major_locator(MultipleLocator(round_step((end - start) / 10, dt)))
    bottom.set_xlabel(TIME_LABEL)
    _film(figure, grid.panels[0, 0], table, n_frames, image, film_height)
    return figure


def _film(
    figure: Figure,
    below: Axes,
    table: pd.DataFrame,
    n_frames: int,
    image: NDArray[np.float32] | None,
    height: float,
) -> None:
    """Draw what is on the screen in the middle of equal parts of the trial, each above its time."""
    shown = np.ones((2, 2, 3), dtype=np.float32) if image is None else image
    blank = np.full((2, 2, 3), NULL_GREY, dtype=np.float32)
    place = below.get_position()
    size = height * 0.86
    width, tall = size / figure.get_figwidth(), size / figure.get_figheight()
    for frame in range(n_frames):
        step = table.iloc[int((frame + 0.5) / n_frames * len(table))]
        centre = place.x0 + place.width * (frame + 0.5) / n_frames
        axes = figure.add_axes((centre - width / 2, place.y1 + 0.16 / figure.get_figheight(), width, tall))
        axes.imshow(shown if step["sees_image"] else blank, vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color(INK if step["phase"] == "presentation" else MUTED)
            spine.set_linewidth(0.7)


def _shade_phases(axes: Axes, table: pd.DataFrame, dt: float) -> None:
    for phase, colour in PHASES.items():
        for first, last in _periods(table, table["phase"] == phase, dt):
            axes.axvspan(first, last, color=colour, linewidth=0, zorder=0)
            axes.text((first + last) / 2, 0.5, phase, ha="center", va="center", color=MUTED, fontsize=6.5)


def _periods(table: pd.DataFrame, holds: pd.Series, dt: float) -> list[tuple[float, float]]:
    """Return from when to when something holds, in ms."""
    times, flags = table["time_ms"].to_numpy(dtype=float), holds.to_numpy(dtype=bool)
    return [
        (float(times[first]) - dt, float(times[after - 1]))
        for first, after in zip(*stretches(flags), strict=True)
    ]


SIDE = 0.62  # inches, of a picture
GAP = (0.07, 0.34)  # inches, between columns and rows
LEFT, TOP, BOTTOM = 0.62, 0.3, 0.14  # inches, for values, their title, and the label of times
MOST_PICTURES = 12  # in a row


def draw_filmstrip(
    name: str, parameter: str, rows: Sequence[tuple[float, Sequence[TrialPicture]]], style: Style
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


def _some(pictures: Sequence[TrialPicture]) -> list[TrialPicture]:
    """Return at most as many pictures as a row has room for, evenly spread, the first and the last among them."""
    if len(pictures) <= MOST_PICTURES:
        return list(pictures)
    return [pictures[round(k * (len(pictures) - 1) / (MOST_PICTURES - 1))] for k in range(MOST_PICTURES)]


def _figure(parameter: str, rows: Sequence[tuple[float, Sequence[TrialPicture]]]) -> Figure:
    n_columns = max(len(pictures) for _, pictures in rows)
    width = LEFT + n_columns * (SIDE + GAP[0])
    height = TOP + len(rows) * (SIDE + GAP[1]) + BOTTOM
    figure = Figure(figsize=(width, height))
    figure.text(LEFT / width, 0.04 / height, TIME_LABEL, fontsize="small", color=MUTED)
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
