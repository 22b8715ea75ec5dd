"""Numbers of a model that can be given for each layer.

One key takes any of three forms:

    tau: 8                          one value for all layers
    tau: {V1: 15, IT: 60}           by layer; a layer left out keeps the default
    tau: {first: 15, last: 60}      along the hierarchy: a geometric series (arithmetic where an end is 0)
"""

from __future__ import annotations

import contextlib
import operator
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from dynvision.errors import InputError, unknown_name

ByLayer = float | dict[str, float]
RULE = {"first", "last"}
LARGEST = sys.float_info.max
BOUNDS = {
    "gt": (operator.gt, "above"),
    "ge": (operator.ge, "at least"),
    "lt": (operator.lt, "below"),
    "le": (operator.le, "at most"),
}


def layer_key(default: float, description: str, unit: str = "", **bounds: float) -> Any:
    """Return a configuration key whose value may differ between layers; bounds (gt, ge, lt, le) hold for each of them."""
    extra: dict[str, Any] = {"unit": unit, "by_layer": dict(bounds)}
    return Field(default=default, description=f"{description}; also by layer", json_schema_extra=extra)


def is_by_layer(field: Any) -> bool:
    """Whether a field of a schema was made by :func:`layer_key`."""
    return isinstance(field.json_schema_extra, dict) and "by_layer" in field.json_schema_extra


def check_numbers(value: Any, bounds: Mapping[str, float], name: str) -> ByLayer:
    """Return a number, or a mapping of names to numbers, as floats.

    Raises:
        InputError: another form, or a number outside of the bounds.
    """
    if not isinstance(value, Mapping):
        return _number(value, bounds, name)
    if not value:
        raise InputError(f"{name} is an empty mapping; give a number, or numbers by layer")
    if RULE & set(value) and set(value) != RULE:
        raise InputError(
            f"{name}={dict(value)!r}: a rule along the hierarchy has first and last, and nothing else"
        )
    return {str(layer): _number(number, bounds, f"{name}.{layer}") for layer, number in value.items()}


def numbers_of(value: ByLayer | None) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a value, each with what follows the key's name: nothing, or ``.V1``."""
    if isinstance(value, Mapping):
        yield from ((f".{layer}", number) for layer, number in value.items())
    elif value is not None:
        yield "", value


def resolve_by_layer(value: Any, layers: Sequence[str], default: Any, name: str) -> dict[str, Any]:
    """Return the value of each layer, in the order of the hierarchy.

    Args:
        value: one value, a mapping by layer, or a rule.
        layers: names of the layers.
        default: of a layer that a mapping leaves out.
        name: the key, for errors.

    Raises:
        InputError: a layer that the model does not have.
    """
    if not isinstance(value, Mapping):
        return dict.fromkeys(layers, value)
    if set(value) == RULE:
        return dict(zip(layers, _series(value["first"], value["last"], len(layers)), strict=True))
    for layer in value:
        if layer not in layers:
            raise unknown_name("layer", layer, layers, key=f"{name}.{layer}")
    return {layer: value.get(layer, default) for layer in layers}


def _series(first: float, last: float, n: int) -> list[float]:
    places = [k / max(1, n - 1) for k in range(n)]
    if first > 0 and last > 0:
        return [first * (last / first) ** place for place in places]
    return [first + (last - first) * place for place in places]


def _number(value: Any, bounds: Mapping[str, float], name: str) -> float:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LARGEST:
        raise InputError(
            f"{name}={value!r} is not valid: it must be a number, or numbers by layer, e.g. {{V1: 10}}"
        )
    for bound, limit in bounds.items():
        holds, words = BOUNDS[bound]
        if not holds(value, limit):
            raise InputError(f"{name}={value:g} is not valid: it must be {words} {limit:g}")
    return float(value)
