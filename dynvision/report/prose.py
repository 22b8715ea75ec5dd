"""Plain sentences about what was run and what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dynvision.analysis import CLASSIFIER_LAYER, MEASURES, NamedExperiment
from dynvision.config.comparison import BEHAVIOUR, DECISIONS
from dynvision.config.parameter import unit_of
from dynvision.report.content import count, listing, number, percent, span
from dynvision.report.results import Compared, Measured, Results, Run
from dynvision.stimuli.stimulus import Stimulus
from dynvision.visualization.names import (
    MOST_TOGETHER,
    NO_BREAK,
    Names,
    model_parameter_label,
    parameter_name,
    swept_label,
    value_label,
    words_of,
)
from dynvision.visualization.tables import focus_layer

SEEN = 0.02  # of the largest value: a smaller change is none
PLAIN_NUMBERS = ("fraction", "ratio", "contrast")  # units that are not stated after a number


def title(results: Results) -> str:
    """The report's title."""
    names = [results.names.name(measured.experiment.name) for measured in results.experiments]
    return f"Responses in time: {listing(names)}"


def subtitle(results: Results) -> str:
    """Models, data and the number of runs, in a line."""
    models = results.names.ordered(_model(run) for run in results.runs)
    data = results.names.ordered(_data(run) for run in results.runs)
    return f"{listing(models)} on {listing(data)}, {count(len(results.runs), 'run')}"


def what_was_run(results: Results) -> list[str]:
    """Sentences on runs, data and training, and on what the networks can do."""
    runs, n_runs = results.runs, len(results.runs)
    models = listing(results.names.ordered(_model(run) for run in runs))
    epochs = sorted({run.config.training.epochs for run in runs})
    lasted = span(str(epochs[0]), str(epochs[-1])) + (" epoch" if epochs == [1] else " epochs")
    first = f"{count(n_runs, 'run', capital=True)} of {models} {'was' if n_runs == 1 else 'were'} trained for {lasted}."
    labels = results.comparison.labels
    if len(labels) > MOST_TOGETHER:
        first = first.removesuffix(".") + f", in {count(len(labels), 'condition')}. {_sweep(results)}"
    elif len(labels) > 1:
        first = first.removesuffix(".") + f", in {count(len(labels), 'condition')} ({'; '.join(labels)})."
    seeds = sorted({run.config.seed for run in runs})
    first += f" The {'seed is' if len(seeds) == 1 else 'seeds are'} {listing([str(seed) for seed in seeds])}."
    sentences = [first, *dict.fromkeys(_data_sentence(run) for run in runs)]
    tested = [run.test for run in runs if run.test]
    if tested:
        accuracies = sorted(float(test["test_accuracy"]) for test in tested)
        n_images = sorted({int(test["n_images"]) for test in tested})
        sentences.append(
            f"After training, {span(percent(accuracies[0]), percent(accuracies[-1]))} of "
            f"{span(f'{n_images[0]:,}', f'{n_images[-1]:,}')} test images are classified correctly. This is at the last "
            "step of a trial that is scored."
        )
    return sentences


def comparison(compared: Compared, names: Names) -> str:
    """What was compared with a recording, and how."""
    config = compared.config
    if config.method == BEHAVIOUR:
        default, column, _ = DECISIONS[config.decision]
        bound = default if config.bound is None else config.bound
        at = "" if config.value is None else f" at the value {config.value:g}"
        return (
            f"Decisions in the experiment {names.name(config.experiment)}{at} beside the trials of "
            f"{Path(config.data).name}, image by image. The network decides at the first time at which "
            f"{names.name(column)} reaches {number(bound)}; "
            "where it never does, its last guess counts, without a time."
        )
    how = {
        "rsa": f"representational similarity ({config.distance} distances, scored by {config.score})",
        "encoding": "cross-validated ridge regression from units to channels",
        "cka": "linear centred kernel alignment",
    }[config.method]
    at = "" if config.value is None else f" at the value {config.value:g}"
    units = f", {config.n_units:,} units of each layer" if config.n_units else ""
    bins = f" Both are averaged in bins of {number(config.bin_ms)} ms." if config.bin_ms else ""
    chance = (
        f" Clusters are tested against {config.n_permutations:,} shuffles of the images."
        if config.n_permutations
        else " Significance was not tested."
    )
    return (
        f"The units of the experiment {names.name(config.experiment)}{at}{units} beside {Path(config.data).name}, at every "
        f"pair of times, by {how}.{bins}{chance}"
    )


