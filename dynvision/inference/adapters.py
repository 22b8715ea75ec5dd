"""Which class loads a file: chosen by what the path is. Adapters are registered by the suffix of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dynvision.inference.base_model import BaseModel
from dynvision.inference.errors import ModelLoadError
from dynvision.inference.run_model import RunModel

FOLDER = "folder"
Adapter = Callable[..., BaseModel]
ADAPTERS: dict[str, Adapter] = {FOLDER: RunModel, ".safetensors": RunModel}
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")


def register_adapter(suffix: str, adapter: Adapter) -> None:
    """Let files with a suffix be loaded by a class of models; it is called with the configuration.

    Raises:
        ValueError: there is one already.
    """
    if suffix in ADAPTERS:
        raise ValueError(f"files {suffix} have an adapter already")
    ADAPTERS[suffix] = adapter


def find_adapter(path: Path) -> Adapter:
    """The class for a path.

    Raises:
        ModelLoadError: there is nothing, or no class for it.
    """
    if not path.exists():
        raise ModelLoadError(
            f"there is no model {path}; give the folder of a run, results/runs/RUN, or its model.safetensors"
        )
    suffix = FOLDER if path.is_dir() else path.suffix
    if suffix in ADAPTERS:
        return ADAPTERS[suffix]
    if suffix in CHECKPOINTS:
        raise ModelLoadError(
            f"{path} holds weights at best and no network, and may run code when it is read; convert published weights "
            "with 'dynvision weights import', or subclass dynvision.inference.BaseModel and read it with "
            "dynvision.models.checkpoint.read_checkpoint"
        )
    if suffix == ".pt2":
        raise ModelLoadError(
            f"{path} is an exported program, which names the functions that it calls and so may run any code; where you "
            "trust it, subclass dynvision.inference.BaseModel and read it with torch.export.load"
        )
    allowed = ", ".join(f"{name} of a run" if name == FOLDER else name for name in ADAPTERS)
    raise ModelLoadError(f"no model can be made of {path}; allowed: {allowed}")
