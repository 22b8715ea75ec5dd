"""A figure's three files: PNG to look at, SVG to edit, CSV with exactly what was drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from dynvision.files import atomic_path
from dynvision.visualization.glyphs import make_legible
from dynvision.visualization.style import Style

PADDING = 0.08  # inches around what is drawn


@dataclass(frozen=True)
class Drawn:
    """A figure, the table that it shows, and what to know to read it."""

    name: str
    figure: Figure
    table: pd.DataFrame
    caption: str


def save_figure(drawn: Drawn, output_dir: str | Path, style: Style) -> list[Path]:
    """Write a figure as PNG, SVG and CSV, each whole or not at all. Equal figures give equal bytes.

    Text in the SVG stays text. The caption is in the metadata of PNG and SVG.

    Returns:
        The three paths.
    """
    paths = [Path(output_dir) / f"{drawn.name}.{suffix}" for suffix in ("png", "svg", "csv")]
    facts = {"Title": drawn.name, "Description": drawn.caption}
    with style.context():
        make_legible(drawn.figure)
        outline = drawn.figure.get_tightbbox().padded(PADDING)  # once: each takes a drawing
        with atomic_path(paths[0]) as temporary:
            drawn.figure.savefig(
                temporary,
                format="png",
                dpi=style.config.dpi,
                bbox_inches=outline,
                metadata={**facts, "Software": None},
            )
        with atomic_path(paths[1]) as temporary:
            drawn.figure.savefig(
                temporary,
                format="svg",
                bbox_inches=outline,
                metadata={**facts, "Date": None, "Creator": None},
            )
    with atomic_path(paths[2]) as temporary:
        drawn.table.to_csv(temporary, index=False)
    return paths
