"""What to know to read a figure, in sentences. Made from the table that was drawn; loads no plotting library."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from dynvision.analysis.bootstrap import BAND_IMAGES, BAND_SEEDS
from dynvision.analysis.courses import what_was_shown
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.tables import levels
from dynvision.visualization.labels import at_value, split_unit

MOST_BANDS = 12  # lines in a panel that have a band
CORTEX = "cortex"  # in place of a condition, in the data of a figure that has cortex beside the network


def responses_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the figure of responses."""
    return (
        f"Responses of the layers (rows) over time{_columns(table)}, one line for each value of {parameter_label}. "
        "A response is the mean absolute activity of all units of a layer, in the model's own unit (a.u.), "
        "averaged over images. The sample at a time is the response to everything that was shown up to then. "
        f"{_stimulus(table, parameter_label)} {_course_band(table)}"
    )


def measures_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the figure of measures, with the definition of each."""
    measures = levels(table["measure"])
    definitions = " ".join(
        f"{_capital(MEASURES[name].label)}: {_definition(name, table[table['measure'] == name])}."
        for name in measures
    )
    return (
        f"Measures of the responses against {parameter_label}, one panel for each measure and one line for each "
        f"layer; accuracies are those of the classifier. {definitions} "
        "Where lines have the same values, those below are heavier. "
        f"{_band(table).replace('Bands show', 'Vertical bars show').replace('bands show', 'vertical bars show')}"
    )


def performance_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the figure of performance."""
    chances = sorted({round(float(chance), 4) for chance in table["chance"]})
    level = " or ".join(f"{100 * chance:.3g} %" for chance in chances)
    return (
        "Part of the images that are classified correctly at each moment, including the times without a "
        f"stimulus, one line for each value of {parameter_label}. The dashed line is chance ({level}). "
        f"{_stimulus(table, parameter_label)} {_course_band(table)}"
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


def dynamics_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the summary on one page, from the courses and the measure."""
    courses = table[table["measure"] == "response"]
    measured = table[(table["measure"] != "response") & (table["condition"] != CORTEX)]
    measure, layer = str(measured["measure"].iloc[0]), str(measured["layer"].iloc[0])
    several = measured["condition"].nunique() > 1
    whose = f" of {courses['condition'].iloc[0]}" if several else ""
    lines = ", one line for each condition" if several else ""
    return (
        f"Left: the layers{whose} above each other, each scaled to its own maximum, so that their time courses can be "
        f"compared. Middle: the response of {layer} at each value of {parameter_label}. Right: {MEASURES[measure].label} "
        f"of {layer}{lines}; it is the {_definition(measure, measured)}.{_beside(table)} "
        f"{_stimulus(courses, parameter_label)} {_course_band(table)}"
    )


def _beside(table: pd.DataFrame) -> str:
    cortex = table[table["condition"] == CORTEX]
    if cortex.empty:
        return ""
    return f" Far right: the same in {cortex['layer'].iloc[0]} of cortex, {cortex['source'].iloc[0]}."


def robustness_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the figure of robustness."""
    twin = (
        " Dashed, with open markers: the same weights without recurrence and feedback."
        if table["network"].nunique() > 1
        else " The feedforward-only twin of this experiment was not run."
    )
    return (
        f"The highest accuracy at any one time from stimulus onset, the time at which it is reached, and the mean "
        f"probability of the guess at that time, against {parameter_label}. The time is chosen on the same images, so that "
        f"the accuracy lies above that on other images, the more so the fewer the images.{twin} The grey line is chance. "
        f"{_course_band(table, table['condition'].nunique())}"
    )


def classifier_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the figure of guesses."""
    where = at_value(parameter_label, float(table["value"].iloc[0]))
    return (
        f"Guesses of {table['condition'].iloc[0]} over time at {where}, a panel for each class that "
        "was shown: the part of its images for which a class is the guess. Heavy: the class itself; in colour: the classes "
        f"that it is most often taken for. {_stimulus(table, parameter_label)}"
    )


def confusion_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the confusion matrices."""
    where = (
        f"at {at_value(parameter_label, float(table['value'].iloc[0]))}"
        if table["value"].nunique() == 1
        else f"at several values of {parameter_label}"
    )
    seeds = ", averaged over seeds" if table["n_seeds"].max() > 1 else ""
    return (
        f"Part of the images of a class (rows) that are taken for a class (columns), {where}, at the moment of the highest "
        f"accuracy{seeds}. The scale is linear; numbers are percentages, and cells without one are 0."
    )


def overview_caption(table: pd.DataFrame, parameter_label: str) -> str:
    """Caption of the overview of a sweep."""
    layers = [layer for layer in levels(table["layer"]) if layer != "classifier"]
    how = (
        "Each parameter is varied alone; the grey line marks the network as configured."
        if table["is_base"].any()
        else "Points are means over the other parameters, and vertical bars show the range over them."
        if table["band"].eq("range over the other parameters").any()
        else ""
    )
    of_seeds = table["n_seeds"].max()
    seeds = (
        f" Means over {_count(of_seeds, 'seed')}; bars show the range."
        if of_seeds > 1 and "alone" in how
        else ""
    )
    return (
        f"What the parameters of the model (columns) do to the measures (rows) of {', '.join(layers)} and to the accuracy, "
        f"one line for each of some values of {parameter_label}. {how}{seeds}"
    )


def weights_caption(table: pd.DataFrame) -> str:
    """Caption of the distributions of weights."""
    return (
        "Distributions of the weights of each layer by the connection that they are of: violins show how many weights have "
        "a value (each is scaled to its widest place), bars the quartiles, thin lines the middle 90 %, dots the median. "
        "The axis is logarithmic away from zero. Biases are left out; of several seeds the first is shown."
    )


def scorecard_caption(card: pd.DataFrame) -> str:
    """Caption of the scorecard."""
    signs = card[card["kind"] == "sign"]
    passed = int((signs["verdict"] == "yes").sum())
    sources = "; ".join(dict.fromkeys(source for source in card["source"].dropna() if source))
    return (
        f"Scorecard of {card['run_id'].iloc[0]}: {passed} of {len(signs)} sign tests are as in cortex. "
        "Top: sign tests with their statistic, above 0 as in cortex; unclear where its 95 % interval reaches 0. "
        "Middle: measures of the mean response over images (filled, with 95 % intervals over images) and of cortex (open, "
        "dashed, in the colour of the layer that it is compared with). Bottom: single numbers as network over cortex; "
        f"arrows are beyond the axis, ≈ marks values quoted from memory. Sources: {sources}."
    )


CAPTIONS: dict[str, Callable[[pd.DataFrame, str], str]] = {
    "dynamics": dynamics_caption,
    "responses": responses_caption,
    "measures": measures_caption,
    "performance": performance_caption,
    "robustness": robustness_caption,
    "classifier": classifier_caption,
    "confusion": confusion_caption,
    "overview": overview_caption,
}
RUN_CAPTIONS: dict[str, Callable[[pd.DataFrame], str]] = {
    "training": training_caption,
    "weights": weights_caption,
}


def _columns(table: pd.DataFrame) -> str:
    return " in each condition (columns)" if table["condition"].nunique() > 1 else ""


def _stimulus(table: pd.DataFrame, parameter_label: str) -> str:
    shown = what_was_shown(table)
    masks = ", hatched when a mask is" if any(one.mask for one in shown) else ""
    if len(shown) > 1:
        coloured = f"in the colour of the {split_unit(parameter_label)[0]}"
        return f"The bars on top show when the stimulus is on{masks}, {coloured}."
    return f"The grey bar on top shows when the stimulus is on{masks}."


def _course_band(table: pd.DataFrame, n_lines: int = 0) -> str:
    """What bands of lines show; of many lines, one for each value unless their number is given, there are none."""
    if (n_lines or table["value"].nunique()) <= MOST_BANDS:
        return _band(table)
    return "Of so many lines the intervals are in the CSV file alone."


def _band(table: pd.DataFrame) -> str:
    bands, sentences = set(table["band"]), []
    if BAND_IMAGES in bands:
        n_images = table.loc[table["band"] == BAND_IMAGES, "n_images"].max()
        several = " where a condition has one seed" if BAND_SEEDS in bands else ""
        sentences.append(
            f"bands show the 95 % bootstrap interval of the {_average(table)} over {_count(n_images, 'image')}{several}"
        )
    if BAND_SEEDS in bands:
        n_seeds = table.loc[table["band"] == BAND_SEEDS, "n_seeds"].max()
        sentences.append(
            f"lines are means over up to {_count(n_seeds, 'seed')} and bands show the range over seeds"
            if len(bands) > 1
            else f"lines are means over {_count(n_seeds, 'seed')} and bands show the range over seeds"
        )
    return _capital("; ".join(sentences)) + "."


def _average(table: pd.DataFrame) -> str:
    measures = levels(table["measure"]) if "measure" in table else []
    median = any(name in MEASURES and MEASURES[name].average == "median" for name in measures)
    return "mean (of times the median)" if median else "mean"


def _definition(measure: str, rows: pd.DataFrame) -> str:
    """What a measure is, what is taken over images, and of how many of them."""
    if MEASURES[measure].average != "median":
        return MEASURES[measure].definition
    over = "median over the images that have one"
    if "fraction" in rows and rows["fraction"].notna().any():
        low, high = (f"{100 * part:.3g}" for part in (rows["fraction"].min(), rows["fraction"].max()))
        over += f" ({low} % of them)" if low == high else f" ({low} % to {high} % of them)"
    return f"{MEASURES[measure].definition}; {over}"


def _count(number: float, noun: str) -> str:
    return f"{int(number):,} {noun}" + ("" if int(number) == 1 else "s")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
