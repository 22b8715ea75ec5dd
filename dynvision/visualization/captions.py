"""Sentences that the captions of several figures share, made from the table that was drawn."""

from __future__ import annotations

import pandas as pd

from dynvision.analysis.bootstrap import BAND_IMAGES, BAND_SEEDS
from dynvision.analysis.courses import what_was_shown
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.tables import levels
from dynvision.visualization.names import split_unit

MOST_BANDS = 12  # lines in a panel that have a band
CORTEX = "cortex"  # in place of a condition, in the data of a figure that has cortex beside the network


def columns_phrase(table: pd.DataFrame) -> str:
    """Return the words for conditions in columns; empty where there is one condition."""
    return " in each condition (columns)" if table["condition"].nunique() > 1 else ""


def stimulus_sentence(table: pd.DataFrame, parameter_label: str) -> str:
    """Return what the bars above the panels show."""
    shown = what_was_shown(table)
    masks = ", hatched when a mask is" if any(one.mask for one in shown) else ""
    if len(shown) > 1:
        coloured = f"in the colour of the {split_unit(parameter_label)[0]}"
        return f"The bars on top show when the stimulus is on{masks}, {coloured}."
    return f"The grey bar on top shows when the stimulus is on{masks}."


def course_band_sentence(table: pd.DataFrame, n_lines: int = 0) -> str:
    """Return what the bands of courses show. More than `MOST_BANDS` lines have none.

    Args:
        table: columns `value`, `band`, `n_images`, `n_seeds`, of the courses and of nothing else.
        n_lines: lines in a panel; 0 for one line at each value.
    """
    if (n_lines or table["value"].nunique()) <= MOST_BANDS:
        return band_sentence(table)
    return "Of so many lines the intervals are in the CSV file alone."


def band_sentence(table: pd.DataFrame, drawn: str = "bands") -> str:
    """Return what intervals show, from the columns `band`, `n_images` and `n_seeds`.

    Args:
        table: of what has the intervals.
        drawn: how they are drawn: ``bands`` or ``vertical bars``.
    """
    bands, sentences = set(table["band"]), []
    if BAND_IMAGES in bands:
        n_images = table.loc[table["band"] == BAND_IMAGES, "n_images"].max()
        several = " where a condition has one seed" if BAND_SEEDS in bands else ""
        sentences.append(
            f"{drawn} show the 95 % bootstrap interval of the {_average(table)} over {count(n_images, 'image')}{several}"
        )
    if BAND_SEEDS in bands:
        n_seeds = table.loc[table["band"] == BAND_SEEDS, "n_seeds"].max()
        sentences.append(
            f"lines are means over up to {count(n_seeds, 'seed')} and {drawn} show the range over seeds"
            if len(bands) > 1
            else f"lines are means over {count(n_seeds, 'seed')} and {drawn} show the range over seeds"
        )
    return capital("; ".join(sentences)) + "."


def _average(table: pd.DataFrame) -> str:
    measures = levels(table["measure"]) if "measure" in table else []
    median = any(name in MEASURES and MEASURES[name].average == "median" for name in measures)
    return "mean (of times the median)" if median else "mean"


def definition(measure: str, rows: pd.DataFrame) -> str:
    """Return what a measure is, what is taken over images, and of how many of them."""
    if MEASURES[measure].average != "median":
        return MEASURES[measure].definition
    over = "median over the images that have one"
    if "fraction" in rows and rows["fraction"].notna().any():
        low, high = (f"{100 * part:.3g}" for part in (rows["fraction"].min(), rows["fraction"].max()))
        over += f" ({low} % of them)" if low == high else f" ({low} % to {high} % of them)"
    return f"{MEASURES[measure].definition}; {over}"


def count(number: float, noun: str) -> str:
    """Return a number with its noun: ``1 image``, ``1,000 images``."""
    return f"{int(number):,} {noun}" + ("" if int(number) == 1 else "s")


def capital(text: str) -> str:
    """Return a text with a capital at its beginning; the rest is left as it is."""
    return text[:1].upper() + text[1:]
