"""The scorecard: sign tests as a field of marks, and every curve of cortex beside that of the network.

Colours are layers; decisions are ink. The network is filled marks and solid lines. Cortex is open marks and dashed lines of
the colour of the layer that it is compared with, in the band within which it is known. An area has one mark in all panels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from dynvision.analysis.metrics import CLASSIFIER_LAYER
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.scorecard.phenomena import LEVEL, PEOPLE, PHENOMENA
from dynvision.visualization.axes import measure_label, set_measure_axis, set_parameter_axis
from dynvision.visualization.legend import line_handle
from dynvision.visualization.style import GUIDE, INK, MARKERS, MUTED, PAPER, VERDICTS, Style

PANEL = (1.75, 1.25)  # inches
GAP = (0.62, 0.6)
N_COLUMNS = 3
MARGIN = (0.75, 0.65)
ROW = 0.2  # inches a sign test
QUESTION = 3.0  # inches for questions
BAND = 0.1  # opacity
CELL = 0.62  # inches for a verdict
RATIOS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
X_LABELS = {
    "contrast": "contrast",
    "duration": "duration (ms)",
    "interval": "gap (ms)",
    "long": "duration (ms)",
    "rate": "images in a row",
    "flicker": "frequency (Hz)",
    "noise": "signal fraction",
    "decision": "signal fraction",
    "repeats": "repetition",
    "rsvp": "duration of an image (ms)",
    "masking": "onset of the mask (ms)",
    "occlusion": "part that is hidden",
    "clutter": "other images",
    "adapter": "in the same noise",
    "challenge": "feedforward twin",
}
UNCORRECTED = "°"  # a yes that does not survive the correction for the number of questions
AREA_MARKS = (*MARKERS[1:], "X", "*", "h", "<", ">", "p", "8", "d")  # the circle is the network's


def draw_signs(axes: Axes, signs: pd.DataFrame, layers: Sequence[str], style: Style) -> None:
    """Draw sign tests: a row a question, a column a layer; one to the hierarchy or of behaviour is one mark over all.

    Args:
        axes: where to draw.
        signs: columns `name`, `layer`, `model`, `verdict`, `q`.
        layers: the columns.
        style: names of layers.
    """
    tests = list(dict.fromkeys(signs["name"]))
    for y, test in enumerate(tests):
        for _, row in signs[signs["name"] == test].iterrows():
            whole = row["layer"] not in layers
            x, width = (0, max(len(layers), 1)) if whole else (layers.index(row["layer"]), 1)
            colour = VERDICTS[row["verdict"]]
            axes.add_patch(_box(x, y, width, colour))
            text = row["verdict"] if np.isnan(row["model"]) else f"{row['verdict']} {_short(row['model'])}"
            text += UNCORRECTED if row["verdict"] == "yes" and row["q"] > LEVEL else ""
            ink = INK if row["verdict"] in ("not measured", "unclear") else PAPER
            axes.text(x + width / 2, y + 0.5, text, ha="center", va="center", color=ink, fontsize=6.5)
    responses = sum(signs.loc[signs["name"] == test, "layer"].iloc[0] != CLASSIFIER_LAYER for test in tests)
    if 0 < responses < len(tests):
        axes.axhline(responses, color=INK, linewidth=0.7)
    axes.set_xlim(0, max(len(layers), 1))
    axes.set_ylim(len(tests), 0)
    axes.set_yticks([y + 0.5 for y in range(len(tests))], [PHENOMENA[test].question for test in tests])
    axes.set_xticks([x + 0.5 for x in range(len(layers))], [style.name(layer) for layer in layers])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_curve(
    axes: Axes, numbers: pd.DataFrame, colours: Mapping[str, str], marks: Mapping[str, str]
) -> None:
    """Draw one measure of network and cortex against the parameter.

    Args:
        axes: where to draw.
        numbers: columns `protocol`, `name`, `layer`, `area`, `value`, `model`, `ci_low`, `ci_high`, `cortex`, `cortex_low`,
            `cortex_high`.
        colours: of layers.
        marks: of areas.
    """
    for (layer, area), of_pair in numbers.groupby(["layer", "area"], sort=False):
        line = of_pair.sort_values("value")
        at = line["value"]
        colour = colours[str(layer)]
        axes.vlines(at, line["ci_low"], line["ci_high"], color=colour, linewidth=0.9, alpha=0.7)
        axes.fill_between(
            at, line["cortex_low"], line["cortex_high"], color=colour, alpha=BAND, linewidth=0, zorder=0
        )
        axes.plot(at, line["model"], color=colour, marker="o", markersize=3, zorder=3, clip_on=False)
        axes.plot(
            at,
            line["cortex"],
            color=colour,
            linestyle="--",
            linewidth=0.9,
            marker=marks[str(area)],
            markerfacecolor=PAPER,
            markersize=4.5,
            alpha=0.9,
            clip_on=False,
        )
    measure = str(numbers["name"].iloc[0])
    axes.set_ylabel(measure_label(measure))
    axes.set_xlabel(X_LABELS[str(numbers["protocol"].iloc[0])])
    set_parameter_axis(axes, numbers["value"].to_numpy())
    drawn = [numbers.rename(columns={"model": "mean", "ci_low": "low", "ci_high": "high"})]
    cortex = {"mean": "cortex", "low": "cortex_low", "high": "cortex_high"}
    drawn.append(pd.DataFrame({name: numbers[column] for name, column in cortex.items()}))
    set_measure_axis(axes, measure, pd.concat(drawn, ignore_index=True))


def draw_ratios(
    axes: Axes, numbers: pd.DataFrame, colours: Mapping[str, str], marks: Mapping[str, str], style: Style
) -> None:
    """Draw measures of whole experiments and at one value as network over cortex, a row a number.

    Args:
        axes: where to draw.
        numbers: columns `protocol`, `name`, `layer`, `area`, `value`, `model`, `ci_low`, `ci_high`, `cortex`, `cortex_low`,
            `cortex_high`.
        colours: of layers.
        marks: of areas.
        style: names of layers.
    """
    labels = []
    for y, (_, row) in enumerate(numbers.iterrows()):
        ratio, low, high = (row[name] / row["cortex"] for name in ("model", "ci_low", "ci_high"))
        known = np.clip(
            [row[end] / row["cortex"] for end in ("cortex_low", "cortex_high")], RATIOS[0], RATIOS[-1]
        )
        axes.add_patch(
            Rectangle(
                (known[0], y - 0.4), known[1] - known[0], 0.8, facecolor=GUIDE, edgecolor="none", zorder=0
            )
        )
        shown = np.clip(ratio, RATIOS[0], RATIOS[-1]) if np.isfinite(ratio) else np.nan
        outside = np.isfinite(ratio) and shown != ratio
        mark = marks[row["area"]] if not outside else (">" if ratio > 1 else "<")
        axes.hlines(
            y, *np.clip([low, high], RATIOS[0], RATIOS[-1]), color=colours[row["layer"]], linewidth=0.9
        )
        axes.plot([shown], [y], marker=mark, color=colours[row["layer"]], markersize=4.5, clip_on=False)
        if not np.isfinite(ratio):
            axes.text(RATIOS[0], y, " no value", ha="left", va="center", color=MUTED, fontsize=6)
        approximate = " ≈" if row["provenance"] == "M" else ""
        at = "" if np.isnan(row["value"]) else f" at {row['protocol']} {row['value']:g}"
        labels.append(
            f"{MEASURES[row['name']].label}{at}, {style.name(row['layer'])} as {row['area']}{approximate}"
        )
    axes.axvline(1, color=MUTED, linewidth=0.7, zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(RATIOS[0], RATIOS[-1])
    axes.xaxis.set_major_locator(FixedLocator(list(RATIOS)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("network / cortex")
    axes.grid(axis="y", color=GUIDE, linewidth=0.4)
    axes.set_axisbelow(True)


def scorecard_figure(card: pd.DataFrame, style: Style) -> Figure:
    """Draw a scorecard.

    Args:
        card: from :func:`dynvision.analysis.scorecard.score_run`.
        style: colours and names.
    """
    signs, numbers = card[card["kind"] == "sign"], card[card["kind"] == "number"]
    single = signs.loc[~signs["layer"].str.contains(" < ") & (signs["layer"] != CLASSIFIER_LAYER), "layer"]
    of_numbers = [layer for layer in numbers["layer"] if layer != CLASSIFIER_LAYER]
    layers = list(dict.fromkeys([*single, *of_numbers]))
    colours = {**style.depths(layers), CLASSIFIER_LAYER: INK}
    areas = list(dict.fromkeys(numbers["area"]))
    marks = {area: AREA_MARKS[n % len(AREA_MARKS)] for n, area in enumerate(areas)}
    sizes = numbers.groupby(["protocol", "name"], sort=False)["value"].nunique()
    curves = list(sizes[sizes > 1].index)
    is_curve = pd.MultiIndex.from_frame(numbers[["protocol", "name"]]).isin(curves)
    rest = numbers[~is_curve]
    n_rows = -(-len(curves) // N_COLUMNS)
    tests = signs["name"].nunique()
    heights = [tests * ROW, n_rows * PANEL[1] + max(n_rows - 1, 0) * GAP[1], len(rest) * 0.15]
    width = N_COLUMNS * PANEL[0] + (N_COLUMNS - 1) * GAP[0] + 2 * MARGIN[0]
    height = sum(heights) + 2 * MARGIN[1] + 2 * GAP[1] + 0.25
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)

    def place(left: float, top: float, w: float, h: float) -> Axes:
        return figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))

    top = MARGIN[1]
    if tests:
        draw_signs(
            place(MARGIN[0] + QUESTION, top, max(len(layers) * CELL, 1.3), heights[0]), signs, layers, style
        )
    top += heights[0] + GAP[1]
    for number, curve in enumerate(curves):
        row, column = divmod(number, N_COLUMNS)
        axes = place(MARGIN[0] + column * (PANEL[0] + GAP[0]), top + row * (PANEL[1] + GAP[1]), *PANEL)
        of_panel = numbers[(numbers["protocol"] == curve[0]) & (numbers["name"] == curve[1])]
        draw_curve(axes, of_panel, colours, marks)
    top += heights[1] + GAP[1]
    if len(rest):
        axes = place(MARGIN[0] + QUESTION, top, width - QUESTION - 2 * MARGIN[0], heights[2])
        draw_ratios(axes, rest, colours, marks, style)
    beside = MARGIN[1] + (heights[0] + GAP[1] if curves else 0)  # the curves, which it is about
    drawn = [layer for layer in (*layers, CLASSIFIER_LAYER) if layer in set(numbers["layer"])]
    handles = [line_handle(f"{style.name(layer)}, network", colours[layer], marker="o") for layer in drawn]
    handles += [
        line_handle(area if area == PEOPLE else f"{area}, cortex", MUTED, "--", marks[area], filled=False)
        for area in areas
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1 - 0.55 * MARGIN[0] / width, 1 - beside / height),
    )
    return figure


def _short(value: float) -> str:
    """Return a statistic in the width of a cell."""
    return f"{value:+.2f}" if abs(value) < 10 else f"{value:+.0f}"


def _box(x: float, y: float, width: float, colour: str) -> Rectangle:
    return Rectangle((x + 0.03, y + 0.06), width - 0.06, 0.88, facecolor=colour, edgecolor="none")


def scorecard_caption(card: pd.DataFrame) -> str:
    """Return the caption of the scorecard."""
    signs = card[card["kind"] == "sign"]
    passed = int((signs["verdict"] == "yes").sum())
    each = (one for source in card["source"].dropna() if source for one in source.split("; "))
    sources = "; ".join(dict.fromkeys(each))
    return (
        f"Scorecard of {card['run_id'].iloc[0]}: {passed} of {len(signs)} sign tests are as in cortex. "
        "Top: sign tests with their statistic, above 0 as in cortex or, below the line, in people; unclear where its 95 % "
        f"interval reaches 0, {UNCORRECTED} a yes that is lost in the correction for the number of questions (false "
        f"discovery rate {LEVEL:g}). "
        "Middle: measures of the mean response over images (filled, with 95 % intervals over images) and of cortex (open, "
        "dashed, in the colour of the layer that it is compared with, and the band within which it is known). Bottom: "
        "single numbers as network over cortex, grey the band of cortex; arrows are beyond the axis, ≈ marks values quoted "
        "from memory. No value: the network does not have the measure. DN: delayed normalization. "
        f"Sources: {sources}."
    )
