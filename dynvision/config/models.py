"""The models that can be named in a configuration: where each is, and which arguments it takes.

Nothing here imports torch, so that a configuration is checked at once; `dynvision.models` builds what is named.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from pydantic import ConfigDict

from dynvision.config.model import KEEPS_CHANNELS, RECURRENCE_TYPES, DyRCNNArgs, RecurrentArgs, TemporalArgs
from dynvision.config.published_models import (
    AlexNetArgs,
    BLArgs,
    BLTArgs,
    CifarResNetArgs,
    CordsNetArgs,
    CORnetArgs,
    CORnetRArgs,
    CORnetRTArgs,
    ResNetArgs,
)
from dynvision.config.section import resolve_by_layer
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry

MODELS_FOLDER = Path(__file__).parent.parent / "models"


class OpenArgs(TemporalArgs):
    """Arguments of a user's own model: the common ones are checked here, the others by its constructor."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_default=True, allow_inf_nan=False)


@dataclass(frozen=True)
class ModelEntry:
    """A model's import path ``package.module:Class``, the schema of its arguments, and what they must fit to.

    ``stages`` is the number of convolutions in each layer; None where it is not known, and not checked then. ``image``,
    (C, H, W), and ``n_classes`` are what the model was made for; it takes others.
    """

    target: str
    args: type[TemporalArgs]
    stages: int | None = None
    image: tuple[int, int, int] = (3, 224, 224)
    n_classes: int = 1000
    layers: tuple[str, ...] = ()


MODELS: Registry[ModelEntry] = Registry("model", key="model_name")
# Other names of models; a run has the name that the model is registered by.
MODEL_NAMES = {"CorNetRT": "CORnetRT", "CordsNet": "CordsNetR8"}


def register(
    name: str,
    target: str,
    args: type[TemporalArgs] = DyRCNNArgs,
    stages: int | None = None,
    image: tuple[int, int, int] = (3, 224, 224),
    n_classes: int = 1000,
    layers: tuple[str, ...] = (),
) -> None:
    """Make a model known by name.

    Args:
        name: what ``model_name`` says.
        target: ``package.module:Class``.
        args: schema of its arguments.
        stages: convolutions in each layer, if all have as many and the first one changes the number of channels.
        image: (C, H, W) of the images that the model was made for.
        n_classes: number of classes that it was made for.
        layers: names of its layers, in the order of the hierarchy, so that arguments by layer are checked at planning.

    Raises:
        InputError: the name is taken.
    """
    if registered_name(name) in MODELS:
        raise InputError(f"the model name {name!r} is taken by {find_model(name).target}")
    MODELS.add(name, ModelEntry(target, args, stages, image, n_classes, layers))


def check_recurrence(name: str, entry: ModelEntry, args: TemporalArgs) -> None:
    """Check that the layers of a model have the target that the recurrence is to enter.

    Raises:
        InputError: naming the two keys that do not go together.
    """
    if entry.stages is None or not isinstance(args, RecurrentArgs) or args.recurrence_type == "none":
        return
    if args.recurrence_target == "middle" and entry.stages < 2:
        raise InputError(
            f"recurrence_target=middle needs layers of two convolutions, and those of {name} have one; "
            "set recurrence_target to output or input, or recurrence_type to none"
        )
    if args.recurrence_target == "input" and args.recurrence_type in KEEPS_CHANNELS:
        changing = [kind for kind in RECURRENCE_TYPES if kind not in KEEPS_CHANNELS and kind != "none"]
        raise InputError(
            f"recurrence_type={args.recurrence_type} keeps the number of channels, so it cannot reach "
            f"recurrence_target=input; set recurrence_target to output, or recurrence_type to {', '.join(changing)}"
        )


def check_layers(entry: ModelEntry, args: TemporalArgs) -> None:
    """Check that arguments by layer name layers that the model has, where those are known.

    Raises:
        InputError: naming the layers.
    """
    for name in type(args).model_fields if entry.layers else ():
        value = getattr(args, name)
        if isinstance(value, dict):
            resolve_by_layer(value, entry.layers, None, name)


def registered_name(name: str) -> str:
    """The name that a model is registered by, of any of its names."""
    return MODEL_NAMES.get(name, name)


def find_model(name: str) -> ModelEntry:
    """The entry of a registered name, of a class in ``dynvision/models/``, or of ``package.module:Class``.

    Raises:
        InputError: the name is not known.
    """
    name = registered_name(name)
    if name in MODELS:
        return MODELS[name]
    if ":" in name:
        return ModelEntry(name, OpenArgs)
    placed = _placed_models()
    if name not in placed:
        raise unknown_name("model", name, {*MODELS, *MODEL_NAMES, *placed}, key="model_name")
    return ModelEntry(placed[name], OpenArgs)


def check_module(name: str) -> None:
    """Check, without importing it, that the module of ``package.module:Class`` is installed or in the working directory.

    Raises:
        InputError: it is not.
    """
    package = name.partition(":")[0].partition(".")[0]
    if PathFinder.find_spec(package, [*sys.path, os.getcwd()]) is None:
        raise InputError(
            f"model_name {name!r}: there is no module {package!r}, neither installed nor in the folder {os.getcwd()}"
        )


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


_AREAS = ("V1", "V2", "V4", "IT")
_STAGES = ("layer1", "layer2", "layer3", "layer4")
register(
    "DyRCNNx2",
    "dynvision.models.dyrcnn:DyRCNNx2",
    stages=1,
    image=(1, 28, 28),
    n_classes=10,
    layers=_STAGES[:2],
)
register(
    "DyRCNNx4", "dynvision.models.dyrcnn:DyRCNNx4", stages=1, image=(3, 64, 64), n_classes=10, layers=_AREAS
)
register("DyRCNNx8", "dynvision.models.dyrcnn:DyRCNNx8", stages=2, n_classes=10, layers=_AREAS)
_CONVOLUTIONS = tuple(f"conv{number}" for number in range(1, 6))
register("AlexNet", "dynvision.models.alexnet:AlexNet", AlexNetArgs, stages=1, layers=_CONVOLUTIONS)
for _depth in (18, 34, 50, 101, 152):
    _target = f"dynvision.models.resnet:ResNet{_depth}"
    register(f"ResNet{_depth}", _target, ResNetArgs, stages=2, layers=_STAGES)
for _depth in (20, 32, 44, 56, 110):
    _target = f"dynvision.models.resnet:ResNet{_depth}"
    register(f"ResNet{_depth}", _target, CifarResNetArgs, 2, (3, 32, 32), 10, _STAGES[:3])
register("CORnetZ", "dynvision.models.cornet:CORnetZ", CORnetArgs, layers=_AREAS)
register("CORnetR", "dynvision.models.cornet:CORnetR", CORnetRArgs, layers=_AREAS)
register("CORnetRT", "dynvision.models.cornet:CORnetRT", CORnetRTArgs, layers=_AREAS)
register("CORnetS", "dynvision.models.cornet:CORnetS", CORnetArgs, layers=_AREAS)
for _n in (2, 4, 6, 8):
    _names = tuple(f"layer{k}" for k in range(_n + 1))
    register(f"CordsNetR{_n}", f"dynvision.models.cordsnet:CordsNetR{_n}", CordsNetArgs, layers=_names)
_NAMES = tuple(f"layer{k}" for k in range(1, 8))
register("BL", "dynvision.models.blt:BL", BLArgs, image=(3, 128, 128), n_classes=565, layers=_NAMES)
register("BLT", "dynvision.models.blt:BLT", BLTArgs, image=(3, 128, 128), n_classes=565, layers=_NAMES)
