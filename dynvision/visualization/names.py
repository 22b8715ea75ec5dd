"""How runs that differ are ordered, named and put side by side, and how names, parameters and values are written.

Up to `MOST_TOGETHER` conditions stand in one row. More stand in a row for each parameter that is varied around a base
(the base is in each), or else in a row for each value of the first parameter that differs.

Loads no plotting library, so that the report can use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import pandas as pd

from dynvision.analysis.bootstrap import average_seeds
from dynvision.analysis.conditions import Condition, changes, comparable, find_base
from dynvision.config.data import DataConfig
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.measures import ScorecardConfig
from dynvision.config.models import find_model
from dynvision.config.parameter import unit_of
from dynvision.config.run import RunConfig
from dynvision.config.section import Section
from dynvision.config.training import TrainingConfig
from dynvision.config.visualization import VisualizationConfig


class Names:
    """Names and order of what figures and tables show.

    Args:
        config: names, order and palette; None takes the defaults.
        scorecard: which experiment and which layer may stand beside cortex; None lets none.
    """

    def __init__(
        self, config: VisualizationConfig | None = None, scorecard: ScorecardConfig | None = None
    ) -> None:
        self.config = config or VisualizationConfig()
        self.scorecard = scorecard or ScorecardConfig()

    def name(self, key: object) -> str:
        """Return what to show for a name: the configured label, or the name with blanks for underscores."""
        return self.config.names.get(str(key), str(key).replace("_", " "))

    def ordered(self, names: Iterable[Any]) -> list[Any]:
        """Return names in the configured order; others follow, alphabetically and by the numbers in them."""
        return sorted(dict.fromkeys(names), key=self.rank)

    def rank(self, name: object) -> tuple:
        """Return the sorting key of one name or number."""
        order = self.config.order
        text = str(name)
        if isinstance(name, (int, float)):
            return (1, float(name), ())
        if text in order:
            return (0, float(order.index(text)), ())
        return (2, 0.0, tuple((part.isdigit(), part.zfill(12)) for part in re.split(r"(\d+)", text)))


NO_BREAK = "\N{NO-BREAK SPACE}"  # keeps a number and its unit on one line
NO_VALUE = "–"  # a parameter that this condition's model does not have
PLAIN = ("model.name", "data.name")  # values that state what they are


def parameter_name(parameter: str, names: Names) -> str:
    """Return what a swept parameter is called, without its unit: ``duration`` of ``duration_ms``."""
    unit = unit_of(parameter)
    named = parameter in names.config.names or not unit
    return names.name(parameter if named else parameter.removesuffix(f"_{unit}"))


class AxisLabel(str):
    """Axis label of a swept parameter, with the words for its values where they are categories and no amounts."""

    words: Mapping[float, str]

    def __new__(cls, text: str, words: Mapping[float, str] | None = None) -> AxisLabel:
        label = super().__new__(cls, text)
        label.words = dict(words or {})
        return label


def words_of(parameter_label: str) -> Mapping[float, str]:
    """Return the words for the values of a swept parameter, from the label of its axis; none for amounts."""
    return parameter_label.words if isinstance(parameter_label, AxisLabel) else {}


def swept_label(experiment: ExperimentConfig, names: Names) -> AxisLabel:
    """Return the axis label of what an experiment varies; true and false are the categories yes and no."""
    truths = all(isinstance(value, bool) for value in experiment.values)
    words = {float(value): value_label(value) for value in experiment.values} if truths else None
    return AxisLabel(parameter_label(experiment.parameter, names), words)


def parameter_label(parameter: str, names: Names) -> str:
    """Return the axis label of a swept parameter, with its unit: ``duration (ms)``."""
    unit = unit_of(parameter)
    name = parameter_name(parameter, names)
    return f"{name} ({unit})" if unit else name


def at_value(parameter_label: str, value: float) -> str:
    """Return a value of a swept parameter with its unit, from the label of its axis: ``duration 40 ms``."""
    if value in words_of(parameter_label):
        return f"{parameter_label}: {words_of(parameter_label)[value]}"
    label, unit = split_unit(parameter_label)
    return f"{label} {value_label(value)} {unit}".strip()


def split_unit(parameter_label: str) -> tuple[str, str]:
    """Return a label without its unit, and the unit: the last brackets, if there are no blanks in them."""
    label, _, unit = parameter_label.rpartition(" (")
    if not label or " " in unit or not unit.endswith(")"):
        return str(parameter_label), ""
    return label, unit.removesuffix(")")


def value_label(value: bool | float, parameter_label: str = "") -> str:
    """Return a number as short as it can be stated; of categories, the word."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return words_of(parameter_label).get(value, f"{value:.6g}")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def condition_labels(conditions: Sequence[Condition], names: Names, lines: bool = False) -> list[str]:
    """Return what distinguishes each condition; the model's name where there is one condition only.

    Where parameters are varied one at a time, the base is named by all of them and each other condition by its own.

    Args:
        conditions: the conditions that are compared.
        names: what knows the names to show.
        lines: one line a parameter, for titles.
    """
    base = find_base([condition.differing for condition in conditions])
    labels = []
    for number, condition in enumerate(conditions):
        shown = list(condition.differing)
        if base is not None and number != base:
            shown = changes(conditions[base].differing, condition.differing)
        parts = [assignment(name, condition, names) for name in shown]
        labels.append(
            ("\n" if lines else ", ").join(parts or [condition.config.model.name.rpartition(":")[2]])
        )
    return labels


