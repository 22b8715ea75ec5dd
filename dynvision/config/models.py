"""The models that can be named in a configuration: where each is, and which arguments it takes.

Nothing here imports torch, so that a configuration is checked at once; `dynvision.models` builds what is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynvision.config.model import DyRCNNArgs, TemporalArgs
from dynvision.errors import InputError, unknown_name


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
    """The entry of a model name, or of a user's own class given as ``package.module:Class``.

    Raises:
        InputError: the name is not known.
    """
    if ":" in name:
        return ModelEntry(name, DyRCNNArgs)
    if name not in MODELS:
        raise unknown_name("model", name, MODELS, key="model_name")
    return MODELS[name]


for _name in ("DyRCNNx2", "DyRCNNx4", "DyRCNNx8"):
    register(_name, f"dynvision.models.dyrcnn:{_name}")
