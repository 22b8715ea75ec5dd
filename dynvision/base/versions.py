"""The version of a model: the same while nothing has changed that decides what it computes, besides the values of tensors.

    modules                  which ones, in their order, their classes and hooks
    what the engine asks     dt, delays, lengths and the like, also where a class answers, from whatever it keeps
    public attributes        numbers, texts, types, functions, and containers of Python of them, by value
    parameters, buffers      which ones, of which class, shape and type, and whether a gradient is asked for

A plan and a captured graph hold for one version, so that neither is made again for every batch. To look costs a small part
of making a plan. Other objects in attributes, and private attributes, are no settings: a component keeps what changes
with them in a public one. A version keeps no tensor alive: one that takes the place and the memory of another, with its
shape and type, is computed with alike, and a graph that gives gradients keeps those that it gives them to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from enum import Enum
from functools import lru_cache, partial
from itertools import chain
from operator import eq
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from dynvision.base.hooks import HOOKS, HOOKS_OF_ALL, computes_weights, hooked_modules
from dynvision.model_components.timing import Clocked, StatefulOperation, TimedOperation, ZeroStart

if TYPE_CHECKING:
    from dynvision.base.plan import Plan

MOST_VERSIONS = 16  # of one model that are remembered; those of training and of testing take turns
MOST_ITEMS = 1000  # of a container that is a setting: longer ones are data, which would be slow to compare
DEEPEST = 8  # containers within each other that are compared
SIMPLE = frozenset({bool, int, float, str, type(None), torch.dtype, torch.device})
HELD: tuple[type, ...] = (type, FunctionType, BuiltinFunctionType, MethodType, partial, Enum, Path)
HELD += (int, float, complex, str, bytes, range, np.number, np.bool_)  # and what is derived from them
BUILT_IN = (tuple, list, dict, set, frozenset)
INNER = (*HOOKS, "_modules")  # dictionaries of a module in which torch keeps its hooks and parts
OF_TORCH = frozenset(nn.Module().__dict__) - {"training"}
# What plans are made of, besides public numbers and texts of a model.
OF_MODELS = (
    *("layer_names", "layer_operations", "optional_operations", "module_paths", "classifier_name"),
    *("t_feedforward", "_n_classes"),
)
OF_COMPONENTS = (
    *("dt", "delay", "source", "merge_name", "recurrence_merge", "recurrence_target"),
    *("history", "n_steps", "needs_activity", "on_output"),
)
COMPONENTS = (Clocked, StatefulOperation, TimedOperation, ZeroStart)


class ModelVersion:
    """One version of a model.

    Attributes:
        parts: its modules, the model first.
        hooked: ids of parts with hooks.
        hooks_on: name of a part with hooks of any kind, "the model itself" included; empty if none has.
        computes_weights: whether hooks, or who calls ``torch.func.functional_call``, compute weights.
        plans: those that hold for it, by whether they are without recurrence.
    """

    def __init__(self, model: nn.Module, parts: tuple[nn.Module, ...]) -> None:
        self.parts = parts
        self.hooked = hooked_modules(model, parts)
        weights = [x for part in parts for x in part._parameters.values() if x is not None]
        self.computes_weights = computes_weights(model) or not all(
            isinstance(x, nn.Parameter) for x in weights
        )
        names = (name or "the model itself" for name, module in model.named_modules() if _hooks(module))
        self.hooks_on = next(names, "")
        self.plans: dict[bool, Plan] = {}

    @property
    def model(self) -> nn.Module:
        """The model that it is a version of."""
        return self.parts[0]

    def pointers(self) -> tuple[int, ...]:
        """Where the parameters and buffers lie in memory."""
        return tuple([x.data_ptr() for part in self.parts for x in _tensors(part)])


class _Glance:
    """A model as it was found last.

    To compare whole dictionaries is several times as fast as to look at what is in them. It goes for parts that hold
    nothing but settings which cannot be edited in place; a change that is none of the facts is one here, too.
    """

    def __init__(self, version: ModelVersion) -> None:
        self.version = version
        fixed = [part for part in version.parts[1:] if _is_fixed(part)]
        ids = {*map(id, fixed)}
        self._others = [part for part in version.parts if id(part) not in ids]
        self._fixed = fixed
        self._held = [held for part in fixed for held in (part.__dict__, *(part.__dict__[k] for k in INNER))]
        self._before = [*map(dict, self._held)]
        self._tensors = [held for part in fixed for held in (part._parameters, part._buffers)]
        self._asked = [(part, name) for part in fixed for name in _asked_of(part)]
        self._seen = self._look()

    def _look(self) -> tuple[Any, ...]:
        tensors = [*chain.from_iterable([held.values() for held in self._tensors])]
        return (
            _everywhere(),
            [_facts_of(part) for part in self._others],
            [*map(type, self._fixed)],
            [_answer(part, name) for part, name in self._asked],
            [*map(id, tensors)],
            [(type(x), x.shape, x.dtype, x.requires_grad) for x in tensors if x is not None],
            [[*part._modules] for part in self._fixed if part._modules],
        )

    def holds(self, model: nn.Module) -> bool:
        """Whether nothing has changed."""
        try:
            return (
                model is self.version.model
                and all(map(eq, self._held, self._before))
                and self._look() == self._seen
            )
        except Exception:  # of any kind: by the == of an object that somebody put there
            return False


class ModelVersions:
    """The versions of one model that are remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, ModelVersion] = OrderedDict()
        self._latest: _Glance | None = None

    def __deepcopy__(self, memo: Any) -> ModelVersions:
        return ModelVersions()  # a copy of a model has other modules

    def __reduce__(self) -> Any:
        return ModelVersions, ()

    def of(self, model: nn.Module) -> ModelVersion:
        """The version of a model as it is now."""
        latest = self._latest
        if latest is not None and latest.holds(model):
            return latest.version
        parts = tuple(model.modules())
        facts = (id(model), _everywhere(), *map(_facts_of, parts))
        version = self._known.pop(facts, None) or ModelVersion(model, parts)
        self._known[facts] = version
        while len(self._known) > MOST_VERSIONS:
            self._known.popitem(last=False)
        self._latest = _Glance(version)
        return version


