"""DynVision: recurrent convolutional networks with cortical time constants and delays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__version__ = "1.0.0.dev0"


def load(source: str | Path, **settings: Any) -> Any:
    """Load a trained network that answers: ``dynvision.load("results/runs/RUN").predict("cat.png")``.

    See :func:`dynvision.inference.predictor.load`, whose arguments these are.
    """
    from dynvision.inference.predictor import load

    return load(source, **settings)
