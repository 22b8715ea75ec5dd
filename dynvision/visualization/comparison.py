"""The conditions that figures and tables compare: their order and their names. Loads no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from dynvision.analysis.conditions import Condition
from dynvision.analysis.seeds import average_seeds
from dynvision.visualization.labels import condition_labels
from dynvision.visualization.names import Names


@dataclass(frozen=True)
class Comparison:
    """Conditions in the order in which they are shown.

    Attributes:
        conditions: the conditions.
        labels: a name for each, unique.
        titles: the same in several lines and with the number of seeds, by label.
    """

    conditions: tuple[Condition, ...]
    labels: tuple[str, ...]
    titles: dict[str, str]

    def average(self, table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        """Average a table of runs over seeds, as `analysis.average_seeds`, and name its conditions."""
        number_of = {run_id: n for n, condition in enumerate(self.conditions) for run_id in condition.run_ids}
        averaged = average_seeds(table, number_of, keys)
        number = averaged.pop("condition")
        averaged.insert(0, "condition", [self.labels[n] for n in number])
        return averaged

    def label_of(self, run_id: str) -> str:
        """The name of a run's condition."""
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
        if len(condition.run_ids) > 1:
            titles[number] += f"\n{len(condition.run_ids)} seeds"
    return Comparison(ordered, tuple(labels), dict(zip(labels, titles, strict=True)))