def _everywhere() -> bool:
    """Whether torch has hooks for every module."""
    return any(getattr(torch_module, kind) for kind in HOOKS_OF_ALL)


def _facts_of(part: nn.Module) -> tuple[Hashable, ...]:
    public = [
        value if type(value) in SIMPLE else _setting(value)
        for name, value in part.__dict__.items()
        if name[0] != "_"
    ]
    children = part._modules
    asked = [_answer(part, name) for name in _asked_of(part)]
    tensors = [(id(x), type(x), x.shape, x.dtype, x.requires_grad) for x in _tensors(part)]
    kind: Any = part.__class__
    return (kind, *children, *map(id, children.values()), *public, *asked, *tensors, _hooks(part))


def _asked_of(part: Any) -> tuple[str, ...]:
    """What a part answers of what plans are made of."""
    return _answered_by(part.__class__)


@lru_cache(maxsize=1024)
def _answered_by(kind: type) -> tuple[str, ...]:
    annotated = {name for base in kind.__mro__ for name in getattr(base, "__annotations__", ())}
    asked = OF_COMPONENTS if issubclass(kind, COMPONENTS) else OF_MODELS
    return tuple(name for name in asked if name in annotated or hasattr(kind, name))


def _answer(part: nn.Module, name: str) -> Hashable:
    """What a part answers; also of mappings and sequences that are no containers of Python."""
    value = getattr(part, name, None)
    if type(value) in SIMPLE or isinstance(value, BUILT_IN):
        return _setting(value)
    if isinstance(value, Mapping):
        return _setting(dict(value))
    return _setting(list(value) if isinstance(value, (Sequence, np.ndarray)) else value)


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


def _is_fixed(part: nn.Module) -> bool:
    """Whether what a module holds beside its parts cannot change in place."""
    return all(
        type(value) in SIMPLE
        or name in OF_TORCH
        or isinstance(value, HELD)
        or (type(value) is tuple and all(type(item) in SIMPLE for item in value))
        for name, value in part.__dict__.items()
    )


def _setting(value: Any, depth: int = 0) -> Hashable:
    """A value that is compared; None for what is no setting."""
    if type(value) in SIMPLE:
        return value  # type: ignore[no-any-return]
    if isinstance(value, HELD):
        return value if type(value).__hash__ is not None else id(value)  # type: ignore[redundant-expr]
    if not isinstance(value, BUILT_IN) or len(value) > MOST_ITEMS or depth > DEEPEST:
        return None
    if isinstance(value, dict):
        return tuple([(key, _setting(item, depth + 1)) for key, item in value.items()])
    # Tensors are none, nor is how many of them were collected.
    items = [
        item if type(item) in SIMPLE else _setting(item, depth + 1)
        for item in value
        if not isinstance(item, Tensor)
    ]
    return frozenset(items) if isinstance(value, (set, frozenset)) else tuple(items)
