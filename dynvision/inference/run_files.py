"""A trained run on disk: from the path of its folder, or of its weights, to all that an answer needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dynvision.config.run import RunConfig, read_run_config, thaw
from dynvision.config.yaml_text import parse
from dynvision.data.manifest import read_manifest
from dynvision.data.shown_images import ShownImages, in_header
from dynvision.errors import InputError
from dynvision.inference.errors import ModelLoadError
from dynvision.models.weights import read_header

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"


@dataclass(frozen=True)
class RunFiles:
    """A run that has been trained.

    Attributes:
        config: its frozen configuration.
        weights: its ``model.safetensors``.
        images: how its images are stored and shown, and what their classes are called.
    """

    config: RunConfig
    weights: Path
    images: ShownImages


def find_run_files(path: str | Path, data: str | Path | None = None) -> RunFiles:
    """The files of a run.

    Args:
        path: the run's folder, or its weights, in whose header is the configuration.
        data: folder of its data; by default the header of the weights says what must be known of them.

    Raises:
        ModelLoadError: something is missing, damaged or of another run.
    """
    path = Path(path)
    try:
        weights = path / WEIGHTS if path.is_dir() else path
        config = read_run_config(path / CONFIG) if path.is_dir() else _config_in(weights)
        return RunFiles(config, weights, _images(config, weights, data))
    except InputError as error:
        raise ModelLoadError(str(error)) from None


def _config_in(weights: Path) -> RunConfig:
    """The configuration in the header of a run's weights."""
    header = read_header(weights)
    if "config" not in header:
        raise InputError(
            f"weights {weights} are not of a run: there is no configuration in their header; to begin a training with "
            "them, set training.init_with_pretrained"
        )
    return thaw(parse(header["config"], f"the configuration in {weights}"))


def _images(config: RunConfig, weights: Path, data: str | Path | None) -> ShownImages:
    if data is not None:
        return read_manifest(data, config.data.images)
    images = in_header(read_header(weights), config.data.images)
    if images is not None:
        return images
    folder = weights.absolute().parent.parent.parent / "data" / config.data_id  # where the workflow puts it
    if folder.is_dir():
        return read_manifest(folder, config.data.images)
    raise InputError(
        f"weights {weights} do not say how their images are shown, and there is no folder {folder} that does; give the "
        "folder of the run's data with data="
    )
