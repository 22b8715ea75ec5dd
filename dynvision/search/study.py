"""A search for parameters: Optuna draws, Snakemake runs, and what was found is kept after every step.

A trial is one run of the workflow, or several that differ in their seed: it has the id, the folder and the frozen
configuration that the same settings have in any call, and is never repeated. What one search keeps:

    searches/{name}/journal.log      every trial with its values, as Optuna writes them; one line for each event
    searches/{name}/trials.csv       the same as a table
    searches/{name}/trials/7.yaml    the parameters of a trial, for ``snakemake --configfile``
    searches/{name}/trials/7.log     what Snakemake printed
    searches/{name}/best.yaml        those of the best one

The same command, called again, continues: a trial whose process is gone is resumed from its last checkpoint. Called
several times at once, on one machine or on several that share the folder, each call takes trials of its own.

A training is stopped (pruned) in the middle if its validation (``training.best_by``) is worse than that of others in the
same epoch. Its run stays as one that was stopped.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import fcntl
import io
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dynvision.config.layers import DEFAULT, origin_of, read_layers
from dynvision.config.search import Range, SearchConfig
from dynvision.config.yaml_text import one_line, to_yaml
from dynvision.errors import InputError, check_extra
from dynvision.files import write_text
from dynvision.runs.calls import end_with_parent
from dynvision.runs.made_from import CONVERTED, short_hash
from dynvision.runs.plan import WorkflowPlan, plan_workflow
from dynvision.search.trial import (
    Objective,
    Watch,
    check_times,
    cut_half_a_line,
    make_pruner,
    make_sampler,
    nested,
    suggest,
    value_text,
)

if TYPE_CHECKING:
    import optuna

POLL_S, STOP_S = 0.5, 120.0  # between looks at a training, and what Snakemake and its jobs have to end
MOST_FAILURES = 5  # trials in a row that fail before anything has succeeded
RUNS, SETTINGS, WHY = "runs", "settings", "why"  # what is kept of a trial or study beside its values
Launch = Callable[[Sequence[str], IO[str]], "subprocess.Popen[str]"]


def launch_snakemake(arguments: Sequence[str], log: IO[str]) -> subprocess.Popen[str]:
    """Start Snakemake as the leader of a group of processes, so that all of it can be stopped together."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=end_with_parent,  # the next call of Snakemake stops what this one has left running
    )


@dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
        config_dir: folder of the configuration files.
        given: what stands above them, by key, as of ``--config``.
        given_texts: the same as it was written, for Snakemake.
        config_files: further files between the two.
        options: further arguments of Snakemake, e.g. ``--cores 4`` or a profile.
        launch: starts Snakemake.
    """

    config_dir: Path
    given: Mapping[str, Any] = field(default_factory=dict)
    given_texts: Sequence[str] = ()
    config_files: Sequence[Path] = ()
    options: Sequence[str] = ()
    launch: Launch = launch_snakemake

    @cached_property
    def base(self) -> WorkflowPlan:
        """The workflow as it is configured, with nothing searched."""
        return plan_workflow(self.config_dir, self.given, self.config_files)

    @property
    def settings(self) -> SearchConfig:
        """The section ``search``."""
        return self.base.workflow.search

    @property
    def name(self) -> str:
        """Name of the search: that of the study."""
        return self.base.paths.study or "search"

    @property
    def folder(self) -> Path:
        """Folder of what the search keeps."""
        return self.base.paths.root / "searches" / self.name

    def check(self) -> None:
        """Check the settings before anything is run.

        Raises:
            InputError: there is nothing to search, or a parameter is not known or is varied elsewhere as well.
        """
        settings, workflow = self.settings, self.base.workflow
        if not settings.parameters:
            raise InputError(
                "search.parameters is empty; name what is searched, e.g. {training.learning_rate: {low: 0.0001, high: 0.1, "
                "log: true}}"
            )
        Objective.of(settings, self.base)
        elsewhere = {name for group in (workflow.category, *workflow.paired) for name in group}
        command_line = read_layers(self.config_dir, self.given).above[-1:]
        for name in settings.parameters:
            if name in elsewhere:
                raise InputError(
                    f"search.parameters and category or paired both vary {name}; remove one of them"
                )
            if origin_of(tuple(name.split(".")), None, command_line) != DEFAULT:
                raise InputError(
                    f"{name} is searched and is given on the command line as well; remove one of them"
                )
        check_times(settings, self.base.runs.values())
        for name, space in settings.parameters.items():
            for value in (space.low,) if isinstance(space, Range) else space:
                self._check_names(name, value)

    def _check_names(self, name: str, value: Any) -> None:
        """Refuse what no trial knows: other values that are not possible may be so beside other parameters."""
        with tempfile.TemporaryDirectory() as folder:
            chosen = Path(folder) / "chosen.yaml"
            write_text(chosen, to_yaml(nested({name: value})))
            try:
                plan_workflow(self.config_dir, self.given, [*self.config_files, chosen])
            except InputError as error:
                if str(error).startswith("unknown "):
                    raise InputError(f"search.parameters: {error}") from None

    def run(self) -> optuna.trial.FrozenTrial:
        """Try until there are as many trials as are asked for.

        Returns:
            The best trial.

        Raises:
            InputError: Optuna or Snakemake is not installed, the settings are not possible, or all trials fail.
        """
        check_extra("search", "a search", "optuna")
        check_extra("workflow", "a search, whose trials are calls of Snakemake,", "snakemake")
        self.check()
        (self.folder / "trials").mkdir(parents=True, exist_ok=True)
        study = self.study()
        failures: list[str] = []
        while (taken := self._take(study)) is not None:
            trial, held = taken
            with held:
                failure = self._try(study, trial)
            self._write_tables(study)
            failures = [*failures, failure] if failure else []
            if len(failures) >= MOST_FAILURES and not _finished(study):
                raise InputError(f"the first {len(failures)} trials failed; the last one: {failures[-1]}")
        self._write_tables(study)
        if not _finished(study):
            raise InputError(f"no trial has a value; {self.folder / 'trials.csv'} has the causes")
        return study.best_trial

    def study(self) -> optuna.Study:
        """Return Optuna's study, begun or continued.

        Raises:
            InputError: the study was begun with other settings.
        """
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        settings, journal = self.settings, self.folder / "journal.log"
        cut_half_a_line(journal)
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=self.name,
            direction=settings.better,
            load_if_exists=True,
            pruner=make_pruner(settings),
        )
        now = short_hash([settings.model_dump(mode="json", exclude={"trials"}), list(self.base.runs)])
        begun = study.user_attrs.get(SETTINGS)
        if begun is None:
            study.set_user_attr(SETTINGS, now)
        elif begun != now:
            raise InputError(
                f"the search in {self.folder} was begun with other settings; give this one another name with study=NAME, "
                "or delete that folder"
            )
        return study

    def _take(self, study: optuna.Study) -> tuple[optuna.Trial, contextlib.ExitStack] | None:
        """Return a trial and what holds it: one whose process is gone, or a new one; None if there are enough."""
        import optuna

        for known in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            if (held := self._hold(known.number)) is not None:
                study.sampler = make_sampler(self.settings, known.number)
                trial = optuna.Trial(study, known._trial_id)
                print(f"trial {known.number}: resumed", flush=True)
                return trial, held
        with contextlib.ExitStack() as turn:  # so that several calls together draw no more than are asked for
            turn.enter_context(_locked(self.folder / "trials" / "turn"))
            number = len(study.get_trials(deepcopy=False))
            if number >= self.settings.trials:
                return None
            study.sampler = make_sampler(self.settings, number)
            trial = study.ask()
            held = self._hold(trial.number)
        return self._take(study) if held is None else (trial, held)

    def _hold(self, number: int) -> contextlib.ExitStack | None:
        """Hold a trial by a lock of the kernel, which ends with the process; None where another process holds it."""
        stack = contextlib.ExitStack()
        path = self.folder / "trials" / f"{number}.held"
        file = stack.enter_context(open(path, "a"))  # noqa: SIM115  # what it returns closes it
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            stack.close()
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return None
            raise
        return stack

    def _try(self, study: optuna.Study, trial: optuna.Trial) -> str:
        """Run a trial to its end.

        Returns:
            Why it failed; empty if it did not.
        """
        from optuna.trial import TrialState

        values = {name: suggest(trial, name, space) for name, space in self.settings.parameters.items()}
        shown = " ".join(f"{name.partition('.')[2]}={one_line(value)}" for name, value in values.items())
        print(f"trial {trial.number}: {shown}", flush=True)
        chosen = self.folder / "trials" / f"{trial.number}.yaml"
        write_text(chosen, to_yaml(nested(values)))
        try:
            plan = plan_workflow(self.config_dir, self.given, [*self.config_files, chosen])
            trial.set_user_attr(RUNS, list(plan.runs))
            objective = Objective.of(self.settings, plan)
            if self._run(study, trial, plan, objective, chosen):
                study.tell(trial, state=TrialState.PRUNED)
                print(f"trial {trial.number}: pruned", flush=True)
                return ""
        except InputError as error:
            return self._fail(study, trial, str(error))
        value = objective.value(plan)
        if not math.isfinite(value):
            return self._fail(study, trial, f"{objective.name} is {value}")
        study.tell(trial, value)
        print(f"trial {trial.number}: {objective.name}={value:.6g} of {', '.join(plan.runs)}", flush=True)
        return ""

    @staticmethod
    def _fail(study: optuna.Study, trial: optuna.Trial, why: str) -> str:
        from optuna.trial import TrialState

        trial.set_user_attr(WHY, why)
        study.tell(trial, state=TrialState.FAIL)
        print(f"trial {trial.number}: failed: {why}", flush=True)
        return why

    def _run(
        self, study: optuna.Study, trial: optuna.Trial, plan: WorkflowPlan, objective: Objective, chosen: Path
    ) -> bool:
        """Run what a trial needs, and look at its training meanwhile.

        Returns:
            Whether it was pruned.

        Raises:
            InputError: a job failed.
        """
        watch = Watch(study, trial, plan)
        log = self.folder / "trials" / f"{trial.number}.log"
        with open(log, "a", encoding="utf-8") as file:
            if shared := _missing_for_all(plan):
                with _locked(
                    self.folder / "trials" / "shared"
                ):  # two calls of Snakemake cannot make the same file
                    if shared := _missing_for_all(plan):
                        self._snakemake(shared, chosen, file, lambda: False)
            is_pruned = self._snakemake(objective.targets(plan), chosen, file, watch.is_hopeless)
        watch.report()  # of a short training, what came after the last look; others are compared with it
        return is_pruned

    def _snakemake(
        self, targets: Sequence[str], chosen: Path, log: IO[str], is_hopeless: Callable[[], bool]
    ) -> bool:
        files = ["--configfile", *map(str, (*self.config_files, chosen))]
        given = ["--config", *self.given_texts] if self.given_texts else []
        begun = log.tell()
        process = self.launch([*targets, *self.options, *files, *given], log)
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
                if process.poll() is None and is_hopeless():
                    return True
        finally:
            if process.poll() is None:
                _stop(process)
        if process.returncode:
            raise InputError(_why(Path(log.name), begun))
        return False

    def _write_tables(self, study: optuna.Study) -> None:
        """Write what was found so far."""
        text = io.StringIO()
        names = list(self.settings.parameters)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["trial", "state", self.settings.objective, *names, RUNS, WHY])
        for trial in study.get_trials(deepcopy=False):
            kept = trial.user_attrs
            values = [value_text(trial.params.get(name), self.settings.parameters[name]) for name in names]
            number = "" if trial.value is None else repr(trial.value)
            runs = " ".join(kept.get(RUNS, []))
            writer.writerow(
                [trial.number, trial.state.name.lower(), number, *values, runs, kept.get(WHY, "")]
            )
        write_text(self.folder / "trials.csv", text.getvalue())
        if _finished(study):
            best = (self.folder / "trials" / f"{study.best_trial.number}.yaml").read_text(encoding="utf-8")
            write_text(self.folder / "best.yaml", best)


def _stop(process: subprocess.Popen[str]) -> None:
    """Stop Snakemake and its jobs as Ctrl-C in a terminal does, and after a while without being asked."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            return


def _why(log: Path, begun: int) -> str:
    """Return the message of a command that failed; otherwise where to read."""
    with open(log, "rb") as file:
        file.seek(begun)
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    messages = [line for line in lines if line.startswith(("dynvision ", "dynvision: "))]
    return messages[-1] if messages else f"Snakemake failed; {log} has its output"


def _missing_for_all(plan: WorkflowPlan) -> list[str]:
    """Return the files that several trials share and that are not there yet."""
    shared = [plan.paths.data(data_id) / CONVERTED for data_id in plan.data]
    names = {**plan.experiments, **plan.workflow.scorecard_experiments()}
    shared += [plan.paths.frozen_experiment(name) for name in names]
    return [str(path) for path in shared if not path.exists()]


def _finished(study: optuna.Study) -> bool:
    return any(trial.value is not None for trial in study.get_trials(deepcopy=False))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield
