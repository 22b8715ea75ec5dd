"""The conditions that figures and tables compare: their order, their names and how they stand together.

Up to `MOST_TOGETHER` conditions stand in one row. More stand in a row for each parameter that is varied around a base
(the base is in each), or else in a row for each value of the first parameter that differs. Loads no plotting library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from dynvision.analysis.bootstrap import average_seeds
from dynvision.analysis.conditions import Condition, comparable, find_base
from dynvision.visualization.names import Names, assignment, condition_labels

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
