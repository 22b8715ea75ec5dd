"""Experiments that are written as another one and what differs.

    gaussiannoiseffonly: {like: gaussiannoise, model_args: {feedforward_only: true}}

Dictionaries merge key by key, everything else replaces. The feedforward-only twin of any experiment need not be written: it
exists by the name of the experiment and ``ffonly``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynvision.errors import InputError, unknown_name

FEEDFORWARD_TWIN = "ffonly"
Blocks = Mapping[str, Any]


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Put one layer on another: dictionaries merge key by key, everything else is replaced."""
    merged = dict(lower)
    for name, value in upper.items():
        below = merged.get(name)
        merged[name] = (
            merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def resolve_block(name: str, blocks: Blocks, asked: tuple[str, ...] = ()) -> Any:
    """The keys of an experiment with those of the experiment that it is like.

    Raises:
        InputError: that one does not exist, or is in turn like this one.
    """
    block = blocks[name]
    other = str(block.get("like") or "") if isinstance(block, Mapping) else ""
    if not other:
        return block
    if other not in blocks:
        raise unknown_name("experiment", other, blocks, key=f"experiments.{name}.like")
    if other in (name, *asked):
        raise InputError(
            f"experiments.{name}.like: {other!r} is in turn like {name!r}; write one of them out"
        )
    return merge(resolve_block(other, blocks, (*asked, name)), block)


def feedforward_twin(name: str, experiments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The keys of the feedforward-only twin of a known experiment; None if the name does not ask for one."""
    original = name.removesuffix(FEEDFORWARD_TWIN)
    if original == name or original not in experiments:
        return None
    keys = experiments[original].model_dump()
    return merge(keys, {"like": original, "model_args": {"feedforward_only": True}})
