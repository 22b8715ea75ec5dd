"""What a report consists of, before it is HTML."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_LINE = 36  # characters that a cell keeps on one line


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, a finer print behind it, and what it is sorted by (its text if None)."""

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
    """A text to show as it is, behind a heading that opens it."""

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
