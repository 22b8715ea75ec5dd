"""Trained networks that ship with the package: a folder each, with the files of a run, which are named here, and a card.

A command that takes a run takes the name of such a folder as well, for example ``dynvision scorecard cortical``.
``scripts/ship_run.py`` makes a folder from a finished run; ``dynvision models --trained`` lists them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynvision.config.run import RunConfig

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
CORTICAL = "cortical"  # the network that reports show beside those of a study
SHIPPED_FIGURES = ("responses",)  # of each experiment whose figures ship beside a network


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


def shipped_runs() -> dict[str, Path]:
    """Return the folders of the trained networks that ship, by name."""
    return {path.parent.name: path.parent for path in sorted(Path(__file__).parent.glob(f"*/{WEIGHTS}"))}


def read_shipped(name: str) -> ShippedRun:
    """Return what the files of a network that ships state of it."""
    from dynvision.config.run import read_run_config

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
