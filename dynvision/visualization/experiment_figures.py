"""The figures of an experiment by name: from tables of runs to what is drawn.

Runs of one configuration are averaged over seeds here, so that a line is a condition.
"""

from __future__ import annotations

import pandas as pd

from dynvision.analysis import CLASSIFIER_LAYER, NamedExperiment
from dynvision.analysis.conditions import Condition
from dynvision.analysis.scorecard.targets import cortex_course
from dynvision.analysis.tables import levels
from dynvision.errors import InputError
from dynvision.visualization import captions
from dynvision.visualization.classifier import classifier_figure, leading_guesses
from dynvision.visualization.colours import condition_colours
from dynvision.visualization.comparison import Comparison, Row
from dynvision.visualization.confusion import confusion_figure
from dynvision.visualization.dynamics import dynamics_figure
from dynvision.visualization.glyphs import legible_names
from dynvision.visualization.labels import at_value, swept_label, value_label
from dynvision.visualization.measures import MOST_APART, measures_figure, one_layer
from dynvision.visualization.overview import factor_levels, overview_figure, some_values
from dynvision.visualization.performance import performance_figure
from dynvision.visualization.responses import MOST_PANELS, responses_figure
from dynvision.visualization.robustness import robustness_figure
from dynvision.visualization.save import Drawn
from dynvision.visualization.style import Style
from dynvision.visualization.tables import ExperimentTables

MEASURE_KEYS = ["parameter", "value", "layer", "measure"]
MOST_MEASURES = 3  # in the overview, beside the accuracy


