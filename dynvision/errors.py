"""Errors that a user can fix, stated in one sentence."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Iterable

LISTED_BESIDE_A_GUESS = 12  # a longer list of names would hide the nearest one


class InputError(ValueError):
    """What the user gave cannot be used: the message states what was given, what is allowed and what to change."""


def unknown_name(kind: str, given: object, allowed: Iterable[str], key: str | None = None) -> InputError:
    """Return the error for a name that is not known, with the nearest valid name.

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


def message_of(error: Exception) -> str:
    """Return the message of another library's error on one line; the error's type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def check_extra(extra: str, purpose: str, *packages: str, instead: str = "") -> None:
    """Check that packages of an extra of ``pyproject.toml`` can be imported; none of them is.

    Args:
        extra: the extra that brings them, e.g. ``"workflow"``.
        purpose: what they are needed for; the message begins with it.
        packages: by their names in an import statement.
        instead: what else the user can do.

    Raises:
        InputError: one of them is absent.
    """
    absent = [name for name in packages if not _can_be_imported(name)]
    if absent:
        otherwise = f", or {instead}" if instead else ""
        raise InputError(
            f"{purpose} needs {' and '.join(absent)}; run: pip install 'dynvision[{extra}]'{otherwise}"
        )


def _can_be_imported(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    return importlib.util.find_spec(name) is not None