def assignment(parameter: str, condition: Condition, names: Names) -> str:
    """Return a parameter's value in a condition, with its unit: ``τ = 5 ms``; values that state what they are stand alone.

    Args:
        parameter: its dotted name, e.g. ``model.args.tau``.
        condition: the condition, which has a value of it.
        names: what knows the names to show.
    """
    value = condition.differing[parameter]
    if parameter in PLAIN:
        plain = str(value).rpartition(":")[2] if parameter == "model.name" else str(value)
        return names.config.names.get(plain, plain)
    text = _text(value, names)
    label = names.name(parameter.rpartition(".")[2])
    if is_number(value):
        unit = parameter_unit(parameter, condition.config)
        return f"{label} = {text} {unit}".strip()
    return f"{label}: {text}"


def level_label(parameter: str, value: Any, names: Names) -> str:
    """Return the value of a parameter of the model, without the parameter and its unit."""
    if parameter in PLAIN:
        return names.config.names.get(str(value), str(value).rpartition(":")[2])
    return _text(value, names)


def model_parameter_label(parameter: str, config: RunConfig, names: Names) -> str:
    """Return a parameter of the model by its dotted name, with its unit: ``recurrence delay (ms)``."""
    unit = parameter_unit(parameter, config)
    label = (
        names.name(parameter.rpartition(".")[2]) if parameter not in PLAIN else parameter.partition(".")[0]
    )
    return f"{label} ({unit})" if unit else label


def parameter_unit(parameter: str, config: RunConfig) -> str:
    """Return the unit of a run's parameter by its dotted name; empty where it has none."""
    section, _, name = parameter.rpartition(".")
    schemas: dict[str, type[Section]] = {
        "model.args": find_model(config.model.name).args,
        "training": TrainingConfig,
        "data": DataConfig,
    }
    field = schemas[section].model_fields.get(name) if section in schemas else None
    extra = field.json_schema_extra if field is not None else None
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def _text(value: Any, names: Names) -> str:
    if value is None:
        return NO_VALUE
    if isinstance(value, (int, float)):
        return value_label(value)
    if isinstance(value, Mapping):
        return " ".join(_text(part, names) for part in value.values())
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(part, names) for part in value) or "none"
    return names.name(value)


MOST_TOGETHER = 6