def _sweep(results: Results) -> str:
    """What a large sweep varies, and how."""
    conditions, names = results.comparison.conditions, results.names
    varied = listing(
        [model_parameter_label(name, conditions[0].config, names) for name in conditions[0].differing]
    )
    base = results.comparison.base
    if base is None:
        return f"They vary {varied}."
    return f"They vary {varied}, one at a time around {results.comparison.labels[base]}."


def protocol(measured: Measured, names: Names) -> str:
    """What was shown, and how long it was recorded."""
    experiment = measured.experiment.config
    of_classifier = measured.metrics[measured.metrics["layer"] == CLASSIFIER_LAYER]
    n_images = int(of_classifier["n_images"].max()) if len(of_classifier) else 0
    values = listing([value_label(value) for value in experiment.values])
    texts = {
        name: _with_unit(getattr(experiment.stimulus, name), name, names)
        for name in type(experiment.stimulus).model_fields
    }
    texts[experiment.parameter] = _with_unit(values, experiment.parameter, names)
    shown = f"Each of {n_images:,} test images was shown alone, once for each value: "
    if experiment.baseline_ms:
        shown += f"after a blank of {experiment.baseline_ms:g} ms "
    shown += f"the image came on at 0 ms, {_described(experiment.stimulus, texts)}"
    noise = experiment.noise
    if noise.type != "none":
        drawn = f"drawn anew every {noise.refresh_ms:g} ms" if noise.refresh_ms else "drawn once a trial"
        shown += f", with {names.name(noise.type)} noise ({noise.definition}, {drawn})"
    if experiment.find_parameter().kind != "stimulus":
        shown += f", at {parameter_name(experiment.parameter, names)} {texts[experiment.parameter]}"
    shown += f". Responses were recorded until {experiment.recorded_ms:g} ms."
    if experiment.model_args:
        settings = listing([_setting(name, value, names) for name, value in experiment.model_args.items()])
        shown += f" During the test, {settings}."
    return shown


def _described(stimulus: Stimulus, texts: dict[str, str]) -> str:
    """The stimulus in its own words; in those of its keys where its words ask for a key that it has not."""
    try:
        return stimulus.describe(texts)
    except (KeyError, NotImplementedError):
        return Stimulus.describe(stimulus, texts)


def findings(
    averaged: pd.DataFrame, experiment: NamedExperiment, labels: tuple[str, ...], names: Names
) -> list[tuple[str, str]]:
    """How the measures of one layer, and the accuracy, change with the parameter, from all of its values.

    Args:
        averaged: measures by condition, as they are drawn.
        experiment: the experiment.
        labels: the conditions in their order.
        names: names to show.

    Returns:
        For each condition its name (empty if there is one only) and a sentence.
    """
    focus = focus_layer(averaged, experiment, names)
    parameter = experiment.config.parameter
    unit = unit_of(parameter)
    name = parameter_name(parameter, names)
    low, high = float(averaged["value"].min()), float(averaged["value"].max())
    swept = swept_label(experiment.config, names)
    first, last = value_label(low, swept), value_label(high, swept)
    name += ":" if words_of(swept) else ""
    start = f"At {name} {first}" if low == high else f"From {name} {first} to {last}"
    sentences = []
    of_values = [name for name in experiment.config.measures if MEASURES[name].scope != "experiment"]
    of_layer = [name for name in of_values if MEASURES[name].of == "responses"]
    of_guesses = [name for name in of_values if MEASURES[name].of == "performance"] + ["accuracy_peak"]
    for label in labels:
        rows = averaged[averaged["condition"] == label]
        means = rows.set_index(["layer", "measure", "value"])["mean"]
        changes = [change_of(means, focus, measure, unit) for measure in of_layer]
        guesses = [change_of(means, CLASSIFIER_LAYER, measure, unit) for measure in of_guesses]
        in_layer = f"in {names.name(focus)}, {listing(changes)}; " if changes else ""
        sentence = f"{start} {unit}".strip() + f", {in_layer}{listing(guesses)}."
        sentences.append((label if len(labels) > 1 else "", sentence))
    return sentences


