"""The base of every configuration section: typed, frozen, and closed to unknown keys; and keys with a value for each layer.

A number of a model may differ between its layers. One key takes any of three forms:

    tau: 8                          one value for all layers
    tau: {V1: 15, IT: 60}           by layer; a layer left out keeps the default
    tau: {first: 15, last: 60}      along the hierarchy: a geometric series (arithmetic where an end is 0)

The delay of a connection can be given by pair of layers, too: t_skip: {V1->V4: 6}.
"""

from __future__ import annotations

import contextlib
import math
import operator
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise, permutations
from numbers import Real
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from dynvision.errors import InputError, unknown_name
from dynvision.parameter_names import answer
from dynvision.registry import Registry


class Section(BaseModel):
    """A group of configuration keys. Unknown keys are errors; values cannot change after validation."""

    # Frozen, since a run is named after its values; closed, since a key that is misspelt and kept would change nothing.
    # Validators are built at their first use: a command needs few of the sections that it imports.
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, defer_build=True
    )
    identifying: ClassVar[tuple[str, ...]] = ()  # keys that state what the section is, at their default too

    @field_validator("*", mode="before")
    @classmethod
    def _truth_values_are_no_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, (bool, list, tuple, Mapping)):  # nothing else holds a truth value
            return value
        name = str(info.field_name)
        given = _truth_for_number(value, cls.model_fields[name].annotation)
        if given is not None:
            raise InputError(f"{name}={value!r} is not valid: {str(given).lower()} is no number")
        return value

    def frozen(self) -> dict[str, Any]:
        """Return every value, as a frozen file holds them."""
        return self.model_dump(mode="json")

    def differences(self) -> dict[str, Any]:
        """Return the values that are not the defaults, nested as the section is, as JSON has them."""
        found: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            # Without a copy of the default, which `get_default` makes: a sweep asks for thousands.
            factory = field.default_factory is not None
            default = field.get_default(call_default_factory=True) if factory else field.default
            if name in self.identifying or value != default:
                # A section inside that differs in nothing is left out, or every new section would give all runs another id.
                difference = _difference(value, self, name)
                if difference != {} or not isinstance(value, Section):
                    found[name] = difference
        # Of a section that is open to further keys nobody knows the defaults: whatever is given counts.
        return {**found, **{name: self.frozen()[name] for name in self.model_extra or {}}}


class OneOf:
    """Marks a text key that takes a registered name: ``Annotated[str, OneOf(SOLVERS)]``."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self.registry.canonical, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": list(self.registry), "type": "string"}


def names_allowed(field: Any) -> tuple[str, ...]:
    """Return the names that a field of a schema takes; empty where it takes other values."""
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)
    return next((tuple(mark.registry) for mark in field.metadata if isinstance(mark, OneOf)), ())


def _truth_for_number(value: Any, annotation: Any) -> bool | None:
    """Return a truth value that stands where a key takes numbers alone, if there is one; Python takes true for 1."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _truth_for_number(value, get_args(annotation)[0])
    options = get_args(annotation)
    if origin in (Union, UnionType):
        found = [_truth_for_number(value, option) for option in options]
        takes_truth = isinstance(value, bool) and bool in options
        return None if takes_truth else next((given for given in found if given is not None), None)
    if annotation in (int, float) and isinstance(value, bool):
        return value
    parts: Any = ()
    if origin in (list, tuple) and isinstance(value, (list, tuple)):
        parts = value
    elif origin is dict and isinstance(value, Mapping):
        parts, options = value.values(), options[-1:]
    # A tuple of any length has one type and an ellipsis; where a value may be of several types, the first is enough.
    found = [_truth_for_number(part, options[0]) for part in parts]
    return next((given for given in found if given is not None), None)


def _difference(value: Any, section: Section, name: str) -> Any:
    if isinstance(value, Section):
        return value.differences()
    if isinstance(value, (list, tuple)) and any(isinstance(part, Section) for part in value):
        return [part.differences() for part in value]
    return section.model_dump(mode="json", include={name})[name]


S = TypeVar("S", bound=Section)


def key(default: Any, description: str, unit: str = "", **constraints: Any) -> Any:
    """A configuration key: default, meaning, and unit (shown in the YAML comments and in ``config/README.md``)."""
    return Field(default=default, description=description, json_schema_extra={"unit": unit}, **constraints)


def validate(schema: type[S], values: Mapping[str, Any], where: str) -> S:
    """Validate a mapping against a section.

    Args:
        schema: the section class.
        values: keys and values, as read from YAML or the command line.
        where: dotted prefix for error messages, e.g. ``"training"``.

    Raises:
        InputError: one sentence for each key that is wrong, naming the key, what was given and what is allowed.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where or 'the configuration'} must hold keys and values, not {values!r}")
    _refuse_giants(values, where)
    try:
        return schema.model_validate(dict(values), context={"where": where})
    except ValidationError as error:
        raise InputError(sentences(schema, error, where)) from None


def _refuse_giants(value: Any, path: str) -> None:
    """Refuse whole numbers that no float holds, which Python itself has; arithmetic with them ends in an OverflowError."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            _refuse_giants(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for part in value:
            _refuse_giants(part, path)
    elif isinstance(value, int) and abs(value) > sys.float_info.max:
        digits = int(value.bit_length() * math.log10(2)) + 1
        raise InputError(
            f"{path} is a whole number of about {digits} digits; give one below {sys.float_info.max:.1e}"
        )


