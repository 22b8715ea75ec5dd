"""The models that can be named in a configuration: where each is, which arguments it takes, and its connections by name.

    feedforward  V1->V2    from a layer to the next
    recurrent    V1->V1    from a layer to itself
    skip         V1->V4    from an earlier to a later layer
    feedback     V4->V1    from a later to an earlier layer

Where two lead from one layer to another, the kind stands in front: ``skip layer1->layer2``. Nothing here imports torch, so
that a configuration is checked at once; `dynvision.models` builds what is named.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ConfigDict

from dynvision.config.dyrcnn import DyRCNNArgs, layers_of_area
from dynvision.config.model import (
    KEEPS_CHANNELS,
    RECURRENCE_TYPES,
    RecurrentArgs,
    TemporalArgs,
    check_grid,
    kinds_of,
)
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
from dynvision.config.section import ARROW, resolve_by_layer
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry

MODELS_FOLDER = Path(__file__).parent.parent / "models"


class OpenArgs(TemporalArgs):
    """Arguments of a user's own model: the common ones are checked here, the others by its constructor."""

    model_config = ConfigDict(extra="allow")


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ModelEntry:
    """A model, and what its arguments must fit to, so that they are checked at planning.

    Attributes:
        target: ``package.module:Class``.
        args: schema of its arguments.
        stages: convolutions in each layer, if all have as many and the first one changes the number of channels; None is
            not checked.
        image: (C, H, W) of the images that the model was made for; it takes others.
        n_classes: number of classes that it was made for.
        layers: names of its layers, in the order of the hierarchy; empty where they are not known.
        skips, feedbacks: its connections, as pairs of a source and a target.
        lateral: layers with a recurrence that no argument chooses.
    """

    target: str
    args: type[TemporalArgs]
    stages: int | None = None
    image: tuple[int, int, int] = (3, 224, 224)
    n_classes: int = 1000
    layers: tuple[str, ...] = ()
    skips: Pairs = ()
    feedbacks: Pairs = ()
    lateral: tuple[str, ...] = ()


MODELS: Registry[ModelEntry] = Registry("model", key="model_name")
# Other names of models; a run has the name that the model is registered by.
MODEL_NAMES = {"CorNetRT": "CORnetRT", "CordsNet": "CordsNetR8"}


def register(name: str, target: str, args: type[TemporalArgs] = DyRCNNArgs, **facts: Any) -> None:
    """Make a model known by name.

    Args:
        name: what ``model_name`` states.
        target: ``package.module:Class``.
        args: schema of its arguments.
        **facts: further attributes of :class:`ModelEntry`.

    Raises:
        InputError: the name is taken.
    """
    if registered_name(name) in MODELS:
        raise InputError(f"the model name {name!r} is taken by {find_model(name).target}")
    MODELS.add(name, ModelEntry(target, args, **facts))


def check_recurrence(name: str, entry: ModelEntry, args: TemporalArgs) -> None:
    """Check that the layers of a model have the target that the recurrence is to enter.

    Raises:
        InputError: naming the two keys that do not go together.
    """
    if entry.stages is None or not isinstance(args, RecurrentArgs) or not args.recurs:
        return
    if args.recurrence_target == "middle" and entry.stages < 2:
        raise InputError(
            f"recurrence_target=middle needs layers of two convolutions, and those of {name} have one; "
            "set recurrence_target to output or input, or recurrence_type to none"
        )
    for layer, kind in kinds_of(args.recurrence_type):
        if args.recurrence_target != "input" or kind not in KEEPS_CHANNELS:
            continue
        changing = [kind for kind in RECURRENCE_TYPES if kind not in KEEPS_CHANNELS and kind != "none"]
        raise InputError(
            f"recurrence_type{layer}={kind} keeps the number of channels, so it cannot reach "
            f"recurrence_target=input; set recurrence_target to output, or recurrence_type to {', '.join(changing)}"
        )


def check_layers(entry: ModelEntry, args: TemporalArgs) -> None:
    """Check that arguments by layer and a lesion name layers and connections that the model has, where those are known.

    Raises:
        InputError: naming those that it has.
    """
    if not entry.layers:
        return
    for name in type(args).model_fields:
        value = getattr(args, name)
        if isinstance(value, dict):
            layers, pairs = layers_with(entry, args), pairs_of(name, entry.skips, entry.feedbacks)
            check_grid(name, resolve_by_layer(value, layers, None, name, pairs), value, args.dt)
    if args.lesion:
        find_connection(args.lesion, connections(entry, args), "model_args.lesion")


