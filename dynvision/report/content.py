"""What a report consists of, before it is HTML: chapters of paragraphs, plates and tables, and numbers in words.

Plates are the files that were drawn, embedded, with the captions that were saved in them.
"""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dynvision.errors import InputError, message_of
from dynvision.text import duration

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
SMALL = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


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
    """A duration of so many seconds."""
    return duration(value, 1) if math.isfinite(value) else NOT_A_NUMBER


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


PIXELS_PER_POINT = 4 / 3  # CSS: 96 px and 72 pt are an inch
SCALE = 1.3  # figures are drawn for print, where text may be smaller
_DESCRIPTION = re.compile(r"<dc:description>(.*?)</dc:description>", re.DOTALL)
_SIZE = re.compile(r'<svg[^>]*?\swidth="([\d.]+)pt"\sheight="([\d.]+)pt"')


def figure_plates(folder: Path, root: Path, identity: str, figures: Sequence[str]) -> list[Plate]:
    """Return some figures of a folder; the arguments are those of `figure_plate`."""
    return [figure_plate(folder, root, f"{identity}-{name}", name) for name in figures]


def figure_plate(folder: Path, root: Path, identity: str, name: str) -> Plate:
    """Return a figure with the caption that was saved in it; without one, with its name.

    Args:
        folder: where it is.
        root: the results folder, from which the file beside a figure is named.
        identity: of the plate in the page.
        name: of the figure.

    Raises:
        InputError: the figure or its data is missing or broken.
    """
    image, data = folder / f"{name}.svg", folder / f"{name}.csv"
    try:
        drawing = image.read_text(encoding="utf-8")
        pd.read_csv(data, nrows=1)
    except FileNotFoundError as error:
        raise InputError(
            f"{error.filename} does not exist; draw the figures with dynvision plot first"
        ) from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"figure {image} or its data cannot be read: {message_of(error)}") from None
    size = _SIZE.search(drawing)
    if size is None:
        raise InputError(f"figure {image} is not an SVG of dynvision plot; draw it again")
    words = _saved_caption(drawing) or name.capitalize()
    width, height = (round(float(points) * PIXELS_PER_POINT * SCALE) for points in size.groups())
    content = base64.b64encode(drawing.encode()).decode()
    return Plate(
        identity=identity,
        alt=name.capitalize(),
        caption=words,
        source=f"data:image/svg+xml;base64,{content}",
        width=width,
        height=height,
        data_file=str(data.relative_to(root)) if data.is_relative_to(root) else data.name,
    )


def _saved_caption(drawing: str) -> str:
    found = _DESCRIPTION.search(drawing)
    return " ".join(html.unescape(found[1]).split()) if found else ""