def draw_responses(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Responses of the layers over time; of a large sweep, of one layer."""
    table = _courses(tables, comparison)
    n_panels = table["layer"].nunique() * sum(len(row.titles) for row in comparison.rows)
    if n_panels > MOST_PANELS:
        table = table[table["layer"] == _focus_layer(table, tables.experiment, style)].reset_index(drop=True)
    label = _label(tables, style)
    with style.context():
        figure = responses_figure(table, comparison.rows, style, label)
    return Drawn("responses", figure, table, captions.responses_caption(table, label))


def draw_dynamics(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """All layers, one layer at all values, and its main measure, beside cortex where that is known.

    The table has the courses, then the measure, then the measure in cortex.
    """
    courses = _courses(tables, comparison)
    shown = comparison.labels[comparison.base or 0]
    courses = courses[courses["condition"] == shown].reset_index(drop=True)
    layer = _focus_layer(courses, tables.experiment, style)
    metrics = _metrics(tables, comparison)
    measure = _focus_measure(metrics, tables.experiment, style)
    measures = metrics[(metrics["measure"] == measure) & (metrics["layer"] == layer)].reset_index(drop=True)
    cortex = _cortex(
        tables.experiment.name, comparison.conditions[comparison.base or 0], layer, measure, style
    )
    label = _label(tables, style)
    colours = condition_colours(comparison, style)
    with style.context():
        figure = dynamics_figure(courses, measures, style, label, layer, colours, shown, cortex)
    parts = [courses.assign(measure="response"), measures]
    if cortex is not None:
        parts.append(cortex.assign(condition=captions.CORTEX, layer=cortex["area"], measure=measure))
    table = pd.concat(parts, ignore_index=True)
    return Drawn("dynamics", figure, table, captions.dynamics_caption(table, label))


def draw_measures(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """The experiment's measures and the accuracies; of a large sweep, those of one layer."""
    table, label = _metrics(tables, comparison), _label(tables, style)
    focus = tables.experiment.config.focus_layer
    if len(comparison.rows) > 1 or len(comparison.labels) > MOST_APART:
        table = one_layer(table, style, focus)
    colours = [condition_colours(comparison, style, row) for row in comparison.rows]
    with style.context():
        figure = measures_figure(table, comparison.rows, style, label, focus, colours)
    return Drawn("measures", figure, table, captions.measures_caption(table, label))


def draw_performance(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Accuracy over time."""
    table = comparison.average(
        tables.accuracy, ["parameter", "value", "time_ms", "stimulus_on", "mask_on", "chance"]
    )
    label = _label(tables, style)
    with style.context():
        figure = performance_figure(table, comparison.rows, style, label)
    return Drawn("performance", figure, table, captions.performance_caption(table, label))


def draw_robustness(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Peak accuracy, its time and its confidence, with the feedforward-only twin."""
    keys = ["parameter", "network", "quantity", "value", "chance"]
    table = comparison.average(tables.moments, keys)
    label = _label(tables, style)
    colours = [condition_colours(comparison, style, row) for row in comparison.rows]
    with style.context():
        figure = robustness_figure(table, comparison.rows, colours, label)
    return Drawn("robustness", figure, table, captions.robustness_caption(table, label))


def draw_classifier(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Guesses over time by the class shown, of the base or else the first condition."""
    shown = comparison.labels[comparison.base or 0]
    runs = comparison.conditions[comparison.base or 0].run_ids
    guesses = tables.guesses[tables.guesses["run_id"].isin(runs)]
    keys = ["parameter", "value", "label", "guess", "time_ms", "stimulus_on", "mask_on"]
    table = leading_guesses(comparison.average(_complete(guesses), keys))
    table["class"] = [tables.class_names[int(n)] for n in table["label"]]
    table["guessed"] = [tables.class_names[int(n)] for n in table["guess"]]
    with style.context():
        figure = classifier_figure(table, style, legible_names(tables.class_names))
    assert set(table["condition"]) == {shown}
    return Drawn("classifier", figure, table, captions.classifier_caption(table, _label(tables, style)))


def draw_confusion(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """Which classes are taken for which: at three values of one condition, or at the highest value of several."""
    keys = ["parameter", "value", "label", "guess"]
    averaged = comparison.average(tables.confusions, keys)
    label = _label(tables, style)
    if len(comparison.labels) == 1:
        values = some_values(averaged["value"])
        table = averaged[averaged["value"].isin(values)].reset_index(drop=True)
        panels = {value_label(value): at_value(label, value) for value in values}
        table["panel"] = [value_label(value) for value in table["value"]]
        rows: tuple[Row, ...] = (Row("", panels),)
    else:
        table = averaged[averaged["value"] == averaged["value"].max()].reset_index(drop=True)
        table["panel"] = table["condition"]
        rows = comparison.rows
    with style.context():
        figure = confusion_figure(table, rows, legible_names(tables.class_names))
    return Drawn("confusion", figure, table, captions.confusion_caption(table, label))


def draw_overview(tables: ExperimentTables, comparison: Comparison, style: Style) -> Drawn:
    """What each parameter of the model does to the main measures of one layer and to the accuracy.

    Raises:
        InputError: the runs differ in their seed at most.
    """
    if len(comparison.labels) < 2:
        raise InputError(
            f"the figure overview compares conditions, and the runs of {tables.experiment.name} are of one; leave overview "
            "out of --figures, or run a sweep, e.g. snakemake --config category=rctype"
        )
    metrics = one_layer(_metrics(tables, comparison), style, tables.experiment.config.focus_layer)
    of_layer = levels(metrics.loc[metrics["layer"] != CLASSIFIER_LAYER, "measure"])
    first = _focus_measure(metrics, tables.experiment, style)
    chosen = [first, *(name for name in of_layer if name != first)][:MOST_MEASURES] + ["accuracy_peak"]
    metrics = metrics[metrics["measure"].isin(chosen) & metrics["value"].isin(some_values(metrics["value"]))]
    metrics = metrics.assign(measure=pd.Categorical(metrics["measure"].astype(str), chosen)).sort_values(
        "measure", kind="stable"
    )
    table, label = factor_levels(metrics, comparison, style), _label(tables, style)
    with style.context():
        figure = overview_figure(table, comparison, style, label)
    return Drawn("overview", figure, table, captions.overview_caption(table, label))


def _label(tables: ExperimentTables, style: Style) -> str:
    return swept_label(tables.experiment.config, style)


def _courses(tables: ExperimentTables, comparison: Comparison) -> pd.DataFrame:
    return comparison.average(
        tables.responses, ["parameter", "value", "layer", "time_ms", "stimulus_on", "mask_on"]
    )


def _metrics(tables: ExperimentTables, comparison: Comparison) -> pd.DataFrame:
    """The experiment's measures and those that are always there, averaged over seeds."""
    metrics, asked = tables.metrics, tables.experiment.config.measures
    wanted = metrics["measure"].isin(asked) | (metrics["layer"] == CLASSIFIER_LAYER)
    if not wanted.any():
        raise InputError(
            f"the tables of metrics have none of the measures of {tables.experiment.name}; analyse them again"
        )
    return comparison.average(metrics[wanted], MEASURE_KEYS)


def _focus_layer(table: pd.DataFrame, experiment: NamedExperiment, style: Style) -> str:
    """The layer that the experiment names if the model has it, else the first."""
    layers = [layer for layer in style.ordered(table["layer"].unique()) if layer != CLASSIFIER_LAYER]
    return experiment.config.focus_layer if experiment.config.focus_layer in layers else layers[0]


def _cortex(
    experiment: str, condition: Condition, layer: str, measure: str, style: Style
) -> pd.DataFrame | None:
    """The measure in cortex, by the scorecard's mapping: of an experiment that is a protocol and of the layer's areas."""
    areas = style.scorecard.areas_of(condition.config.model.name)
    return cortex_course(style.scorecard.protocol_of(experiment), measure, areas.get(layer, ()))


def _focus_measure(metrics: pd.DataFrame, experiment: NamedExperiment, style: Style) -> str:
    """The measure that sums the experiment up: the configured one, else the first, of those that have a value somewhere."""
    of_layers = metrics[metrics["layer"] != CLASSIFIER_LAYER]
    measured = levels(of_layers["measure"])
    valued = [name for name in measured if of_layers.loc[of_layers["measure"] == name, "mean"].notna().any()]
    configured = style.config.focus_measure.get(experiment.name, "")
    choice = [configured, *valued, *measured] if configured in valued else [*valued, *measured]
    return choice[0]


def _complete(guesses: pd.DataFrame) -> pd.DataFrame:
    """Guesses of several runs with zeros where one run never guessed a class that another did."""
    runs = guesses["run_id"].unique()
    if len(runs) == 1:
        return guesses
    about = ["experiment", "parameter", "value", "label", "guess", "time_ms", "stimulus_on", "mask_on"]
    every = pd.concat([guesses[about].drop_duplicates().assign(run_id=run_id) for run_id in runs])
    filled = every.merge(guesses, how="left", on=["run_id", *about])
    per_label = guesses.drop_duplicates(["run_id", "label"]).set_index(["run_id", "label"])["n_images"]
    filled["n_images"] = per_label.reindex(pd.MultiIndex.from_frame(filled[["run_id", "label"]])).to_numpy()
    return filled.fillna({"mean": 0.0})