def change_of(means: pd.Series, layer: str, measure: str, unit: str = "") -> str:
    """How the mean of a measure changes with the parameter, in words, from all of its values.

    A change counts from a fiftieth of the largest value on: what is less cannot be seen in the figure.

    Args:
        means: by layer, measure and value.
        layer, measure: which of them.
        unit: of the parameter.
    """
    facts = MEASURES[measure]
    label, plain = facts.label, NO_BREAK + facts.unit.replace(" ", NO_BREAK)
    after = "" if facts.unit in PLAIN_NUMBERS else plain
    write = _percent if facts.unit == "fraction" else number
    means = means.sort_index()
    course = means.loc[(layer, measure)] if (layer, measure) in means.index else means.iloc[:0]
    known = course[course.notna()]
    if known.empty:
        return f"{label} has no value"
    where = f"{NO_BREAK}{unit}" if unit else ""
    absent = [f"{value:g}" for value in course.index[course.isna()]]
    none = f" (without a value at {listing(absent)}{where})" if absent else ""
    first, last, low, high = (
        write(float(value)) for value in (known.iloc[0], known.iloc[-1], known.min(), known.max())
    )
    if len(known) == 1:
        return f"{label} is {last}{after}{none}"
    turns = turning_points(known.to_numpy(dtype=float))
    words = {True: "rises", False: "falls"}
    if not turns or low == high:
        middle = write(float(known.mean()))
        text = f"stays at {middle}{after}" if low == high else f"stays near {middle}{after}"
    elif len(turns) == 1:
        text = f"{words[turns[0].rises]} from {first} to {last}{after}"
    elif len(turns) == 2:
        place, extreme = known.index[turns[1].start], write(float(known.iloc[turns[1].start]))
        text = (
            f"{words[turns[0].rises]} from {first} to {extreme} at {place:g}{where}, "
            f"then {words[turns[1].rises]} to {last}{after}"
        )
    else:
        text = f"goes up and down between {low} and {high}{after}"
    return f"{label} {text}{none}"


class Stretch(NamedTuple):
    """A part of a series in which it rises, or falls; `start` is the index at which it begins."""

    start: int
    rises: bool


def turning_points(series: np.ndarray) -> list[Stretch]:
    """The stretches in which a series rises or falls, by turns; none where it stays as it is.

    Args:
        series: finite numbers, (V,). A stretch continues until the series turns by more than `SEEN` of the largest of them.
    """
    least = SEEN * float(np.abs(series).max())
    stretches: list[Stretch] = []
    low = high = 0  # indices of the extremes since the last turn
    for index, value in enumerate(series):
        low, high = (index if value < series[low] else low), (index if value > series[high] else high)
        if (not stretches or not stretches[-1].rises) and value - series[low] > least:
            stretches.append(Stretch(low, True))
            low = high = index
        elif (not stretches or stretches[-1].rises) and series[high] - value > least:
            stretches.append(Stretch(high, False))
            low = high = index
    return stretches


def _percent(fraction: float) -> str:
    return percent(fraction).replace(" ", NO_BREAK)


def _with_unit(value: Any, parameter: str, names: Names) -> str:
    text = f"{value:g}" if isinstance(value, (int, float)) else names.config.names.get(str(value), str(value))
    return f"{text} {unit_of(parameter)}".strip()


def _setting(argument: str, value: Any, names: Names) -> str:
    if isinstance(value, bool):
        return f"{names.name(argument)}: {'yes' if value else 'no'}"
    return f"{names.name(argument)} = {_with_unit(value, argument, names)}"


def _data_sentence(run: Run) -> str:
    data = run.config.data
    kind = {1: "grey", 3: "colour"}[data.n_channels]
    sentence = f"The data are {_data(run)}: {kind} images of {data.resolution} × {data.resolution} px"
    counts: Any = (run.manifest or {}).get("counts")
    if isinstance(counts, dict) and {"train", "val", "test"} <= set(counts):
        sentence += (
            f", {counts['train']:,} to train, {counts['val']:,} to validate and {counts['test']:,} to test"
        )
    classes = (run.manifest or {}).get("class_names")
    if isinstance(classes, list):
        sentence += f", in {count(len(classes), 'class', plural='classes')}"
    return sentence + "."


def _model(run: Run) -> str:
    return run.config.model.name.rpartition(":")[2]


def _data(run: Run) -> str:
    return run.config.data.name