def sentences(schema: type[Section], error: ValidationError, where: str) -> str:
    """One sentence for each key that is wrong; the arguments are those of `validate`."""
    return "; ".join(_sentence(schema, detail, where) for detail in error.errors())


def _sentence(schema: type[Section], detail: Any, where: str) -> str:
    location = [str(part) for part in detail["loc"]]
    path = ".".join([where, *location]) if where else ".".join(location)
    if detail["type"] == "extra_forbidden":
        if ":" in location[-1]:
            spaced = location[-1].replace(":", ": ", 1)
            return (
                f"{location[-1]!r} is read as one key without a value; put a space after the colon: {spaced}"
            )
        if former := answer(location[-1], detail["input"]):
            return f"unknown key {path}: {former}"
        owner = _section_at(schema, location[:-1])
        return str(unknown_name("key", location[-1], owner.model_fields, key=path))
    if detail["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
        return str(unknown_name("value", detail["input"], allowed, key=path))
    cause = detail.get("ctx", {}).get("error")
    if (
        isinstance(cause, InputError)
        and location
        and str(cause).startswith((f"{location[-1]}=", f"{location[-1]}."))
    ):
        return ".".join(filter(None, [where, *location[:-1], str(cause)]))
    if isinstance(cause, InputError):
        return f"{where}: {cause}" if where and where not in str(cause) else str(cause)
    if detail["type"] == "missing":
        return f"key {path} is missing"
    message = (detail["msg"][0].lower() + detail["msg"][1:]).replace("valid tuple", "list, e.g. [a, b]")
    return f"{path}={detail['input']!r} is not valid: {message}"


def _section_at(schema: type[Section], location: list[str]) -> type[Section]:
    for part in location:
        field = schema.model_fields.get(part)
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            schema = field.annotation
    return schema


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


ARROW = "->"
# The layer of a pair, V1->V4, whose number a delay is: that which sends, or that which receives.
LAYER_OF_PAIR = {"t_feedforward": 0, "t_skip": 1, "t_feedback": 1}


def resolve_by_layer(
    value: Any,
    layers: Sequence[str],
    default: Any,
    name: str,
    pairs: Collection[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """Return the value of each layer, in the order of the hierarchy.

    Args:
        value: one value, a mapping by layer or, for the delay of a connection, by pair of layers, or a rule.
        layers: names of the layers.
        default: of a layer that a mapping leaves out.
        name: the key, for errors.
        pairs: the connections from layer to layer that a delay is of; by default those from a layer to the next for
            ``t_feedforward``, and any for the others.

    Raises:
        InputError: a layer or a connection that the model does not have, or two numbers for one.
    """
    if not isinstance(value, Mapping):
        return dict.fromkeys(layers, value)
    if set(value) == RULE:
        return dict(zip(layers, _series(value["first"], value["last"], len(layers)), strict=True))
    given: dict[str, Any] = {}
    for place, number in value.items():
        layer = _layer_of_pair(place, layers, name, pairs) if ARROW in place else place
        if layer not in layers:
            raise unknown_name("layer", layer, layers, key=f"{name}.{layer}")
        if layer in given:
            raise InputError(
                f"{name} has two numbers for one connection, {place} being one of them; leave one out"
            )
        given[layer] = number
    return {layer: given.get(layer, default) for layer in layers}


def _layer_of_pair(
    pair: str, layers: Sequence[str], name: str, pairs: Collection[tuple[str, str]] | None
) -> str:
    if name not in LAYER_OF_PAIR:
        raise InputError(
            f"{name}.{pair}: {name} is a number of a layer, not of a connection; write {name}: {{V1: ...}}"
        )
    if pairs is None:
        pairs = list(pairwise(layers)) if name == "t_feedforward" else list(permutations(layers, 2))
    source, _, target = (part.strip() for part in pair.partition(ARROW))
    if (source, target) not in pairs:
        raise unknown_name("connection", pair, map(ARROW.join, pairs), key=f"{name}.{pair}")
    return (source, target)[LAYER_OF_PAIR[name]]


def _series(first: float, last: float, n: int) -> list[float]:
    places = [k / max(1, n - 1) for k in range(n)]
    if first > 0 and last > 0:
        return [first * (last / first) ** place for place in places]
    return [first + (last - first) * place for place in places]


def _number(value: Any, bounds: Mapping[str, float], name: str) -> float:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, Real) and not isinstance(value, int):  # of numpy, too
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
