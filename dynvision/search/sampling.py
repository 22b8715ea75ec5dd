"""What is drawn: the values of a trial, the sampler that draws them, and the pruner that stops a trial early.

Optuna is imported when a search begins, since nothing else needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynvision.config.model import is_duration
from dynvision.config.run import RunConfig
from dynvision.config.search import Range, SearchConfig
from dynvision.config.section import numbers_of
from dynvision.config.yaml_text import one_line
from dynvision.errors import InputError
from dynvision.runs.made_from import short_hash
from dynvision.runs.plan import WorkflowPlan
from dynvision.search.objective import training_rows
from dynvision.units import is_multiple

if TYPE_CHECKING:
    import optuna


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
    sorted_in: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        place = sorted_in
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return sorted_in


def is_in(values: Any, names: Sequence[str]) -> bool:
    """Return whether a key is in sections of sections, the outermost name first."""
    for name in names:
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return True


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
