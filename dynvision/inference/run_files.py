"""A trained run on disk: from the path of its folder, or of its weights, to all that an answer needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from dynvision.config.run import YAML_LOADER, RunConfig, read_run_config
from dynvision.config.section import validate
from dynvision.data.manifest import Manifest, read_manifest
from dynvision.errors import InputError
from dynvision.inference.errors import ModelLoadError
from dynvision.models.weights import read_weights

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"


@dataclass(frozen=True)
class RunFiles:
    """A run that has been trained.

    Attributes:
        config: its frozen configuration.
        weights: its ``model.safetensors``.
        manifest: of its data: pixel statistics, class names, and how pixels are stored.
    """

    config: RunConfig
    weights: Path
    manifest: Manifest


def find_run_files(path: str | Path, data: str | Path | None = None) -> RunFiles:
    """The files of a run.

    Args:
        path: the run's folder, or its weights, in whose header is the configuration.
        data: folder of its data; by default ``../../data/{data_id}`` of the run's folder, where the workflow puts it.

    Raises:
        ModelLoadError: something is missing, damaged or of another run.
    """
    path = Path(path)
    try:
        if path.is_dir():
            config, weights = read_run_config(path / CONFIG), path / WEIGHTS
        else:
            config, weights = _config_in(path), path
        folder = (
            Path(data)
            if data is not None
            else weights.absolute().parent.parent.parent / "data" / config.data_id
        )
        if data is None and not folder.is_dir():
            raise InputError(
                f"there is no folder {folder} with the run's data, whose manifest.json holds pixel statistics and class "
                "names; give another folder with data="
            )
        return RunFiles(config, weights, read_manifest(folder, config.data.images))
    except InputError as error:
        raise ModelLoadError(str(error)) from None


def _config_in(weights: Path) -> RunConfig:
    """The configuration in the header of a run's weights."""
    _, header = read_weights(weights)
    if "config" not in header:
        raise InputError(
            f"weights {weights} are not of a run: there is no configuration in their header; to begin a training with "
            "them, set training.init_with_pretrained"
        )
    return validate(RunConfig, yaml.load(header["config"], Loader=YAML_LOADER), "")
