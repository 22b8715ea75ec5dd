"""Where results lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ResultPaths:
    """Where results lie below one root folder."""

    root: Path

    def data(self, data_id: str) -> Path:
        """Folder of a converted data set: ``manifest.json`` and the ``.beton`` files."""
        return self.root / "data" / data_id

    def run(self, run_id: str) -> Path:
        """Folder of a run: ``config.yaml``, ``checkpoints/``, ``model.safetensors``, ``training.csv``."""
        return self.root / "runs" / run_id

    def experiment(self, experiment: str, run_id: str) -> Path:
        """Folder of one experiment on one run: the tables."""
        return self.root / "experiments" / experiment / run_id

    def figures(self, experiment: str) -> Path:
        """Folder of an experiment's figures."""
        return self.root / "figures" / experiment
