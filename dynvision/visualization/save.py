"""A figure's three files: PNG to look at, SVG to edit, CSV with exactly what was drawn.

Text in scripts that the font of the figures lacks is drawn in an installed font that has the characters. matplotlib draws a
box for each missing character and warns of each; here the fonts of the machine are searched once, and where none has them,
classes are drawn as numbers, other text with ``?``, and one note names the characters.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from dynvision.files import atomic_path
from dynvision.text import first_few
from dynvision.visualization.style import Style

OWN = ("DejaVu Sans",)  # the font of figures; it comes with matplotlib
NO_GLYPHS = ("Last Resort", "Noto Sans Symbols")  # fonts of boxes and signs in place of letters
UNKNOWN = "?"
MOST_NAMED = 8  # characters in a note
LONGEST = 24  # letters of a class's name in a figure
_noted: set[str] = set()


def legible_names(names: Sequence[str]) -> list[str]:
    """Return names of classes as they can be drawn: cut short, or all as numbers where a character is in no font.

    Names that are the same when they are cut get their numbers.
    """
    missing = fonts_for("".join(names))[1]
    if missing:
        note(missing, "classes are drawn as their numbers")
        return [str(number) for number in range(len(names))]
    short = [_cut(" ".join(name.split())) for name in names]
    return [f"{name} ({number})" if short.count(name) > 1 else name for number, name in enumerate(short)]


def _cut(name: str) -> str:
    """Return the beginning and the end of a long name: one of all its synonyms would leave no room for the figure."""
    return (
        name if len(name) <= LONGEST else f"{name[: LONGEST - 9].rstrip(' ,')}\u2026{name[-8:].lstrip(' ,')}"
    )


def make_legible(figure: Figure) -> None:
    """Give each text of a figure the fonts that its characters need; characters that no font has become ``?``."""
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if any(fonts_for(label)[1] for label in labels):  # they are written anew at every drawing
            axis.set_ticks(axis.get_majorticklocs(), [_without_unknown(label) for label in labels])
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(_without_unknown(text.get_text()))
        if families := fonts_for(text.get_text())[0]:
            text.set_fontfamily([*OWN, *families])


def _without_unknown(text: str) -> str:
    missing = fonts_for(text)[1]
    if missing:
        note(missing, f"they are drawn as {UNKNOWN}")
    return "".join(UNKNOWN if sign in missing else sign for sign in text)


def note(missing: Iterable[str], instead: str) -> None:
    """State once which characters are in no installed font."""
    new = [sign for sign in dict.fromkeys(missing) if sign not in _noted]
    if not new:
        return
    _noted.update(new)
    shown = first_few(new, MOST_NAMED, " ")
    print(
        f"figures: no installed font has {shown}, so {instead}; install a font that has them, e.g. fonts-noto-cjk, and "
        "draw again",
        file=sys.stderr,
    )


def fonts_for(text: str) -> tuple[list[str], str]:
    """Return the families that a text needs beside `OWN`, and the characters that no installed font has."""
    lacking = "".join(
        sorted({sign for sign in text if sign.isprintable() and ord(sign) not in _own_glyphs()})
    )
    return _search(lacking) if lacking else ([], "")


@cache
def _search(lacking: str) -> tuple[list[str], str]:
    """Return families that together have the characters, each the one that has the most of those that are left."""
    families: list[str] = []
    left = set(lacking)
    candidates = {
        path: name for path, name in _installed().items() if not name.startswith((*OWN, *NO_GLYPHS))
    }
    while left:
        have = {path: sum(ord(sign) in _glyphs(path) for sign in left) for path in candidates}
        best = max(sorted(have), key=lambda path: have[path], default="")
        if not best or not have[best]:
            break
        families.append(candidates[best])
        left = {sign for sign in left if ord(sign) not in _glyphs(best)}
    return families, "".join(sorted(left))


@cache
def _own_glyphs() -> frozenset[int]:
    return _glyphs(fontManager.findfont(FontProperties(family=list(OWN))))


@cache
def _installed() -> dict[str, str]:
    """Return the family by file of the upright fonts, with those that were installed since matplotlib looked last."""
    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except (OSError, RuntimeError):  # not a font that can be read
            continue
    return {entry.fname: entry.name for entry in fontManager.ttflist if entry.style == "normal"}


@cache
def _glyphs(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap()) if Path(path).is_file() else frozenset()
    except (OSError, RuntimeError):
        return frozenset()


PADDING = 0.08  # inches around what is drawn


@dataclass(frozen=True)
class Drawn:
    """A figure, the table that it shows, and what to know to read it."""

    name: str
    figure: Figure
    table: pd.DataFrame
    caption: str


def save_figure(drawn: Drawn, output_dir: str | Path, style: Style) -> list[Path]:
    """Write a figure as PNG, SVG and CSV, each whole or not at all. Equal figures give equal bytes.

    Text in the SVG stays text. The caption is in the metadata of PNG and SVG.

    Returns:
        The three paths.
    """
    paths = [Path(output_dir) / f"{drawn.name}.{suffix}" for suffix in ("png", "svg", "csv")]
    facts = {"Title": drawn.name, "Description": drawn.caption}
    with style.context():
        make_legible(drawn.figure)
        layout = drawn.figure.get_layout_engine()
        if layout is not None:  # it would place the axes at each drawing; the outline needs them now
            layout.execute(drawn.figure)
            drawn.figure.set_layout_engine("none")
        outline = drawn.figure.get_tightbbox().padded(PADDING)  # once: each takes a drawing
        with atomic_path(paths[0]) as temporary:
            drawn.figure.savefig(
                temporary,
                format="png",
                dpi=style.config.dpi,
                bbox_inches=outline,
                metadata={**facts, "Software": None},
            )
        with atomic_path(paths[1]) as temporary:
            drawn.figure.savefig(
                temporary,
                format="svg",
                bbox_inches=outline,
                metadata={**facts, "Date": None, "Creator": None},
            )
    with atomic_path(paths[2]) as temporary:
        drawn.table.to_csv(temporary, index=False)
    return paths
