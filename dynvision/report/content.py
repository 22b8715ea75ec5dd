"""What a report consists of, before it is HTML: chapters of paragraphs, plates and tables, and numbers in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_LINE = 36  # characters that a cell keeps on one line


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, a finer print after it, and what it is sorted by (its text if None)."""

    text: str
    note: str = ""
    key: float | None = None

    @property
    def is_long(self) -> bool:
        """Whether the text may be broken into lines."""
        return len(self.text) > LONGEST_LINE


@dataclass(frozen=True)
class Table:
    """A table. Numeric columns are aligned to the right."""

    caption: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Plate:
    """A figure: an image as data URI with its size in CSS pixels, and its words."""

    identity: str
    alt: str
    caption: str
    source: str
    width: int
    height: int
    data_file: str


@dataclass(frozen=True)
class Listing:
    """A text to show as it is, after a heading that opens it."""

    title: str
    text: str


@dataclass(frozen=True)
class Chapter:
    """A part of the report with a heading of its own; points are pairs of a name (or nothing) and a sentence."""

    identity: str
    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[tuple[str, str], ...] = ()
    plates: tuple[Plate, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()


@dataclass(frozen=True)
class Report:
    """All of a report."""

    title: str
    subtitle: str
    date: str
    chapters: tuple[Chapter, ...] = ()


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
