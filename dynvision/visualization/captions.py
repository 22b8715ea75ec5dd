"""What to know to read a figure, in sentences. Made from the table that was drawn; loads no plotting library."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from dynvision.analysis.cube import levels
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.seeds import BAND_IMAGES, BAND_SEEDS


def responses_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the figure of responses."""
    return (
        f"Responses of the layers (rows) over time{_columns(table)}, one line for each value of {parameter_label}. "
        "A response is the mean absolute activity of all units of a layer, in the model's own unit (a.u.), "
        "averaged over images. The sample at a time already includes the input of the step that begins then, so that "
        f"a line may rise one step before 0. {_stimulus(table, parameter_label)} {_band(table)}"
    )


def measures_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the figure of measures, with the definition of each."""
    measures = levels(table["measure"])
    definitions = " ".join(
        f"{_capital(MEASURES[name].label)}: {MEASURES[name].definition}." for name in measures
    )
    return (
        f"Measures of the responses against {parameter_label}, one panel for each measure and one line for each "
        f"layer; accuracies are those of the classifier. {definitions} "
        "Markers that would hide each other are moved a little sideways. "
        f"{_band(table).replace('Bands show', 'Vertical bars show').replace('bands show', 'vertical bars show')}"
    )


def performance_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the figure of performance."""
    chances = sorted({round(float(chance), 4) for chance in table["chance"]})
    level = " or ".join(f"{100 * chance:.3g} %" for chance in chances)
    return (
        "Part of the images that are classified correctly at each moment, including the times without a "
        f"stimulus, one line for each value of {parameter_label}. The dashed line is chance ({level}). "
        f"{_stimulus(table, parameter_label)} {_band(table)}"
    )


def training_caption(table: pd.DataFrame) -> str:
    """Caption of the figure of training."""
    band = (
        f" With several seeds, lines are their mean and bands reach from the lowest to the highest "
        f"({_count(table['n_seeds'].max(), 'seed')})."
        if BAND_SEEDS in set(table["band"])
        else ""
    )
    return (
        "Loss and accuracy over the epochs of training, on training images (dotted) and on validation images "
        f"(solid).{band}"
    )


CAPTIONS: dict[str, Callable[[pd.DataFrame, str], str]] = {
    "responses": responses_caption,
    "measures": measures_caption,
    "performance": performance_caption,
}


def _columns(table: pd.DataFrame) -> str:
    return " in each condition (columns)" if table["condition"].nunique() > 1 else ""


def _stimulus(table: pd.DataFrame, parameter_label: str) -> str:
    on = table[table["stimulus_on"]]
    lengths = {len(times) for _, times in on.groupby("value")["time_ms"].unique().items()}
    if len(lengths) > 1:
        return f"The bars on top show when the stimulus is on, in the colour of the {parameter_label.split(' (')[0]}."
    return "The grey bar on top shows when the stimulus is on."


def _band(table: pd.DataFrame) -> str:
    bands, sentences = set(table["band"]), []
    if BAND_IMAGES in bands:
        n_images = table.loc[table["band"] == BAND_IMAGES, "n_images"].max()
        several = " where a condition has one seed" if BAND_SEEDS in bands else ""
        sentences.append(
            f"bands show the 95 % bootstrap interval of the mean over {_count(n_images, 'image')}{several}"
        )
    if BAND_SEEDS in bands:
        n_seeds = table.loc[table["band"] == BAND_SEEDS, "n_seeds"].max()
        sentences.append(
            f"lines are means over up to {_count(n_seeds, 'seed')} and bands show the range over seeds"
            if len(bands) > 1
            else f"lines are means over {_count(n_seeds, 'seed')} and bands show the range over seeds"
        )
    return _capital("; ".join(sentences)) + "."


def _count(number: float, noun: str) -> str:
    return f"{int(number):,} {noun}" + ("" if int(number) == 1 else "s")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
