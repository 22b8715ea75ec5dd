"""What a model's constructor accepts."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dynvision.errors import InputError, unknown_name


def reject_unknown_arguments(owner: type, kwargs: Mapping[str, Any], more: Iterable[str] = ()) -> None:
    """Refuse keyword arguments that no constructor of a class knows, and that are none of ``more``.

    Raises:
        InputError: with the nearest name.
    """
    known: set[str] = set(more)
    for base in owner.__mro__:
        if "__init__" in base.__dict__ and base is not object:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            known |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    for name in kwargs:
        if name not in known:
            raise unknown_name("argument", name, known - {"self"})


def parse_input_dims(input_dims: Sequence[int]) -> tuple[int, int, int, int]:
    """(T, C, H, W) from itself or from (C, H, W).

    Raises:
        InputError: anything else.
    """
    dims = tuple(int(size) for size in input_dims)
    if len(dims) == 3:
        dims = (1, *dims)
    if len(dims) != 4 or min(dims) < 1:
        raise InputError(f"input_dims={tuple(input_dims)} must be (T, C, H, W) or (C, H, W), all at least 1")
    return dims  # type: ignore[return-value]
