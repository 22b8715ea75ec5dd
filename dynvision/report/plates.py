"""Figures in the page: the files that were drawn, embedded, with the captions that were saved in them."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dynvision.config.visualization import DYNAMICS_FIGURES, RUN_FIGURES
from dynvision.errors import InputError
from dynvision.report.content import Plate

PIXELS_PER_POINT = 4 / 3  # CSS: 96 px and 72 pt are an inch
SCALE = 1.3  # figures are drawn for print, where text may be smaller
_DESCRIPTION = re.compile(r"<dc:description>(.*?)</dc:description>", re.DOTALL)
_SIZE = re.compile(r'<svg[^>]*?\swidth="([\d.]+)pt"\sheight="([\d.]+)pt"')


def experiment_plates(folder: Path, root: Path, chapter: str, figures: Sequence[str]) -> list[Plate]:
    """The figures of an experiment.

    Args:
        folder: where they are.
        root: the results folder; the files beside a figure are named from here.
        chapter: identity of the chapter that they are in.
        figures: names of the figures, in their order.

    Raises:
        InputError: a figure or its data is missing or broken.
    """
    return [figure_plate(folder, root, f"{chapter}-{name}", name) for name in figures]


def training_plates(folder: Path, root: Path) -> list[Plate]:
    """The figures of training and of weights, as far as they are there."""
    return [
        figure_plate(folder, root, f"figure-{name}", name)
        for name in RUN_FIGURES
        if (folder / f"{name}.svg").exists()
    ]


def dynamics_plates(folder: Path, root: Path) -> list[Plate]:
    """The figures of the dynamics of the runs, as far as they are there."""
    return [
        figure_plate(folder, root, f"figure-{name}", name)
        for name in DYNAMICS_FIGURES
        if (folder / f"{name}.svg").exists()
    ]


def scorecard_plates(root: Path, run_ids: Sequence[str]) -> list[Plate]:
    """The scorecards of the runs, as far as they are there."""
    folders = {run_id: root / "scorecard" / run_id for run_id in run_ids}
    return [
        figure_plate(folder, root, f"scorecard-{run_id}", "scorecard")
        for run_id, folder in folders.items()
        if (folder / "scorecard.svg").exists()
    ]


def comparison_plates(folder: Path, root: Path, chapter: str, figures: Sequence[str]) -> list[Plate]:
    """The figures of a comparison of a run with a recording or with observers."""
    return [figure_plate(folder, root, f"{chapter}-{name}", name) for name in figures]


def figure_plate(folder: Path, root: Path, identity: str, name: str) -> Plate:
    """Return a figure with the caption that was saved in it; without one, with its name."""
    image, data = folder / f"{name}.svg", folder / f"{name}.csv"
    try:
        drawing = image.read_text(encoding="utf-8")
        pd.read_csv(data, nrows=1)
    except FileNotFoundError as error:
        raise InputError(
            f"{error.filename} does not exist; draw the figures with dynvision plot first"
        ) from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            f"figure {image} or its data cannot be read: {' '.join(str(error).split())}"
        ) from None
    size = _SIZE.search(drawing)
    if size is None:
        raise InputError(f"figure {image} is not an SVG of dynvision plot; draw it again")
    words = _saved_caption(drawing) or name.capitalize()
    width, height = (round(float(points) * PIXELS_PER_POINT * SCALE) for points in size.groups())
    content = base64.b64encode(drawing.encode()).decode()
    return Plate(
        identity=identity,
        alt=name.capitalize(),
        caption=words,
        source=f"data:image/svg+xml;base64,{content}",
        width=width,
        height=height,
        data_file=str(data.relative_to(root)) if data.is_relative_to(root) else data.name,
    )


def _saved_caption(drawing: str) -> str:
    found = _DESCRIPTION.search(drawing)
    return " ".join(html.unescape(found[1]).split()) if found else ""
