"""Errors that a user can fix, stated in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED_BESIDE_A_GUESS = 12  # a longer list of names would hide the nearest one


class InputError(ValueError):
    """What the user gave cannot be used: the message states what was given, what is allowed and what to change."""


def unknown_name(kind: str, given: object, allowed: Iterable[str], key: str | None = None) -> InputError:
    """The error for a name that is not known, with the nearest valid name.

    Args:
        kind: what the name stands for, e.g. ``"model"``.
        given: what the user wrote.
        allowed: the valid names.
        key: the configuration key to change, if there is one.
    """
    names = sorted(str(name) for name in allowed)
    folded = {name.lower(): name for name in names}
    text = str(given).lower()
    # What continues as it was begun is nearer than what merely looks alike: of 16, 16-mixed and not 64.
    begun = [name for name in folded if len(text) > 1 and name.startswith(text)]
    nearest = begun or difflib.get_close_matches(text, list(folded), n=1, cutoff=0.5)
    parts = [f"did you mean {folded[nearest[0]]!r}?"] if nearest else []
    if not nearest or len(names) <= LISTED_BESIDE_A_GUESS:
        parts.append(f"allowed: {', '.join(names)}")
    where = f" (key {key})" if key else ""
    return InputError(f"unknown {kind} {str(given)!r}{where}; {' '.join(parts)}")


def taken_name(kind: str, name: str) -> InputError:
    """The error for a name that is in a registry already.

    Args:
        kind: what the name stands for, e.g. ``"measure"``.
        name: the name.
    """
    return InputError(f"the {kind} name {name!r} is taken; choose another")
