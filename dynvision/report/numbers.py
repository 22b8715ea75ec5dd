"""Numbers as a reader wants them."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOT_A_NUMBER = "–"
SMALL = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, never in exponents between 0.0001 and a million."""
    if not math.isfinite(value):
        return NOT_A_NUMBER if math.isnan(value) else str(value)
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if not -5 < magnitude < 6:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def percent(fraction: float) -> str:
    """A fraction as percentage with one decimal."""
    return f"{100 * fraction:.1f} %" if math.isfinite(fraction) else NOT_A_NUMBER


def seconds(value: float) -> str:
    """A duration in seconds, minutes or hours."""
    if not math.isfinite(value):
        return NOT_A_NUMBER
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count(n: int, noun: str, capital: bool = False, plural: str = "") -> str:
    """A count with its noun, small numbers in words: ``three runs``."""
    amount = SMALL[n] if 0 <= n < len(SMALL) else f"{n:,}"
    text = f"{amount} {noun if n == 1 else plural or noun + 's'}"
    return text[0].upper() + text[1:] if capital else text


def listing(parts: Sequence[str]) -> str:
    """Parts as a sentence lists them: ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def span(low: str, high: str, joint: str = "to") -> str:
    """A range, or the one value where both ends are written alike."""
    return low if low == high else f"{low} {joint} {high}"
