"""Sweeps: what varies one parameter at a time, and what varies several together.

    category: {rctype: [full, self], trc: [2, 6, 10]}    the run as configured, and five that differ from it in one value
    category: rctype                                     a sweep by its name in `categories`
    category: [rctype, {training.learning_rate: 0.01}]   several, one after the other

A parameter is a model argument, by its long or short name, or a dotted key of ``training`` or ``data``.

    paired: {trc: [2, 6, 10], tsk: [0, 4, 8]}         three runs: values of equal position belong together
    paired: [{trc: [2, 6], tsk: [0, 4]}, {tau: [3, 9]}]  the product of several such groups: four runs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynvision.config.data import DataConfig
from dynvision.config.training import TrainingConfig
from dynvision.errors import InputError, unknown_name
from dynvision.parameter_names import MODEL_ALIASES, TRAINING_ALIASES, warn_if_changed

SECTIONS: dict[str, Mapping[str, str]] = {
    "model_args": MODEL_ALIASES,
    "training": TRAINING_ALIASES,
    "data": {},
}
# What switches a sweep off, in YAML and as text of a command line.
NOTHING = (None, "", "none", "null")

Sweeps = dict[str, tuple[Any, ...]]
Paired = tuple[Sweeps, ...]


def listed(category: Any) -> list[Any]:
    """What ``category`` was given as, as a list of names and mappings, so that a later one replaces all of it."""
    if isinstance(category, (list, tuple)):
        return [part for part in category if part not in NOTHING]
    return [] if category in NOTHING else [category]


def resolve_sweeps(category: Any, categories: Any) -> Sweeps:
    """The values of each parameter that is varied, by its dotted name, e.g. ``model_args.tau``.

    Args:
        category: names of sweeps, mappings of a parameter to its values, or a list of both.
        categories: the sweeps that have a name.

    Raises:
        InputError: a name is not known, a parameter is given twice, or something has no values.
    """
    sweeps: Sweeps = {}
    for part in listed(category):
        for parameter, values in _mapping_of(part, categories).items():
            name = long_name(str(parameter), values, "category")
            if name in sweeps:
                raise InputError(f"category has {parameter!r} twice; give all of its values in one list")
            sweeps[name] = tuple(values) if isinstance(values, (list, tuple)) else (values,)
            if not sweeps[name]:
                raise InputError(f"category: {parameter} is an empty list; give it at least one value")
    return sweeps


def resolve_paired(paired: Any) -> Paired:
    """Return the groups of parameters that are varied together, by their dotted names, e.g. ``model_args.tau``.

    Args:
        paired: a mapping of parameters to equally long lists of values, or a list of such mappings.

    Raises:
        InputError: lists of a group differ in length or are empty, or a parameter is given twice.
    """
    groups: list[Sweeps] = []
    for part in listed(paired):
        if not isinstance(part, Mapping):
            raise InputError(
                "paired must map parameters to equally long lists of values, e.g. {trc: [2, 6], tsk: [0, 4]}, or be a "
                f"list of such mappings, not {part!r}"
            )
        group: Sweeps = {}
        for parameter, values in part.items():
            name = long_name(str(parameter), values, "paired")
            if any(name in other for other in (*groups, group)):
                raise InputError(f"paired has {parameter!r} twice; remove one of them")
            if not isinstance(values, (list, tuple)) or not values:
                raise InputError(
                    f"paired: {parameter} must be a list of values, one for each run, not {values!r}"
                )
            group[name] = tuple(values)
        if len({len(values) for values in group.values()}) > 1:
            found = ", ".join(f"{name}: {len(values)}" for name, values in group.items())
            raise InputError(f"paired: lists of one group must be equally long, but have lengths {found}")
        if group:
            groups.append(group)
    return tuple(groups)


def long_name(parameter: str, values: Any, key: str) -> str:
    """The dotted name of a parameter: ``rctype`` is ``model_args.recurrence_type``.

    Args:
        parameter: as it is given.
        values: what it is given, for a warning where a short name had another meaning.
        key: where it is given: category, paired or search.parameters.

    Raises:
        InputError: it is a key of ``training`` or ``data`` without that word in front, or is varied elsewhere.
    """
    section, dot, rest = parameter.partition(".")
    if not dot or section not in SECTIONS:
        section, rest = "model_args", parameter
    first, dot, inner = rest.partition(".")
    if section == "data" and first == "name":
        raise InputError(f"{key}: data.name is varied by the key data_name; give it a list")
    for other, schema in (("training", TrainingConfig), ("data", DataConfig)):
        if section == "model_args" and first in {*schema.model_fields, *SECTIONS[other]} - {"name"}:
            raise InputError(f"{key}: {parameter} is no model argument; write {other}.{parameter}")
    if section == "model_args":
        warn_if_changed(rest, values)
    return f"{section}.{SECTIONS[section].get(first, first)}{dot}{inner}"


def replace_value(sections: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Nested keys and values with one of them replaced, by its dotted name; nothing else is copied deeply.

    Raises:
        InputError: the name leads into a value that holds no keys.
    """
    first, _, rest = name.partition(".")
    if not rest:
        return {**sections, first: value}
    inner = sections.get(first) or {}
    if not isinstance(inner, Mapping):
        raise InputError(
            f"{first}={inner!r} has no {rest} that could vary; give it as keys and values, or vary {first}"
        )
    return {**sections, first: replace_value(inner, rest, value)}


def _mapping_of(part: Any, categories: Any) -> Mapping[str, Any]:
    if isinstance(part, Mapping):
        return part
    if not isinstance(part, str):
        raise InputError(
            f"category must be a name, a mapping of a parameter to its values, or a list of both, not {part!r}"
        )
    if not isinstance(categories, Mapping):
        raise InputError(f"categories must hold names and mappings, not {categories!r}")
    if part not in categories:
        raise unknown_name("category", part, categories, key="category")
    if not isinstance(categories[part], Mapping) or not categories[part]:
        raise InputError(
            f"categories.{part} must map a parameter to its values, e.g. {{tau: [3, 9]}}, not {categories[part]!r}"
        )
    return categories[part]