@dataclass(frozen=True)
class Row:
    """Conditions that stand beside each other: a heading (or nothing), and the title of each by its label."""

    heading: str
    titles: dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """Conditions in the order in which they are shown.

    Attributes:
        conditions: the conditions.
        labels: a name for each, unique.
        titles: the same in several lines and with the number of seeds, by label.
        rows: how they stand together; a condition may stand in several.
        base: the condition around which parameters are varied one at a time; None where there is none.
    """

    conditions: tuple[Condition, ...]
    labels: tuple[str, ...]
    titles: dict[str, str]
    rows: tuple[Row, ...]
    base: int | None

    def average(self, table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        """Average a table of runs over seeds, as `analysis.average_seeds`, and name its conditions."""
        number_of = {run_id: n for n, condition in enumerate(self.conditions) for run_id in condition.run_ids}
        averaged = average_seeds(table, number_of, keys)
        number = averaged.pop("condition")
        averaged.insert(0, "condition", [self.labels[n] for n in number])
        return averaged

    def label_of(self, run_id: str) -> str:
        """Return the name of a run's condition."""
        return next(
            label
            for label, condition in zip(self.labels, self.conditions, strict=True)
            if run_id in condition.run_ids
        )


def compare(conditions: Sequence[Condition], names: Names) -> Comparison:
    """Order conditions by the parameters in which they differ, and name them."""
    ordered = tuple(
        sorted(conditions, key=lambda one: [names.rank(value) for value in one.differing.values()])
    )
    labels, titles = (condition_labels(ordered, names, lines=lines) for lines in (False, True))
    ambiguous = [labels.count(label) > 1 for label in labels]
    for number, condition in enumerate(ordered):
        if ambiguous[number]:
            identity = condition.run_ids[0].rpartition("_")[2]
            labels[number] += f" ({identity})"
            titles[number] += f"\n({identity})"
        titles[number] += _seeds(condition)
    rows = _rows(range(len(ordered)), ordered, dict(enumerate(labels)), dict(enumerate(titles)), names)
    base = find_base([condition.differing for condition in ordered])
    return Comparison(ordered, tuple(labels), dict(zip(labels, titles, strict=True)), tuple(rows), base)


def _rows(
    members: Sequence[int],
    conditions: Sequence[Condition],
    labels: dict[int, str],
    titles: dict[int, str],
    names: Names,
    heading: str = "",
) -> list[Row]:
    """Return rows of some of the conditions, none longer than it has to be."""
    differing = [conditions[n].differing for n in members]
    varied = [name for name in differing[0] if len({repr(values[name]) for values in differing}) > 1]
    if len(members) <= MOST_TOGETHER or len(varied) < 2:
        short = (
            {n: titles[n] for n in members} if not heading else _titles(members, varied, conditions, names)
        )
        return [Row(heading, {labels[n]: short[n] for n in members})]
    seen = [{name: values[name] for name in varied} for values in differing]
    if find_base(seen) is not None:
        rows = []
        for parameter in varied:
            shown = [members[n] for n in comparable(seen, parameter)]
            short = _titles(shown, [parameter], conditions, names)
            rows.append(Row(heading, {labels[n]: short[n] for n in shown}))
        return rows
    first, rows = varied[0], []
    for value in dict.fromkeys(repr(values[first]) for values in differing):
        part = [n for n in members if repr(conditions[n].differing[first]) == value]
        words = assignment(first, conditions[part[0]], names)
        rows += _rows(part, conditions, labels, titles, names, ", ".join(filter(None, (heading, words))))
    return rows


def _titles(
    members: Sequence[int], parameters: Sequence[str], conditions: Sequence[Condition], names: Names
) -> dict[int, str]:
    """Return titles that state some of the parameters only."""
    return {
        n: "\n".join(assignment(name, conditions[n], names) for name in parameters) + _seeds(conditions[n])
        for n in members
    }


def _seeds(condition: Condition) -> str:
    return f"\n{len(condition.run_ids)} seeds" if len(condition.run_ids) > 1 else ""
