"""The version of a model: the same while nothing has changed that decides what it computes, besides the values of tensors.

    modules                  which ones, in their order, their classes, hooks and dt
    public attributes        numbers, texts, types, functions, and containers of them, by value
    parameters, buffers      which ones, and whether a gradient is asked for

A plan and a captured graph hold for one version, so that neither is made again for every batch. To look costs a small part
of making a plan. Other objects in attributes, and private attributes, are no settings: a component keeps what changes
with them in a public one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from dynvision.base.hooks import HOOKS, HOOKS_OF_ALL, computes_weights, hooked_modules

if TYPE_CHECKING:
    from dynvision.base.plan import Plan

MOST_VERSIONS = 16  # of one model that are remembered; those of training and of testing take turns
SIMPLE = frozenset({bool, int, float, str, type(None), torch.dtype, torch.device})
HELD = (type, FunctionType, BuiltinFunctionType, MethodType, partial, Enum, Path)


class ModelVersion:
    """One version of a model.

    Attributes:
        parts: its modules, the model first.
        facts: what is compared, of each part.
        hooked: ids of parts with hooks.
        hooks_on: name of a part with hooks of any kind, "the model itself" included; empty if none has.
        computes_weights: whether hooks compute weights.
        plans: those that hold for it, by whether they are without recurrence.
    """

    def __init__(self, model: nn.Module, parts: tuple[nn.Module, ...], facts: tuple[Hashable, ...]) -> None:
        self.parts, self.facts = parts, facts
        self.hooked = hooked_modules(model, parts)
        self.computes_weights = computes_weights(model)
        names = (name or "the model itself" for name, module in model.named_modules() if _hooks(module))
        self.hooks_on = next(names, "")
        self.plans: dict[bool, Plan] = {}
        # To look at whole dictionaries is four times as fast as to look at what is in them. The model's own holds the
        # trainer, too, and always changes.
        self._held = [(part.__dict__, dict(part.__dict__)) for part in parts[1:]]
        self._inner = [(held, dict(held)) for part in parts[1:] for held in _inner(part)]
        public = [x for _, held in self._held for name, x in held.items() if name[0] != "_"]
        self._lists = [(x, _setting(x)) for x in public if isinstance(x, (list, dict, set))]
        self._tensors = [(x, x.requires_grad) for part in parts for x in _tensors(part)]

    @property
    def model(self) -> nn.Module:
        """The model that it is a version of."""
        return self.parts[0]

    def holds(self) -> bool:
        """Whether nothing has changed, at a glance; a change that is none of the facts also makes it False."""
        if self.facts[:2] != (_everywhere(), _facts_of(self.parts[0])):
            return False
        try:
            return (
                all(held == before for held, before in self._held)
                and all(held == before for held, before in self._inner)
                and all(_setting(held) == before for held, before in self._lists)
                and all(x.requires_grad == before for x, before in self._tensors)
            )
        except (RuntimeError, ValueError):  # arrays are not equal or unequal
            return False

    def pointers(self) -> tuple[int, ...]:
        """Where the parameters and buffers lie in memory."""
        return tuple([x.data_ptr() for x, _ in self._tensors])


class ModelVersions:
    """The versions of one model that are remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, ModelVersion] = OrderedDict()
        self._latest: ModelVersion | None = None

    def __deepcopy__(self, memo: Any) -> ModelVersions:
        return ModelVersions()  # a copy of a model has other modules

    def __reduce__(self) -> Any:
        return ModelVersions, ()

    def of(self, model: nn.Module) -> ModelVersion:
        """The version of a model as it is now."""
        latest = self._latest
        if latest is not None and latest.parts[0] is model and latest.holds():
            return latest
        parts = tuple(model.modules())
        facts = _facts(parts)
        version = self._known.pop(facts, None) or ModelVersion(model, parts, facts)
        self._known[facts] = version
        while len(self._known) > MOST_VERSIONS:
            self._known.popitem(last=False)
        self._latest = version
        return version


def _facts(parts: tuple[nn.Module, ...]) -> tuple[Hashable, ...]:
    return (_everywhere(), *map(_facts_of, parts))


def _everywhere() -> bool:
    """Whether torch has hooks for every module."""
    return any(getattr(torch_module, kind) for kind in HOOKS_OF_ALL)


def _facts_of(part: nn.Module) -> tuple[Hashable, ...]:
    held = part.__dict__
    public = [
        value if type(value) in SIMPLE else _setting(value) for name, value in held.items() if name[0] != "_"
    ]
    tensors = [value for x in _tensors(part) for value in (id(x), x.requires_grad)]
    children = held["_modules"]
    return (
        part.__class__,
        *children,
        *map(id, children.values()),
        *public,
        held.get("_dt"),
        *tensors,
        _hooks(part),
    )


def _inner(part: nn.Module) -> list[dict[str, Any]]:
    """The dictionaries of a module in which torch keeps its parts and hooks."""
    return [part.__dict__[name] for name in (*HOOKS, "_parameters", "_buffers", "_modules")]


def _tensors(part: nn.Module) -> list[Tensor]:
    """Parameters and buffers of a module itself."""
    held = part.__dict__
    if not held["_parameters"] and not held["_buffers"]:
        return []
    return [x for x in (*held["_parameters"].values(), *held["_buffers"].values()) if x is not None]


def _hooks(part: nn.Module) -> tuple[type, ...]:
    """Classes of the hooks on a module, which decide how it is run."""
    held = part.__dict__
    return tuple([type(hook) for kind in HOOKS if held.get(kind) for hook in held[kind].values()])


def _setting(value: Any) -> Hashable:
    """A value that is compared; None for what is no setting."""
    if type(value) in SIMPLE or isinstance(value, HELD):
        return value
    if isinstance(value, (list, tuple)):
        return tuple([item if type(item) in SIMPLE else _setting(item) for item in value])
    if isinstance(value, (set, frozenset)):
        return frozenset(value)
    if isinstance(value, dict):
        return tuple([(key, _setting(item)) for key, item in value.items()])
    return None
