"""What a search looks for, as a number read from the files of finished runs.

    val_accuracy                     column of runs/{run}/training.csv, in the epoch whose weights were kept
    test_accuracy                    number of runs/{run}/test.json
    contrast.rise_time_ms            mean of a measure in experiments/contrast/{run}/{metrics,summary}.parquet
    scorecard.signs                  share of the sign tests in scorecard/{run}/scorecard.parquet that are as in cortex
    scorecard.distance               median distance of its numbers from those of cortex
    scorecard.time_to_peak_ms        mean of the network's value of that name

The value of several runs, which differ in their seed for example, is the mean over them. Test images decide nothing if the
objective is of validation images, the default; experiments and scorecard show test images.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynvision.analysis.registry import MEASURES as ANALYSED
from dynvision.config.measures import MEASURES
from dynvision.config.search import SCORECARD, SearchConfig
from dynvision.errors import InputError, unknown_name
from dynvision.runs.made_from import METRICS, TRAINED
from dynvision.runs.made_from import SCORECARD as SCORED
from dynvision.runs.plan import WorkflowPlan

if TYPE_CHECKING:
    import pandas as pd

GIVEN_WITH_FITS = "_r_squared"  # measures that are there wherever the fit that they are of is


@dataclass(frozen=True)
class Objective:
    """What is looked for, and where it is found.

    Attributes:
        name: as in ``search.objective``.
        where: columns of a table and the values that rows must have.
    """

    name: str
    where: Mapping[str, Any]

    @classmethod
    def of(cls, settings: SearchConfig, plan: WorkflowPlan) -> Objective:
        """Return the objective of a search, checked.

        Raises:
            InputError: the experiment is not among those of the plan, it does not have the measure, or ``where`` is given
                for a number that is in no table.
        """
        objective = cls(settings.objective, settings.where)
        source, dot, name = objective.name.rpartition(".")
        if not dot:
            if settings.where:
                raise InputError(
                    f"search.where is of measures and of the scorecard; remove it, {objective.name} has no rows"
                )
            return objective
        if source == SCORECARD:
            return objective
        if source not in plan.experiments:
            raise unknown_name("experiment", source, [*plan.experiments, SCORECARD], key="search.objective")
        measures = plan.experiments[source].measures
        always = [measure.name for measure in ANALYSED.values() if not measure.on_request]
        if name not in (*measures, *always) and not name.endswith(GIVEN_WITH_FITS):
            if name not in MEASURES:
                raise unknown_name("measure", name, [*MEASURES, *always], key="search.objective")
            raise InputError(
                f"search.objective={objective.name}: add {name} to experiments.{source}.measures, which are "
                f"{', '.join(measures)}"
            )
        return objective

    def targets(self, plan: WorkflowPlan) -> list[str]:
        """Return the files that Snakemake must make, of all runs of a plan."""
        source, dot, _ = self.name.rpartition(".")
        paths, made = plan.paths, []
        for run_id in plan.runs:
            if not dot:
                made.append(paths.run(run_id) / TRAINED)
            elif source == SCORECARD:
                made.append(paths.root / "scorecard" / run_id / SCORED)
            else:
                made.append(paths.experiment(source, run_id) / METRICS)
        return [str(path) for path in made]

    def value(self, plan: WorkflowPlan) -> float:
        """Return the mean over the runs of a plan, all of which are finished; NaN where one of them has no value.

        Raises:
            InputError: there is no number of that name.
        """
        values = [self._of_run(plan, run_id) for run_id in plan.runs]
        return sum(values) / len(values)

    def _of_run(self, plan: WorkflowPlan, run_id: str) -> float:
        source, dot, name = self.name.rpartition(".")
        if not dot:
            return _of_training(plan.paths.run(run_id), self.name)
        if source == SCORECARD:
            return self._of_scorecard(plan.paths.root / "scorecard" / run_id / "scorecard.parquet", name)
        return self._of_measures(plan.paths.experiment(source, run_id), name)

    def _of_measures(self, folder: Path, name: str) -> float:
        import pandas as pd

        table = pd.concat([pd.read_parquet(folder / f"{kind}.parquet") for kind in ("metrics", "summary")])
        if name not in set(table["measure"]):
            raise unknown_name("measure", name, table["measure"].unique(), key="search.objective")
        return _mean(self._rows(table[table["measure"] == name])["mean"])

    def _of_scorecard(self, path: Path, name: str) -> float:
        import pandas as pd

        table = self._rows(pd.read_parquet(path))
        if name == "signs":
            return _mean(table.loc[table["kind"] == "sign", "verdict"] == "yes")
        if name == "distance":
            return float(table["distance"].median())
        if name not in set(table["name"]):
            known = ["signs", "distance", *table["name"].unique()]
            raise unknown_name("row of the scorecard", name, known, key="search.objective")
        return _mean(table.loc[table["name"] == name, "model"])

    def _rows(self, table: pd.DataFrame) -> pd.DataFrame:
        for column, wanted in self.where.items():
            if column not in table:
                raise unknown_name("column", column, table.columns, key="search.where")
            known = table[column]
            table = table[known.astype(str) == str(wanted) if isinstance(wanted, str) else known == wanted]
            if table.empty:
                names = ", ".join(map(str, known.unique()))
                raise InputError(f"search.where: no row has {column}={wanted!r}; there are {names}")
        return table


def _of_training(folder: Path, name: str) -> float:
    tested = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    rows = training_rows(folder / "training.csv")
    best = next((row for row in rows if row["epoch"] == tested["epoch"]), {})
    numbers = {**{key: value for key, value in tested.items() if isinstance(value, (int, float))}, **best}
    if name not in numbers:
        raise unknown_name("number of a training", name, numbers, key="search.objective")
    return float(numbers[name])


def training_rows(path: Path) -> list[dict[str, float]]:
    """Return the epochs of a training so far; none where there is no log yet."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]


def _mean(values: Iterable[float]) -> float:
    """Return the mean of what is not missing; NaN of nothing."""
    known = [float(value) for value in values if not math.isnan(float(value))]
    return sum(known) / len(known) if known else math.nan
