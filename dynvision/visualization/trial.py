"""A trial of the training: what is on the screen, and which outputs are scored, against time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from dynvision.visualization.courses import TIME_LABEL, round_step
from dynvision.visualization.layout import panel_grid
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import GUIDE, INK, MUTED, PHASES, STIMULUS, Style

WIDTH = 6.2  # inches
ROW_HEIGHT = 0.28
MOST_FRAMES = 12
NULL_GREY = 0.5


class Step(Protocol):
    """What is drawn of a step; times in ms."""

    @property
    def time_ms(self) -> float: ...
    @property
    def phase(self) -> str: ...
    @property
    def sees_image(self) -> bool: ...
    @property
    def scored_frame_ms(self) -> float | None: ...


class Period(NamedTuple):
    """A stretch of time in ms in which something stays as it is."""

    start: float
    end: float


def draw_trial(steps: Sequence[Step], dt: float, image: NDArray[np.float32] | None, style: Style) -> Drawn:
    """The figure of a trial.

    Args:
        steps: of the trial, in their order.
        dt: length of a step in ms.
        image: what is shown, (H, W, 3) in 0..1; None draws a bright square in its place.
        style: the look.
    """
    table = pd.DataFrame(
        {
            "time_ms": [step.time_ms for step in steps],
            "phase": [step.phase for step in steps],
            "sees_image": [step.sees_image for step in steps],
            "label_counts": [step.scored_frame_ms is not None for step in steps],
            "scored_frame_ms": [step.scored_frame_ms for step in steps],
        }
    )
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
        for span in _periods(table, table[column], dt):
            axes.axvspan(span.start, span.end, color=STIMULUS if column == "sees_image" else INK, linewidth=0)
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
    """What is on the screen in the middle of equal parts of the trial, each above its time."""
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
        for span in _periods(table, table["phase"] == phase, dt):
            axes.axvspan(span.start, span.end, color=colour, linewidth=0, zorder=0)
            axes.text(
                (span.start + span.end) / 2, 0.5, phase, ha="center", va="center", color=MUTED, fontsize=6.5
            )


def _periods(table: pd.DataFrame, holds: pd.Series, dt: float) -> list[Period]:
    """The stretches of time in which something holds."""
    times, flags = table["time_ms"].to_numpy(dtype=float), holds.to_numpy(dtype=bool)
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(int))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [Period(float(times[a]) - dt, float(times[b - 1])) for a, b in zip(starts, ends, strict=True)]
