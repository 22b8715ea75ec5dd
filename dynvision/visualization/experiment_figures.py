"""The figures of an experiment by name: from tables of runs to what is drawn.

Runs of one configuration are averaged over seeds here, so that a line is a condition.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from dynvision.analysis.experiment_file import NamedExperiment
from dynvision.analysis.registry import names_of
from dynvision.errors import InputError
from dynvision.visualization.captions import (
    measures_caption,
    performance_caption,
    responses_caption,
    training_caption,
)
from dynvision.visualization.comparison import Comparison
from dynvision.visualization.labels import parameter_label
from dynvision.visualization.measures import measures_figure
from dynvision.visualization.performance import performance_figure
from dynvision.visualization.responses import responses_figure
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import Style
from dynvision.visualization.training import PANELS, training_figure


def draw_responses(
    courses: pd.DataFrame, comparison: Comparison, experiment: NamedExperiment, style: Style
) -> Drawn:
    """The figure of responses from `analysis.response_courses`."""
    table = comparison.average(courses, ["parameter", "value", "layer", "time_ms", "stimulus_on"])
    label = parameter_label(experiment.config.parameter, style)
    with style.context():
        figure = responses_figure(table, comparison.titles, style, label)
    return Drawn("responses", figure, table, responses_caption(table, label))


def draw_measures(
    metrics: pd.DataFrame, comparison: Comparison, experiment: NamedExperiment, style: Style
) -> Drawn:
    """The figure of measures from `analysis.measure_responses`: the experiment's measures and the accuracies."""
    wanted = metrics["measure"].isin([*experiment.config.measures, *names_of("performance")])
    if not wanted.any():
        raise InputError(
            f"the tables of metrics have none of the measures of {experiment.name}; analyse them again"
        )
    table = comparison.average(metrics[wanted], ["parameter", "value", "layer", "measure"])
    label = parameter_label(experiment.config.parameter, style)
    with style.context():
        figure = measures_figure(table, comparison.titles, style, label, experiment.config.focus_layer)
    return Drawn("measures", figure, table, measures_caption(table, label))


def draw_performance(
    courses: pd.DataFrame, comparison: Comparison, experiment: NamedExperiment, style: Style
) -> Drawn:
    """The figure of performance from `analysis.accuracy_courses`."""
    table = comparison.average(courses, ["parameter", "value", "time_ms", "stimulus_on", "chance"])
    label = parameter_label(experiment.config.parameter, style)
    with style.context():
        figure = performance_figure(table, comparison.titles, style, label)
    return Drawn("performance", figure, table, performance_caption(table, label))


FIGURES: dict[str, Callable[[pd.DataFrame, Comparison, NamedExperiment, Style], Drawn]] = {
    "responses": draw_responses,
    "measures": draw_measures,
    "performance": draw_performance,
}


def draw_training_course(training: pd.DataFrame, comparison: Comparison, style: Style) -> Drawn:
    """The figure of training.

    Args:
        training: columns `run_id`, `epoch`, and `{split}_{quantity}` for the splits train and val and the quantities
            loss and accuracy.
        comparison: the conditions.
        style: colours, names and order.
    """
    quantities = [f"{split}_{quantity}" for quantity in PANELS for split in ("train", "val")]
    long = training.melt(["run_id", "epoch"], quantities, var_name="column", value_name="mean")
    long[["split", "quantity"]] = long["column"].str.split("_", expand=True)
    table = comparison.average(long, ["quantity", "split", "epoch"])
    with style.context():
        figure = training_figure(table, comparison.titles, condition_colours(comparison, style), style)
    return Drawn("training", figure, table, training_caption(table))


def condition_colours(comparison: Comparison, style: Style) -> dict[str, str]:
    """A colour for each condition: by rank if they differ in one number, else that of a value in the palette."""
    values = [list(condition.differing.values()) for condition in comparison.conditions]
    if all(len(value) == 1 and _is_number(value[0]) for value in values):
        ranks = style.sequential(float(value[0]) for value in values)
        return {label: ranks[float(value[0])] for label, value in zip(comparison.labels, values, strict=True)}
    keys = [
        next((str(part) for part in value if str(part) in style.config.palette), label)
        for label, value in zip(comparison.labels, values, strict=True)
    ]
    keys = [
        key if keys.count(key) == 1 else label for key, label in zip(keys, comparison.labels, strict=True)
    ]
    chosen = style.colours(keys)
    return {label: chosen[key] for label, key in zip(comparison.labels, keys, strict=True)}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
