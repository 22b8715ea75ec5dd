"""Where results lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ResultPaths:
    """Where results lie below one root folder.

    Attributes:
        root: the folder.
        study: name of a study, whose figures and report lie in a folder of their own; empty is the study without a name.
    """

    root: Path
    study: str = ""

    @property
    def of_study(self) -> Path:
        """Folder of what shows several runs: the report, the table of runs, figures, and how they look."""
        return self.root / "studies" / self.study if self.study else self.root

    @property
    def report(self) -> Path:
        """The report of the study."""
        return self.of_study / "report.html"

    @property
    def visualization(self) -> Path:
        """How figures look."""
        return self.of_study / "visualization.yaml"

    def data(self, data_id: str) -> Path:
        """Folder of a converted data set: ``manifest.json`` and the ``.beton`` files."""
        return self.root / "data" / data_id

    def run(self, run_id: str) -> Path:
        """Folder of a run: ``config.yaml``, ``checkpoints/``, ``model.safetensors``, ``training.csv``."""
        return self.root / "runs" / run_id

    def experiment(self, experiment: str, run_id: str) -> Path:
        """Folder of one experiment on one run: the tables."""
        return self.root / "experiments" / experiment / run_id

    def frozen_experiment(self, experiment: str) -> Path:
        """The configuration of an experiment, as it was last run."""
        return self.root / "experiments" / experiment / "config.yaml"

    def dynamics(self, run_id: str) -> Path:
        """Folder of the dynamics of a run: the tables."""
        return self.root / "dynamics" / run_id

    def figures(self, experiment: str) -> Path:
        """Folder of an experiment's figures."""
        return self.of_study / "figures" / experiment
