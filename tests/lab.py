"""A laboratory on a table: 36 small digits of three classes, a small network that is trained in a second, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import RunConfig
from dynvision.config.section import validate
from dynvision.config.yaml_text import to_yaml
from tests.processes import Outcome, obey_permissions, run_forked, run_spawned

N_CLASSES, N_IMAGES = 3, 12  # images of each class; 2 of them are test and 1 validation images
CONTRAST = {
    "stimulus": {"duration_ms": 6},
    "parameter": "contrast",
    "values": [0.25, 1.0],
    "baseline_ms": 4,
    "recorded_ms": 20,
    "model_args": {"t_idle": 8},
}


def write_digits(folder: Path, n_images: int = N_IMAGES, size: int = 8) -> Path:
    """Write real handwritten digits as PNG files in class folders."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for label in range(N_CLASSES):
        for number, index in enumerate(np.flatnonzero(digits.target == label)[:n_images]):
            path = folder / f"digit {label}" / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray((digits.images[index] * 15).astype(np.uint8))
            image.resize((size, size)).save(path)
    return folder


def forked_command(*arguments: object, log: Path, obedient: bool = False, **how: Any) -> Outcome:
    """Run ``dynvision <arguments>`` in a fork, if ``obedient`` without root's rights; ``how`` as of `run_forked`.

    Where tests see a GPU it runs in an interpreter of its own.
    """
    import torch

    from dynvision.cli import main

    if torch.cuda.is_available():
        return run_spawned([str(argument) for argument in arguments], log, obedient, **how)

    def action() -> int:
        if obedient:
            obey_permissions()
        return main([str(argument) for argument in arguments])

    return run_forked(action, log, **how)


@dataclass(frozen=True)
class Lab:
    """A folder in which to convert, train and experiment."""

    root: Path
    images: Path

    def sections(self, **changes: Any) -> dict[str, Any]:
        """The sections of a run's configuration."""
        sections: dict[str, Any] = {
            "model": {
                "name": "DyRCNNx2",
                "args": {"n_timesteps": 3, "t_recurrence": 2, "recurrence_type": "self"},
            },
            "data": {"name": f"folder:{self.images}", "resolution": 8, "n_channels": 1},
            "training": {"epochs": 3, "batch_size": 8},
            "seed": 1,
        }
        for name, values in changes.items():
            sections[name] = {**sections[name], **values} if isinstance(values, dict) else values
        return sections

    def config(self, name: str = "config", **changes: Any) -> Path:
        """Write the configuration of a run; ``changes`` are merged into its sections."""
        path = self.root / f"{name}.yaml"
        path.write_text(to_yaml(validate(RunConfig, self.sections(**changes), "")))
        return path

    def experiment(self, name: str = "contrast", **changes: Any) -> Path:
        """Write the configuration of an experiment."""
        path = self.root / f"{name}-experiment.yaml"
        config = validate(ExperimentConfig, {**CONTRAST, **changes}, "")
        path.write_text(to_yaml({"name": name, **config.model_dump(mode="json")}))
        return path

    def command(self, *arguments: object, **how: Any) -> Outcome:
        """Run ``dynvision <arguments>``."""
        return forked_command(*arguments, log=self.root / "log", **how)

    def convert(self, **how: Any) -> Outcome:
        """Convert the images."""
        config, folder = self.root / "config.yaml", self.root / "data"
        return self.command("convert", "--config", config, "--output", folder, "--loader", "torch", **how)

    def train(
        self, config: Path | None = None, run: str = "run", options: Sequence[object] = (), **how: Any
    ) -> Outcome:
        """Train a run."""
        config = config or self.root / "config.yaml"
        folders = ("--data", self.root / "data", "--output", self.root / run)
        return self.command("train", "--config", config, *folders, "--loader", "torch", *options, **how)

    def show(
        self, experiment: Path, run: str = "run", tables: str = "", config: Path | None = None, **how: Any
    ) -> Outcome:
        """Run an experiment on a run."""
        folder = self.root / (tables or experiment.stem)
        options = {
            "experiment": experiment,
            "config": config or self.root / "config.yaml",
            "weights": self.root / run / "model.safetensors",
            "data": self.root / "data",
            "responses": folder / "responses.parquet",
            "performance": folder / "performance.parquet",
            "loader": "torch",
        }
        return self.command(
            "experiment", *(part for name, value in options.items() for part in (f"--{name}", value)), **how
        )