def without_effect(name: str, args: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments of a model that change nothing beside its others, each with what it is of and how to have that.

    Args:
        name: of the model.
        args: all of its arguments, checked.
    """
    owners = find_model(name).args.model_construct(None, **args).owners()
    return {given: owner for given, (there, owner) in owners.items() if not there}


class NamedConnection(NamedTuple):
    """A connection: its kind, one of the four above, and from where to where it leads."""

    kind: str
    source: str
    target: str

    @property
    def pair(self) -> str:
        """``V1->V4``."""
        return f"{self.source}{ARROW}{self.target}"


def feedforward_connections(layers: Sequence[str]) -> list[NamedConnection]:
    """Return the connections from each layer to the next."""
    return [NamedConnection("feedforward", source, target) for source, target in pairwise(layers)]


def find_connection(name: str, connections: Iterable[NamedConnection], key: str) -> NamedConnection:
    """Return a connection by name.

    Args:
        name: ``V1->V4``, or with its kind in front ``skip V1->V4``.
        connections: those that there are.
        key: the key that has the name, for errors.

    Raises:
        InputError: there is no connection of that name, or there are two.
    """
    known = list(dict.fromkeys(connections))
    *kind, pair = name.replace(f" {ARROW}", ARROW).replace(f"{ARROW} ", ARROW).split(" ")
    found = [c for c in known if c.pair == pair and kind in ([], [c.kind])]
    if len(found) == 1:
        return found[0]
    if found:
        forms = " or ".join(f"{c.kind} {c.pair}" for c in found)
        raise InputError(f"{key}={name!r} names {len(found)} connections; write {forms}")
    pairs = [c.pair for c in known]
    raise unknown_name(
        "connection", name, [p if pairs.count(p) == 1 else f"{c.kind} {p}" for c, p in zip(known, pairs, strict=True)],
        key=key,
    )  # fmt: skip


def layers_with(entry: ModelEntry, args: TemporalArgs) -> list[str]:
    """Return the layers that a model of known areas has with its arguments."""
    extra = getattr(args, "extra_layers", 0)
    return [layer for area in entry.layers for layer in layers_of_area(area, extra)]


def pairs_of(name: str, skips: Iterable[tuple[str, str]], feedbacks: Iterable[tuple[str, str]]) -> Any:
    """Return the connections that a delay is of; None where the model has none, or the argument is no delay of one."""
    return list({"t_skip": skips, "t_feedback": feedbacks}.get(name, ())) or None


def connections(entry: ModelEntry, args: TemporalArgs) -> list[NamedConnection]:
    """Return the connections that a model of known layers has with its arguments."""
    given, layers = vars(args), layers_with(entry, args)
    found = feedforward_connections(layers)
    if given.get("skip", True) and not given.get("without_skip"):
        found += [NamedConnection("skip", *pair) for pair in entry.skips]
    if args.feedforward_only:
        return found
    field = type(args).model_fields.get("recurrence_type")
    default = field.default if field is not None else "none"
    kinds = resolve_by_layer(given.get("recurrence_type", default), layers, default, "recurrence_type")
    lateral = [layer for layer in layers if kinds[layer] != "none" or layer in entry.lateral]
    found += [NamedConnection("recurrent", layer, layer) for layer in lateral]
    if given.get("feedback", "additive") != "none":
        found += [NamedConnection("feedback", *pair) for pair in entry.feedbacks]
    return found


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
# Connections of the DyRCNN family, source and target.
SKIPS_X2, FEEDBACKS_X2 = (("layer1", "layer2"),), (("layer2", "layer1"),)
SKIPS, FEEDBACKS = (("V1", "V4"), ("V2", "IT")), (("V4", "V1"), ("IT", "V2"))
register(
    "DyRCNNx2",
    "dynvision.models.dyrcnn:DyRCNNx2",
    stages=1,
    image=(1, 28, 28),
    n_classes=10,
    layers=_STAGES[:2],
    skips=SKIPS_X2,
    feedbacks=FEEDBACKS_X2,
)
for _name, _stages, _image in (("DyRCNNx4", 1, (3, 64, 64)), ("DyRCNNx8", 2, (3, 224, 224))):
    register(
        _name,
        f"dynvision.models.dyrcnn:{_name}",
        stages=_stages,
        image=_image,
        n_classes=10,
        layers=_AREAS,
        skips=SKIPS,
        feedbacks=FEEDBACKS,
    )
_CONVOLUTIONS = tuple(f"conv{number}" for number in range(1, 6))
register("AlexNet", "dynvision.models.alexnet:AlexNet", AlexNetArgs, stages=1, layers=_CONVOLUTIONS)
for _depth in (18, 34, 50, 101, 152):
    _target = f"dynvision.models.resnet:ResNet{_depth}"
    register(f"ResNet{_depth}", _target, ResNetArgs, stages=2, layers=_STAGES)
for _depth in (20, 32, 44, 56, 110):
    _target = f"dynvision.models.resnet:ResNet{_depth}"
    register(
        f"ResNet{_depth}",
        _target,
        CifarResNetArgs,
        stages=2,
        image=(3, 32, 32),
        n_classes=10,
        layers=_STAGES[:3],
    )
register("CORnetZ", "dynvision.models.cornet:CORnetZ", CORnetArgs, layers=_AREAS)
register("CORnetR", "dynvision.models.cornet:CORnetR", CORnetRArgs, layers=_AREAS, lateral=_AREAS)
register("CORnetRT", "dynvision.models.cornet:CORnetRT", CORnetRTArgs, layers=_AREAS, lateral=_AREAS)
register("CORnetS", "dynvision.models.cornet:CORnetS", CORnetArgs, layers=_AREAS)
for _n in (2, 4, 6, 8):
    _names = tuple(f"layer{k}" for k in range(_n + 1))
    _skips = (*zip(_names, _names[2:], strict=False), (_names[-2], _names[-1]))
    register(
        f"CordsNetR{_n}",
        f"dynvision.models.cordsnet:CordsNetR{_n}",
        CordsNetArgs,
        layers=_names,
        skips=_skips,
        lateral=_names[1:],
    )
_NAMES = tuple(f"layer{k}" for k in range(1, 8))
TOP_DOWN = tuple((_upper, _lower) for _lower, _upper in pairwise(_NAMES))
for _name, _args, _feedbacks in (("BL", BLArgs, ()), ("BLT", BLTArgs, TOP_DOWN)):
    register(
        _name,
        f"dynvision.models.blt:{_name}",
        _args,
        image=(3, 128, 128),
        n_classes=565,
        layers=_NAMES,
        feedbacks=_feedbacks,
        lateral=_NAMES,
    )
