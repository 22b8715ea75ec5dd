"""What a plan will cost, before it is paid: time and memory of each kind of job, printed at the end of ``snakemake -n``.

    work of a training      relative work of the run x epochs x images
    work of an experiment   relative work of the run x values x recorded time x images
    time of a job           its work x median over finished jobs of the same kind of (seconds / work)

Finished jobs are those whose benchmark files are in the results; those of the same model count if there are some. Where
there are none, seconds for a unit of work are those of ``make demo`` on two cores (`SECONDS`), and memory is what the job
requests. Nothing here imports torch.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dynvision.config.run import RunConfig, read_run_config
from dynvision.errors import InputError
from dynvision.resources import relative_work
from dynvision.runs.plan import WorkflowPlan
from dynvision.text import aligned, duration
from dynvision.trained import CONFIG

# Seconds on two cores (2.1 GHz, AVX-512): of a unit of work for jobs of a network, of a job for all others.
SECONDS = {
    "train": 0.18,
    "experiment": 0.02,
    "dynamics_of_run": 60.0,
    "convert_dataset": 10.0,
    "analyse": 15.0,
    "weights": 8.0,
}
OTHERS = 5.0  # seconds of a job that is not listed
PLOT = 20.0  # seconds of a job that draws
DIGITS = 1294  # training images of the bundled digits, where the data are not converted yet
TEST_IMAGES = 360
ORDER = (
    "freeze_data", "convert_dataset", "freeze_run", "train", "weights", "freeze_experiment", "experiment", "analyse",
    "dynamics_of_run", "scorecard_of_run", "freeze_visualization",
)  # fmt: skip
COLLECTING = ("all", "dynamics", "scorecard")  # rules without a command


@dataclass(frozen=True)
class Planned:
    """A job of the plan.

    Attributes:
        rule: name of its rule.
        wildcards: by name, such as ``run_id``.
        mem_mb: memory that it requests, MB.
    """

    rule: str
    wildcards: Mapping[str, str]
    mem_mb: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """What the planned jobs of one kind need.

    Attributes:
        kind: the rule, of experiments with the name.
        n_jobs: how many.
        seconds: of all of them, one after the other; None where it is not known.
        mem_mb: of the largest.
        source: what the numbers are from.
    """

    kind: str
    n_jobs: int
    seconds: float | None
    mem_mb: float
    source: str


def forecast(jobs: Iterable[Planned], plan: WorkflowPlan) -> list[Forecast]:
    """Return what jobs will need, by kind, in the order of the workflow.

    Args:
        jobs: those that would run.
        plan: the workflow that they are of.
    """
    of_kind: dict[str, list[Planned]] = {}
    for job in sorted(
        jobs, key=lambda job: (ORDER.index(job.rule) if job.rule in ORDER else len(ORDER), _kind(job))
    ):
        of_kind.setdefault(_kind(job), []).append(job)
    return [_of_kind(kind, planned, plan) for kind, planned in of_kind.items()]


def planned_jobs(jobs: Iterable[Any]) -> list[Planned]:
    """Return jobs of Snakemake as what is needed of them; those that only collect files are left out."""
    return [
        Planned(str(job.rule.name), dict(job.wildcards_dict), float(job.resources.get("mem_mb", 0)))
        for job in jobs
        if job.rule.name not in COLLECTING
    ]


def print_forecast(snakemake: Any, plan: WorkflowPlan) -> None:
    """Print what the jobs of a dry run will need; nothing after any other call, or where there is nothing to do.

    Args:
        snakemake: Snakemake's workflow, after its call.
        plan: what it was made from.
    """
    if not snakemake.dryrun or snakemake._dag is None:
        return
    jobs = planned_jobs(snakemake.dag.needrun_jobs(exclude_finished=False))
    if jobs:
        n_runs = len({job.wildcards["run_id"] for job in jobs if "run_id" in job.wildcards})
        print(forecast_text(forecast(jobs, plan), n_runs), flush=True)


def forecast_text(rows: Sequence[Forecast], n_runs: int) -> str:
    """Return forecasts as a table, with their sums below."""
    known = [row.seconds for row in rows if row.seconds is not None]
    n_jobs, memory = sum(row.n_jobs for row in rows), max(row.mem_mb for row in rows)
    total = duration(sum(known)) if len(known) == len(rows) else f"> {duration(sum(known))}"
    lines = [("job", "jobs", "time each", "time in all", "memory", "estimated from")]
    for row in rows:
        times = (
            ("?", "?") if row.seconds is None else (duration(row.seconds / row.n_jobs), duration(row.seconds))
        )
        lines.append((row.kind, str(row.n_jobs), *times, _gigabytes(row.mem_mb), row.source))
    lines.append(("in all", str(n_jobs), "", total, _gigabytes(memory), ""))
    runs = f"{n_runs} run" + ("" if n_runs == 1 else "s")
    title = (
        f"dynvision: {runs}; estimated one job after the other, as finished jobs here, else on two CPU cores:"
    )
    return "\n".join([title, *aligned(lines, right=range(1, 5))])


def _gigabytes(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f} GB"


def _kind(job: Planned) -> str:
    return f"experiment {job.wildcards['experiment']}" if job.rule == "experiment" else job.rule


def _of_kind(kind: str, jobs: Sequence[Planned], plan: WorkflowPlan) -> Forecast:
    """Forecast jobs of one kind, each from finished ones where there are some."""
    finished = _finished(jobs[0], plan)
    seconds: list[float | None] = []
    memory, sources = [], dict[str, None]()
    for job in jobs:
        work = _work(job, plan.runs.get(job.wildcards.get("run_id", "")), plan)
        alike = _alike(finished, job, plan)
        if alike and work is not None:
            seconds.append(work * statistics.median(one.seconds / one.work for one in alike))
            memory.append(max(one.mem_mb for one in alike))
            sources[f"{len(alike)} finished"] = None
        else:
            rate = SECONDS.get(job.rule, PLOT if job.rule.startswith("plot_") else OTHERS)
            seconds.append(None if work is None else work * rate)
            memory.append(job.mem_mb)
            sources["unknown: data not converted" if work is None else _guess(job)] = None
    known = [one for one in seconds if one is not None]
    return Forecast(
        kind, len(jobs), sum(known) if len(known) == len(jobs) else None, max(memory), " or ".join(sources)
    )


@dataclass(frozen=True)
class _Finished:
    """A finished job: its run (empty for none), work, time in s and largest memory in MB."""

    run: RunConfig | None
    work: float
    seconds: float
    mem_mb: float


def _finished(job: Planned, plan: WorkflowPlan) -> list[_Finished]:
    """Finished jobs of the same kind as one, from their benchmark files."""
    experiment = job.wildcards.get("experiment", "")
    found = []
    for path in sorted(_benchmarks(job, plan).glob("*.tsv")):
        frozen = plan.paths.run(path.stem) / CONFIG
        try:
            run = plan.runs.get(path.stem) or (_frozen(frozen) if frozen.is_file() else None)
            with path.open(encoding="utf-8") as file:
                [row] = csv.DictReader(file, delimiter="\t")
            seconds, mem_mb = float(row["s"]), float(row["max_rss"])
        except (InputError, ValueError, KeyError, OSError):
            continue  # of an interrupted job, or of an earlier version
        work = _work(Planned(job.rule, {"experiment": experiment, "run_id": path.stem}), run, plan)
        if work:
            found.append(_Finished(run, work, seconds, mem_mb))
    return found


@cache
def _frozen(path: Path) -> RunConfig:
    """The configuration of a run of another plan, which is read once for all kinds of jobs."""
    return read_run_config(path)


def _benchmarks(job: Planned, plan: WorkflowPlan) -> Path:
    """The folder of the benchmark files of a job's kind."""
    if job.rule.startswith("plot_"):
        return plan.paths.of_study / "benchmarks" / "plot"
    folder = (
        plan.paths.root
        / "benchmarks"
        / {"dynamics_of_run": "dynamics", "scorecard_of_run": "scorecard"}.get(job.rule, job.rule)
    )
    return folder / job.wildcards["experiment"] if job.rule in ("experiment", "analyse") else folder


