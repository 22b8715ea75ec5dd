"""One look for all figures: colours, names and order.

Colours of named things come from the configuration's palette, and otherwise from seaborn's ``colorblind`` palette.
Each palette has one meaning: viridis (without its pale end) the values of the swept parameter, brown those of a
parameter of the model, plasma the depth of layers, blue from white a fraction, ``colorblind`` what has no order. The
higher a value, the darker. Conditions that differ in one number are coloured by its rank.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import seaborn
from matplotlib.colors import to_hex

from dynvision.visualization.names import Comparison, Names, Row, is_number

INK = "#222222"
MUTED = "#6b6b6b"
STIMULUS = "#8a8a8a"
GUIDE = "#d4d4d4"
PAPER = "white"
VERDICTS = {"yes": "#1b6e7a", "no": "#b5442e", "unclear": "#c9a227", "not measured": GUIDE}  # of sign tests
PHASES = {"idle": "#f0f0f0", "residual": "#e4ecf4"}  # of a training trial, without stimulus
BAND_ALPHA = 0.18
LineStyle = Literal["-", "--", ":", "-.", "None"] | tuple[float, Sequence[float]]
LINE_STYLES: tuple[LineStyle, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
DEPTHS = (0.0, 0.82)  # part of plasma, from early to late layers
SEQUENCE = (0.78, 0.05)  # part of viridis, from low to high values
GRADES = (0.4, 1.0)  # part of YlOrBr, likewise

_FONT = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7.5,
}
_LOOK = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.6,
    "lines.markersize": 3.5,
    "lines.solid_capstyle": "round",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.8,
    "ytick.minor.size": 1.8,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "axes.labelpad": 3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",
    "svg.hashsalt": "dynvision",
}


class Style(Names):
    """Names and order, with the colours and the look of figures."""

    @contextmanager
    def context(self) -> Iterator[None]:
        """Apply the look while the context lasts; drawing and saving both need it."""
        look = {**seaborn.axes_style("ticks"), **seaborn.plotting_context("paper"), **_LOOK, **_FONT}
        with matplotlib.rc_context(look), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", r"Glyph .* missing from"
            )  # `save_figure` finds fonts, or notes it once
            yield

    def colours(self, names: Sequence[Any]) -> dict[Any, str]:
        """Return one colour for each name: from the palette, else the next free one of ``colorblind``."""
        chosen = {name: self.config.palette[str(name)] for name in names if str(name) in self.config.palette}
        cycle = [to_hex(colour) for colour in seaborn.color_palette("colorblind")]
        others = [name for name in names if name not in chosen]
        if len(others) > len(cycle):
            cycle = [to_hex(colour) for colour in seaborn.color_palette("husl", len(others))]
        return chosen | dict(zip(others, cycle, strict=False))

    def depths(self, layers: Sequence[str]) -> dict[str, str]:
        """Return one colour for each layer, from early to late: from the palette, else dark to light along ``plasma``."""
        others = [layer for layer in layers if layer not in self.config.palette]
        palette = seaborn.color_palette("plasma", as_cmap=True)
        low, high = DEPTHS
        graded = {
            layer: to_hex(palette(low + (high - low) * rank / max(len(others) - 1, 1)))
            for rank, layer in enumerate(others)
        }
        return graded | {layer: self.config.palette[layer] for layer in layers if layer not in graded}

    def sequential(self, values: Iterable[float]) -> dict[float, str]:
        """Return one colour for each value of the swept parameter, by rank; a single value has the dark end."""
        return self._ranked(values, "viridis", SEQUENCE)

    def graded(self, values: Iterable[float]) -> dict[float, str]:
        """Return one colour for each value of a parameter of the model, as :meth:`sequential` in another palette."""
        return self._ranked(values, "YlOrBr", GRADES)

    @staticmethod
    def _ranked(values: Iterable[float], name: str, part: tuple[float, float]) -> dict[float, str]:
        ascending = sorted(set(values))
        palette = seaborn.color_palette(name, as_cmap=True)
        low, high = part
        last = max(len(ascending) - 1, 1)
        start = 0 if len(ascending) > 1 else 1
        return {
            value: to_hex(palette(low + (high - low) * (rank + start) / last))
            for rank, value in enumerate(ascending)
        }


def condition_colours(comparison: Comparison, style: Style, row: Row | None = None) -> dict[str, str]:
    """Return colours of the conditions of a row, or of all of them, by label."""
    labels = list(comparison.labels if row is None else row.titles)
    of_label = dict(zip(comparison.labels, comparison.conditions, strict=True))
    differing = [of_label[label].differing for label in labels]
    varied = [name for name in differing[0] if len({repr(values[name]) for values in differing}) > 1]
    values = [[one[name] for name in varied] for one in differing]
    if all(len(value) == 1 and is_number(value[0]) for value in values):
        ranks = style.graded(float(value[0]) for value in values)
        return {label: ranks[float(value[0])] for label, value in zip(labels, values, strict=True)}
    keys = [
        next((str(part) for part in value if str(part) in style.config.palette), label)
        for label, value in zip(labels, values, strict=True)
    ]
    keys = [key if keys.count(key) == 1 else label for key, label in zip(keys, labels, strict=True)]
    chosen = style.colours(keys)
    return {label: chosen[key] for label, key in zip(labels, keys, strict=True)}
