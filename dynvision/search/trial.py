"""One trial of a search: what is drawn, what it is watched by while it is trained, and the number that it is judged by.

The objective, read from the files of finished runs:

    val_accuracy                     column of runs/{run}/training.csv, in the epoch whose weights were kept
    test_accuracy                    number of runs/{run}/test.json
    contrast.rise_time_ms            mean of a measure in experiments/contrast/{run}/{metrics,summary}.parquet
    scorecard.signs                  share of the sign tests in scorecard/{run}/scorecard.parquet that are as in cortex
    scorecard.distance               median distance of its numbers from those of cortex
    scorecard.time_to_peak_ms        mean of the network's value of that name

The value of several runs, which differ in their seed for example, is the mean over them. Test images decide nothing if the
objective is of validation images, the default; experiments and scorecard show test images.

Optuna draws the values and decides which trainings are stopped early. It is imported when a search begins, since nothing
else needs it.
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
from dynvision.config.model import is_duration
from dynvision.config.run import RunConfig
from dynvision.config.search import SCORECARD, Range, SearchConfig
from dynvision.config.section import numbers_of
from dynvision.config.sweep import replace_value
from dynvision.config.yaml_text import one_line
from dynvision.errors import InputError, unknown_name
from dynvision.runs.made_from import METRICS, TRAINED, short_hash
from dynvision.runs.made_from import SCORECARD as SCORED
from dynvision.runs.plan import WorkflowPlan
from dynvision.units import is_multiple

if TYPE_CHECKING:
    import optuna
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
                made.append(paths.scorecard(run_id) / SCORED)
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
            return self._of_scorecard(plan.paths.scorecard(run_id) / "scorecard.parquet", name)
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


def check_times(settings: SearchConfig, runs: Iterable[RunConfig]) -> None:
    """Check that every duration that can be drawn is a multiple of ``dt``, unless that is searched as well.

    Args:
        settings: of the search.
        runs: what is run with nothing searched.

    Raises:
        InputError: one is not.
    """
    if "model_args.dt" in settings.parameters:
        return
    grids = sorted({run.model.args["dt"] for run in runs if "dt" in run.model.args})
    for name, space in settings.parameters.items():
        section, argument, *_ = name.split(".")
        if section != "model_args" or not is_duration(argument):
            continue
        if isinstance(space, Range):
            shown, numbers = one_line(space.differences()), [space.low, space.spacing]
        else:
            shown = one_line(list(space))
            given = [one for choice in space for _, one in numbers_of(choice)]
            numbers = [one for one in given if isinstance(one, (int, float))]
        for dt in grids:
            if any(number is None or not is_multiple(number, dt) for number in numbers):
                raise InputError(
                    f"search.parameters.{name}: {shown} has values that are not multiples of dt={dt:g} ms; give low and "
                    "step that are, or list such values"
                )


def suggest(trial: optuna.Trial, name: str, space: Range | tuple[Any, ...]) -> Any:
    """Return the value of a parameter; of choices, which need not be numbers or text, Optuna knows the position."""
    if not isinstance(space, Range):
        return space[trial.suggest_categorical(name, list(range(len(space))))]
    if space.is_whole:
        return trial.suggest_int(
            name, int(space.low), int(space.high), step=int(space.step or 1), log=space.log
        )
    return trial.suggest_float(name, space.low, space.high, step=space.step, log=space.log)


def value_text(given: Any, space: Range | tuple[Any, ...]) -> str:
    """Return a value as it stands in a table."""
    if given is None:
        return ""
    return one_line(given if isinstance(space, Range) else space[given])


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted names as sections in sections."""
    sections: dict[str, Any] = {}
    for name, value in values.items():
        sections = replace_value(sections, name, value)
    return sections


def make_sampler(settings: SearchConfig, number: int) -> Any:
    """Return what draws one trial: what it draws follows from the seed, its number and the trials before it alone."""
    from optuna import samplers

    seed = int(short_hash([settings.seed, number])[:8], 16)
    if settings.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    # `constant_liar`: trials that other calls are trying count as bad ones, so that not all try the same.
    return samplers.TPESampler(seed=seed, n_startup_trials=settings.startup_trials, constant_liar=True)


def make_pruner(settings: SearchConfig) -> Any:
    from optuna import pruners

    if settings.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=settings.startup_trials)
    return pruners.SuccessiveHalvingPruner() if settings.pruner == "halving" else pruners.NopPruner()


class Watch:
    """The validation of a trial's runs while they are trained, reported to Optuna epoch by epoch."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial, plan: WorkflowPlan) -> None:
        run = next(iter(plan.runs.values()))
        self.trial, self.metric, self.n_epochs = trial, run.training.best_by, run.training.epochs
        self.logs = [plan.paths.run(run_id) / "training.csv" for run_id in plan.runs]
        # A pruner asks for the better values of the objective, which may be the other direction than of the validation.
        better = "maximize" if self.metric == "val_accuracy" else "minimize"
        self.sign = 1.0 if study.direction.name.lower() == better else -1.0
        self.n_reported = len(study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def report(self) -> bool:
        """Report the epochs that are new, each the mean over runs; return whether there were some."""
        logs = [training_rows(path) for path in self.logs]
        known = self.n_reported
        for epoch in range(known + 1, min(map(len, logs)) + 1):
            values = [rows[epoch - 1][self.metric] for rows in logs]
            self.trial.report(self.sign * sum(values) / len(values), epoch)
            self.n_reported = epoch
        return self.n_reported > known

    def is_hopeless(self) -> bool:
        """Return whether the trial should be stopped; one that is in its last epoch ends by itself."""
        return self.report() and self.n_reported < self.n_epochs and self.trial.should_prune()


def cut_half_a_line(journal: Path) -> None:
    """Cut off an event that a killed process had not written to its end: Optuna can read none that follow it."""
    if not journal.exists():
        return
    from optuna.storages.journal import JournalFileSymlinkLock
    from optuna.storages.journal._file import get_lock_file

    with get_lock_file(JournalFileSymlinkLock(str(journal))), open(journal, "rb+") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
