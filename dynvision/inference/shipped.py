"""The trained networks that ship, with their accuracy, as a table: ``dynvision models --trained``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dynvision.config.run import RunConfig, read_run_config
from dynvision.data.manifest import in_header
from dynvision.files import read_header
from dynvision.models.build import build_model
from dynvision.models.footprint import row
from dynvision.trained import WEIGHTS, shipped_runs

TRAINED = "trained"  # the table's place in a page


@dataclass(frozen=True)
class ShippedRun:
    """A trained network that ships.

    Attributes:
        name: what commands take.
        run: its frozen configuration.
        test_accuracy: fraction of the test images that it named right when it was trained.
        n_images: how many test images there are.
        weights: their file.
        command: what trains it again.
    """

    name: str
    run: RunConfig
    test_accuracy: float
    n_images: int
    weights: Path
    command: str


def read_shipped(name: str) -> ShippedRun:
    """Return what the files of a network that ships state of it."""
    folder = shipped_runs()[name]
    test = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    (command,) = re.findall(r"Trained by `(.+?)`;", (folder / "README.md").read_text(encoding="utf-8"))
    return ShippedRun(
        name=name,
        run=read_run_config(folder / "config.yaml"),
        test_accuracy=test["test_accuracy"],
        n_images=test["n_images"],
        weights=folder / WEIGHTS,
        command=command,
    )


def trained_row(shipped: ShippedRun) -> str:
    """The row of a network that ships."""
    run = shipped.run
    n_channels, size = run.data.n_channels, run.data.resolution
    images = in_header(read_header(shipped.weights), run.data.images)
    assert images is not None, "every training writes them into the header"
    with torch.device("meta"):
        model = build_model(run, (n_channels, size, size), len(images.class_names))
    cells = (
        f"`{shipped.name}`",
        f"`{run.model.name}`",
        f"{run.data.name}, {n_channels} x {size} px",
        f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        f"{100 * shipped.test_accuracy:.1f} % of {shipped.n_images}",
        f"{shipped.weights.stat().st_size / 1e6:.1f}",
        f"`{shipped.command}`",
    )
    return row(cells)


def trained_table(shipped: Sequence[ShippedRun]) -> str:
    """Networks that ship as a table in Markdown."""
    head = ("name", "model", "images", "parameters", "test accuracy", "MB", "trained by")
    return "\n".join([row(head), "|---|---|---|--:|--:|--:|---|", *map(trained_row, shipped)])
