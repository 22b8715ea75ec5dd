"""The report's tables: runs, measures, and plain pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from dynvision.analysis import CLASSIFIER_LAYER, MEASURES, NamedExperiment
from dynvision.analysis.bootstrap import BAND_IMAGES, BAND_SEEDS
from dynvision.analysis.tables import levels
from dynvision.report.content import NOT_A_NUMBER, Cell, Table, number, percent, seconds, span
from dynvision.report.results import Compared, Results, Run
from dynvision.visualization.names import Names, at_value, is_number, swept_label, value_label
from dynvision.visualization.tables import focus_layer

ABSENT = Cell(NOT_A_NUMBER)
OVER_TIME = "test_accuracy_over_time"  # of test.json


def run_table(results: Results) -> Table:
    """The runs: what distinguishes them, how they trained, what they can do."""
    compared = len(results.comparison.labels) > 1
    over_time = any(run.test and OVER_TIME in run.test for run in results.runs)
    columns = {"condition": False} if compared else {}
    columns |= {"model": False, "data": False, "seed": True, "test accuracy, last step": True}
    columns |= {"test accuracy, all steps": True} if over_time else {}
    columns |= {"validation accuracy, all steps": True, "epochs": True, "training time": True, "run": False}
    rows = []
    for run in results.runs:
        config = run.config
        cells = [Cell(results.comparison.label_of(config.run_id))] if compared else []
        cells += [Cell(config.model.name.rpartition(":")[2]), Cell(config.data.name), _count(config.seed)]
        if run.test:
            accuracy = float(run.test["test_accuracy"])
            cells.append(Cell(percent(accuracy), f"of {int(run.test['n_images']):,}", accuracy))
        else:
            cells.append(ABSENT)
        if over_time:
            every = (run.test or {}).get(OVER_TIME)
            cells.append(ABSENT if every is None else Cell(percent(float(every)), key=float(every)))
        rows.append((*cells, *_training_cells(run), Cell(config.run_id)))
    return Table(
        "The runs. Test accuracy is that on all test images with the best weights: at the last step of a trial that is "
        "scored, and as the mean over all steps that are scored. Validation accuracy is the latter on the validation "
        "images, of the epoch of these weights; only the two means can be compared.",
        tuple(columns),
        tuple(columns.values()),
        tuple(rows),
    )


def measure_tables(
    averaged: pd.DataFrame, labels: tuple[str, ...], parameter_label: str, names: Names
) -> list[Table]:
    """The measures of the layers, and those of the classifier: the numbers of the figure of measures.

    Args:
        averaged: columns `condition`, `layer`, `measure`, `value`, `mean`, `low`, `high`, `band`, `n_images`.
        labels: the conditions in their order.
        parameter_label: the swept parameter with its unit, and with the words for its values if it has some.
        names: names and order.
    """
    of_classifier = averaged["layer"] == CLASSIFIER_LAYER
    interval = _interval(averaged)
    tables = []
    for rows, what in ((averaged[~of_classifier], "layers"), (averaged[of_classifier], "classifier")):
        if rows.empty:
            continue
        layers = names.ordered(rows["layer"].unique())
        measures = levels(rows["measure"])
        cells = rows.set_index(["condition", "layer", "value", "measure"]).to_dict("index")
        lines = []
        for label in labels:
            for layer in layers:
                for value in sorted(rows["value"].unique()):
                    found = {measure: cells.get((label, layer, value, measure)) for measure in measures}
                    head = [Cell(label)] if len(labels) > 1 else []
                    head += [Cell(names.name(layer))] if what == "layers" else []
                    n_images = max(int(facts["n_images"]) for facts in found.values() if facts)
                    lines.append(
                        (
                            *head,
                            Cell(value_label(value, parameter_label), key=float(value)),
                            *(_measure_cell(facts, n_images) for facts in found.values()),
                            _count(n_images),
                        )
                    )
        columns = {"condition": False} if len(labels) > 1 else {}
        columns |= {"layer": False} if what == "layers" else {}
        columns |= {parameter_label: True}
        columns |= {_heading(measure): True for measure in measures}
        columns["images"] = True
        caption = f"Measures of the {what}, with {interval} in brackets.{_how(measures)}"
        tables.append(Table(caption, tuple(columns), tuple(columns.values()), tuple(lines)))
    return tables


def condition_table(
    averaged: pd.DataFrame, labels: tuple[str, ...], experiment: NamedExperiment, names: Names
) -> Table:
    """The conditions beside each other: the measures of one layer and the classifier's at the highest value.

    Args:
        averaged: as of `measure_tables`.
        labels: the conditions in their order.
        experiment: its focus layer is shown, or the first layer.
        names: names and order.
    """
    focus = focus_layer(averaged, experiment, names)
    highest = float(averaged["value"].max())
    at_highest = averaged[(averaged["value"] == highest) & averaged["layer"].isin([focus, CLASSIFIER_LAYER])]
    measures = levels(at_highest["measure"])
    cells = at_highest.set_index(["condition", "measure"]).to_dict("index")
    rows = []
    for label in labels:
        found = [cells.get((label, measure)) for measure in measures]
        n_images = max(int(facts["n_images"]) for facts in found if facts)
        n_seeds = max(int(facts["n_seeds"]) for facts in found if facts)
        rows.append((Cell(label), *(_measure_cell(facts, n_images) for facts in found), _count(n_seeds)))
    shown = at_value(swept_label(experiment.config, names), highest)
    return Table(
        f"The conditions at {shown}: measures of {names.name(focus)} and of the classifier, with {_interval(averaged)} in "
        f"brackets.{_how(measures)}",
        ("condition", *map(_heading, measures), "seeds"),
        (False, *(True for _ in measures), True),
        tuple(rows),
    )


def summary_table(averaged: pd.DataFrame, labels: tuple[str, ...], names: Names) -> Table:
    """The measures of all values of the parameter together.

    Args:
        averaged: columns `condition`, `layer`, `measure`, `mean`, `low`, `high`, `band`, `n_images`.
        labels: the conditions in their order.
        names: names and order.
    """
    measures = levels(averaged["measure"])
    cells = averaged.set_index(["condition", "layer", "measure"]).to_dict("index")
    rows = []
    for label in labels:
        for layer in names.ordered(averaged["layer"].unique()):
            found = [cells.get((label, layer, measure)) for measure in measures]
            n_images = max(int(facts["n_images"]) for facts in found if facts)
            head = [Cell(label)] if len(labels) > 1 else []
            rows.append(
                (*head, Cell(names.name(layer)), *(_measure_cell(facts, n_images) for facts in found))
            )
    first = ("condition",) if len(labels) > 1 else ()
    return Table(
        f"Measures of all values together, with {_interval(averaged)} in brackets.",
        (*first, "layer", *map(_heading, measures)),
        (*(False for _ in first), False, *(True for _ in measures)),
        tuple(rows),
    )


def parameter_table(results: Results) -> Table | None:
    """The parameters in which the conditions differ; None for one condition."""
    conditions = results.comparison.conditions
    if len(conditions) < 2:
        return None
    parameters = list(conditions[0].differing)
    rows = []
    for label, condition in zip(results.comparison.labels, conditions, strict=True):
        values = [_plain(condition.differing[name]) for name in parameters]
        rows.append((Cell(label), *values, _count(len(condition.run_ids))))
    numeric = [all(row[n + 1].key is not None for row in rows) for n in range(len(parameters))]
    return Table(
        "The conditions and the parameters in which they differ, by their names in the configuration.",
        ("condition", *parameters, "runs"),
        (False, *numeric, True),
        tuple(rows),
    )


def lag_table(results: Results, compared: Compared) -> Table:
    """The lags and best scores of a comparison with a recording, a row for each run, layer and area."""
    several = len(results.runs) > 1
    rows = []
    for _, found in compared.table.iterrows():
        head = [Cell(found["run_id"])] if several else []
        ceiling = [number(found[f"ceiling_{end}"]) for end in ("low", "high")]
        note = "" if set(ceiling) == {NOT_A_NUMBER} else f"ceiling {span(*ceiling)}"
        rows.append(
            (
                *head,
                *(Cell(results.names.name(found[name])) for name in ("layer", "area")),
                *(Cell(number(found[name]), key=float(found[name])) for name in ("lag_ms",)),
                Cell(number(found["best_score"]), note, float(found["best_score"])),
                *(
                    Cell(number(found[name]), key=float(found[name]))
                    for name in ("best_model_ms", "best_brain_ms")
                ),
            )
        )
    columns = {"run": False} if several else {}
    columns |= {"layer": False, "area": False, "lag (ms)": True, "best score": True}
    columns |= {"at, network (ms)": True, "at, recording (ms)": True}
    return Table(
        "By how much the recording follows the network, and the best score of all pairs of times, with the noise ceiling "
        "at that time. A layer without a cluster above chance has no lag.",
        tuple(columns),
        tuple(columns.values()),
        tuple(rows),
    )


def behaviour_table(results: Results, compared: Compared) -> Table:
    """The measures of a comparison with observers, a row for each run, condition and measure."""
    several = len(results.runs) > 1
    conditions = compared.table["condition"].nunique() > 1
    rows = []
    for _, found in compared.table.iterrows():
        head = [Cell(found["run_id"])] if several else []
        head += [Cell(str(found["condition"]))] if conditions else []
        ceiling = [number(found[f"ceiling_{end}"]) for end in ("low", "high")]
        numbers = [Cell(number(found[name]), key=float(found[name])) for name in ("network", "observers")]
        rows.append(
            (
                *head,
                Cell(str(found["measure"]).replace("_", " ")),
                *numbers,
                Cell(span(*ceiling), key=float(found["ceiling_high"])),
                _count(int(found["n_images"])),
                _count(int(found["n_observers"])),
            )
        )
    columns = ({"run": False} if several else {}) | ({"condition": False} if conditions else {})
    columns |= {"measure": False, "network": True, "mean observer": True, "ceiling": True}
    columns |= {"images": True, "observers": True}
    return Table(
        "The network beside observers. Accuracies are fractions, the others are correlations: over images of accuracy and "
        "of reaction time, of confusion rates, and over trials of reaction time and being right. Ceilings are of halves of "
        "the observers; of accuracy and speed-accuracy they are the range over observers.",
        tuple(columns),
        tuple(columns.values()),
        tuple(rows),
    )


def pair_table(caption: str, pairs: Mapping[str, str], columns: tuple[str, str]) -> Table:
    """A table of names and texts."""
    return Table(
        caption, columns, (False, False), tuple((Cell(name), Cell(text)) for name, text in pairs.items())
    )


def _training_cells(run: Run) -> tuple[Cell, Cell, Cell]:
    if run.training is None:
        return ABSENT, _count(run.config.training.epochs), ABSENT
    training = run.training.sort_values("epoch")
    tested = training[
        training["epoch"] == (run.test or {}).get("epoch")
    ]  # the epoch whose weights were tested
    last = (tested if len(tested) else training).iloc[-1]
    accuracy, lasted = float(last["val_accuracy"]), float(run.training["seconds"].sum())
    return (
        Cell(percent(accuracy), key=accuracy),
        _count(len(run.training)),
        Cell(seconds(lasted), key=lasted),
    )


def _measure_cell(facts: dict | None, n_images: int) -> Cell:
    if facts is None:
        return ABSENT
    low, high = number(facts["low"]), number(facts["high"])
    note = "" if low == high == NOT_A_NUMBER else f"[{low}, {high}]"
    if int(facts["n_images"]) < n_images:
        part = f", {percent(facts['fraction'])}" if math.isfinite(facts.get("fraction", math.nan)) else ""
        note = f"{note} of {int(facts['n_images']):,} images{part}".strip()
    if math.isnan(facts["mean"]) and facts.get("reason"):
        note = facts["reason"]
    return Cell(number(facts["mean"]), note, float(facts["mean"]))


def _heading(measure: str) -> str:
    unit = MEASURES[measure].unit.replace(" ", "\N{NO-BREAK SPACE}")
    return f"{MEASURES[measure].label} ({unit})"


def _interval(averaged: pd.DataFrame) -> str:
    bands = set(averaged["band"])
    parts = ["95 % bootstrap intervals over images"] if BAND_IMAGES in bands else []
    parts += ["ranges over seeds"] if BAND_SEEDS in bands else []
    return " or ".join(parts)


def _how(measures: Sequence[str]) -> str:
    """What to know of how measures come about, where it matters."""
    notes = ""
    if any(MEASURES[name].average == "median" for name in measures):
        notes += " Times are medians over the images that have one."
    if "accuracy_peak" in measures:
        notes += " The time of the peak accuracy is chosen on the same images: on other images it is lower."
    return notes


def _count(n: int) -> Cell:
    return Cell(f"{n:,}", key=float(n))


def _plain(value: object) -> Cell:
    if is_number(value):
        return Cell(value_label(value), key=float(value))
    return Cell(NOT_A_NUMBER if value is None else str(value))
