"""What a sweep varies: one parameter at a time around a base, or several together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def find_base(conditions: Sequence[Mapping[str, Any]]) -> int | None:
    """The condition from which each other one differs in a single parameter.

    Args:
        conditions: for each condition the values of the parameters that differ among them, by name.

    Returns:
        Its index; None where there is no such condition, or where only one parameter differs at all, so that each
        condition would be it.
    """
    parameters = list(conditions[0]) if conditions else []
    if len(parameters) < 2:
        return None
    for number, base in enumerate(conditions):
        if all(len(changes(base, other)) == 1 for other in conditions if other is not base):
            return number
    return None


def changes(base: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The parameters in which a condition differs from another one."""
    return [name for name in base if repr(base[name]) != repr(other[name])]


def comparable(conditions: Sequence[Mapping[str, Any]], parameter: str) -> list[int]:
    """The conditions that show what a parameter does.

    Around a base these are the base and those that differ from it in the parameter; without a base all conditions,
    whose other parameters are averaged over.
    """
    base = find_base(conditions)
    if base is None:
        return list(range(len(conditions)))
    return [
        number
        for number, condition in enumerate(conditions)
        if changes(conditions[base], condition) in ([], [parameter])
    ]