def _alike(finished: Sequence[_Finished], job: Planned, plan: WorkflowPlan) -> list[_Finished]:
    """Those of the same model, or else all."""
    run = plan.runs.get(job.wildcards.get("run_id", ""))
    same = [one for one in finished if run and one.run and one.run.model.name == run.model.name]
    return same or list(finished)


def _work(job: Planned, run: RunConfig | None, plan: WorkflowPlan) -> float | None:
    """The work of a job in units of its kind; 1 where all jobs are alike, None where it is not known."""
    if run is None or job.rule not in ("train", "experiment"):
        return 1.0
    manifest = _manifest(run, plan)
    if job.rule == "train":
        images = manifest.get("train", DIGITS if run.data.name == "digits" else 0)
        return relative_work(run) * run.training.epochs * images or None
    experiment = plan.experiments.get(job.wildcards["experiment"])
    if experiment is None:
        return 1.0
    images = experiment.n_images or manifest.get("test", TEST_IMAGES if run.data.name == "digits" else 0)
    dt = float({**run.model.args, **experiment.model_args}.get("dt", 2.0))
    n_steps = (experiment.baseline_ms + experiment.recorded_ms) / dt
    return relative_work(run, n_steps) * len(experiment.values) * images or None


@cache
def _sizes(path: Path) -> dict[str, int]:
    """The number of images of each split, from a manifest."""
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: len(split["indices"])
        for name, split in manifest.items()
        if isinstance(split, dict) and "indices" in split
    }


def _manifest(run: RunConfig, plan: WorkflowPlan) -> dict[str, int]:
    path = plan.paths.data(run.data_id) / "manifest.json"
    return _sizes(path) if path.is_file() else {}


def _guess(job: Planned) -> str:
    return "the model's size" if job.rule in ("train", "experiment") else "typical"
