"""Hooks on the modules of a model: what has one is called as a module, once at every step, and may be changed by it.

    forward hook on a layer     (module, (x, r), output):  x and output (B, C, H, W) at one step; of a recurrent convolution
                                r is the layer's activity t_recurrence ago, None before there was any, and the output the
                                drive with recurrence; of a plain convolution the input is (x,) and the output its own
    hooks on other modules      as in their ``forward``, at every step at which they have an input, idle steps included
                                (one image, no gradient)

Pre-hooks, full backward hooks and hooks for every module of torch are called alike. Without hooks the engine takes
components apart and runs whole blocks of time; with them the layers that have some go step by step. Observers
(:mod:`dynvision.base.observers`) receive whole blocks of time without that cost, and change nothing.

Weights that hooks of torch compute before every call (``weight_norm``, ``spectral_norm`` and ``prune`` in
``torch.nn.utils``) are computed once a stretch of input, as parametrised weights are, whatever the length of a block.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from dynvision.errors import InputError

COMPUTE_WEIGHTS = (WeightNorm, SpectralNorm, BasePruningMethod)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
HOOKS_OF_ALL = tuple(f"_global{kind}" for kind in HOOKS)


def is_hooked(module: nn.Module) -> bool:
    """Whether a module itself has hooks on its call, besides those that compute its weights."""
    held = module.__dict__
    for kind in HOOKS:
        hooks = held.get(kind)
        if hooks and not all(isinstance(hook, COMPUTE_WEIGHTS) for hook in hooks.values()):
            return True
    return False


def hooked_modules(model: nn.Module, parts: Iterable[nn.Module] | None = None) -> frozenset[int]:
    """The ids of the parts of a model that have hooks; of all of them where torch has hooks for every module.

    Args:
        model: the model.
        parts: its modules, where they are at hand.
    """
    everywhere = any(getattr(torch_module, kind) for kind in HOOKS_OF_ALL)
    parts = model.modules() if parts is None else parts
    return frozenset(id(part) for part in parts if part is not model and (everywhere or is_hooked(part)))


def computes_weights(model: nn.Module) -> bool:
    """Whether hooks of torch compute weights of a model."""
    return any(isinstance(h, COMPUTE_WEIGHTS) for m in model.modules() for h in m._forward_pre_hooks.values())


def holds(module: nn.Module, hooked: frozenset[int]) -> bool:
    """Whether a module or a part of it has hooks."""
    return bool(hooked) and any(id(part) in hooked for part in module.modules())


def check_hooks(model: nn.Module, run: list[nn.Module]) -> None:
    """Check that no hook sits on a container whose parts the engine calls one by one.

    Args:
        model: the model.
        run: what the engine calls.

    Raises:
        InputError: a hook that would never be called.
    """
    called = {id(part) for module in run for part in module.modules()}
    everywhere = any(getattr(torch_module, kind) for kind in HOOKS_OF_ALL)
    for name, part in model.named_modules():
        if everywhere or part is model or id(part) in called or not is_hooked(part):
            continue
        inside = [f"{name}.{path}" for path, inner in part.named_children() if id(inner) in called]
        if inside:
            raise InputError(
                f"a hook on {name} is never called: the engine calls its parts {', '.join(inside)} one by one; register "
                "the hook on them, or observe layers with model(x, observer=...), see dynvision.base.observers"
            )


@contextlib.contextmanager
def weights_once(model: nn.Module) -> Iterator[None]:
    """Weights that are computed from others are computed when they are first used, not again at every step.

    Raises:
        InputError: they are computed by hooks, and the model is compiled.
    """
    if torch.compiler.is_compiling():
        if computes_weights(model):
            raise InputError(
                "hooks compute weights of this model, which cannot be compiled; use torch.nn.utils.parametrizations or "
                "torch.nn.utils.prune.remove instead"
            )
        yield
        return
    computed: list[tuple[nn.Module, dict[int, Any]]] = []
    for module in model.modules():
        hooks = {
            k: hook for k, hook in module._forward_pre_hooks.items() if isinstance(hook, COMPUTE_WEIGHTS)
        }
        for key, hook in hooks.items():
            hook(module, None)  # type: ignore[operator]
            del module._forward_pre_hooks[key]
        if hooks:
            computed.append((module, hooks))
    try:
        with parametrize.cached():
            yield
    finally:
        for module, hooks in computed:
            others = dict(module._forward_pre_hooks)
            module._forward_pre_hooks.clear()
            module._forward_pre_hooks.update({**hooks, **others})
