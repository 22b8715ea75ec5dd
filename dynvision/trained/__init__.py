"""Trained networks that ship with the package: a folder each, with the files of a run, which are named here, and a card.

A command that takes a run takes the name of such a folder as well, for example ``dynvision scorecard cortical``.
``scripts/ship_run.py`` makes a folder from a finished run; ``dynvision models --trained`` lists them.
"""

from __future__ import annotations

from pathlib import Path

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
CORTICAL = "cortical"  # the network that reports show beside those of a study
SHIPPED_FIGURES = ("responses",)  # of each experiment whose figures ship beside a network


def shipped_runs() -> dict[str, Path]:
    """Return the folders of the trained networks that ship, by name."""
    return {path.parent.name: path.parent for path in sorted(Path(__file__).parent.glob(f"*/{WEIGHTS}"))}
