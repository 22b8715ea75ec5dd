"""The models that can be named in a configuration: where each is, and which arguments it takes.

Nothing here imports torch, so that a configuration is checked at once; `dynvision.models` builds what is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from dynvision.config.model import DyRCNNArgs, TemporalArgs
from dynvision.errors import InputError, unknown_name

MODELS_FOLDER = Path(__file__).parent.parent / "models"


class OpenArgs(TemporalArgs):
    """Arguments of a user's own model: the common ones are checked here, the others by its constructor."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_default=True, allow_inf_nan=False)



@dataclass(frozen=True)
class ModelEntry:
    """A model's import path ``package.module:Class`` and the schema of its arguments."""

    target: str
    args: type[TemporalArgs]


MODELS: dict[str, ModelEntry] = {}


def register(name: str, target: str, args: type[TemporalArgs] = DyRCNNArgs) -> None:
    """Make a model known by name.

    Raises:
        InputError: the name is taken.
    """
    if name in MODELS:
        raise InputError(f"the model name {name!r} is taken by {MODELS[name].target}")
    MODELS[name] = ModelEntry(target, args)


def find_model(name: str) -> ModelEntry:
    """The entry of a registered name, of a class in ``dynvision/models/``, or of ``package.module:Class``.

    Raises:
        InputError: the name is not known.
    """
    if name in MODELS:
        return MODELS[name]
    if ":" in name:
        return ModelEntry(name, OpenArgs)
    placed = _placed_models()
    if name not in placed:
        raise unknown_name("model", name, {*MODELS, *placed}, key="model_name")
    return ModelEntry(placed[name], OpenArgs)


def _placed_models() -> dict[str, str]:
    """Classes in files that a user placed in ``dynvision/models/``, found without importing them."""
    registered = {entry.target.partition(":")[0] for entry in MODELS.values()}
    placed: dict[str, str] = {}
    for path in sorted(MODELS_FOLDER.glob("*.py")):
        module = f"dynvision.models.{path.stem}"
        if path.stem != "__init__" and module not in registered:
            for name in re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE):
                placed[name] = f"{module}:{name}"
    return placed


for _name in ("DyRCNNx2", "DyRCNNx4", "DyRCNNx8"):
    register(_name, f"dynvision.models.dyrcnn:{_name}")
