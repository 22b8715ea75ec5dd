"""A check: a name, and a function that returns what it found, or raises an InputError that says what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dynvision.errors import InputError


@dataclass(frozen=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[], str]


def run_checks(checks: Sequence[Check]) -> int:
    """Print a line for each; the number of those that failed."""
    width = max(len(check.name) for check in checks)
    failed = 0
    for check in checks:
        try:
            state, found = "ok  ", check.look()
        except InputError as error:
            state, found = "FAIL", str(error)
            failed += 1
        print(f"{state}  {check.name:<{width}}  {found}", flush=True)
    return failed
