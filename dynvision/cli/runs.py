"""``dynvision runs``: list the runs that exist, delete some, or do some again."""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynvision.cli.arguments import add_results_argument
from dynvision.errors import InputError, unknown_name
from dynvision.text import print_table
from dynvision.trained import CONFIG, WEIGHTS

if TYPE_CHECKING:
    from dynvision.runs import ResultPaths

ACTIONS = ("list", "delete", "redo")


def add_runs_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "List the runs that exist: status, accuracy on the test images, date, and the parameters in which they differ. "
        "'delete' removes runs with all that was made of them; 'redo' trains them from the beginning and does their "
        "experiments again, each result is replaced when the new one is complete."
    )
    parser.epilog = (
        "Durations and time constants are in ms, resolutions in px; the reference of the configuration explains each key. "
        "Statuses: trained, training (on this machine), stopped (the next training resumes), waiting."
    )
    parser.add_argument(
        "action", nargs="?", default="list", metavar="ACTION", help="list (default), delete or redo"
    )
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="id of a run, or its beginning if no other begins so; all if absent",
    )
    parser.add_argument(
        "--where",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="only the runs of which all of this holds, e.g. trc=10 status=trained 'test_accuracy>0.9'; also !=, <, >=, <=",
    )
    parser.add_argument(
        "-n",
        "--dry-run",
        action="store_true",
        help="of delete and redo: print what would be done, and do nothing",
    )
    add_results_argument(parser)
    parser.add_argument(
        "--output", type=Path, help="CSV file to write, with all parameters; printed if absent"
    )
    parser.add_argument("--all", action="store_true", help="also the parameters in which no two runs differ")


def run_runs(arguments: argparse.Namespace) -> None:
    """Do what the action names.

    Raises:
        InputError: a run or a parameter is not known, or nothing states which runs are to be deleted or done again.
    """
    from dynvision.runs import ResultPaths
    from dynvision.runs.listing import RowFilter, chosen, find_run_id, list_runs

    if arguments.action not in ACTIONS:
        raise unknown_name("action", arguments.action, ACTIONS)
    if not Path(arguments.results).is_dir():
        raise InputError(
            f"there is no folder {arguments.results}; give the folder of the results with --results"
        )
    paths = ResultPaths(arguments.results)
    rows = list_runs(paths)
    known = [row["run_id"] for row in rows]
    if arguments.runs and not known:
        raise InputError(f"there are no runs in {arguments.results}; give the folder with --results")
    named = {find_run_id(given, known) for given in arguments.runs}
    found = chosen(rows, [RowFilter.read(text) for text in arguments.where])
    found = [row for row in found if not named or row["run_id"] in named]
    if arguments.action == "list":
        _list(found, arguments)
    elif not (arguments.runs or arguments.where):
        raise InputError(f"name the runs to {arguments.action}: their ids, or --where NAME=VALUE")
    else:
        act = {"delete": _delete, "redo": _redo}[arguments.action]
        for row in found:
            if row["status"] == "training":
                raise InputError(f"run {row['run_id']} is being trained; stop that first")
        for row in found:
            act(row["run_id"], paths, arguments.dry_run)
        if not found:
            print(f"no run meets these conditions; nothing to {arguments.action}")


def _list(rows: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> None:
    from dynvision.files import write_text
    from dynvision.runs.listing import STATE

    names = list(dict.fromkeys(name for row in rows for name in row if name not in ("run_id", *STATE)))
    differing = [name for name in names if _differs(name, rows)]
    # The file is of what was asked for, and is written by the workflow before anything is trained.
    columns = ["run_id", *(STATE if arguments.output is None else ()), *differing]
    if arguments.all or arguments.output is not None:
        columns += [name for name in names if name not in differing]
    if arguments.output is not None:
        write_text(arguments.output, _csv(rows, columns))
    elif sys.stdout.isatty():
        print_table(
            [columns, *(["" if row.get(n) is None else str(row[n]) for n in columns] for row in rows)]
        )
    else:
        sys.stdout.write(_csv(rows, columns))


def _differs(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether runs differ in a parameter. An argument that some models do not have is compared among those that have it."""
    having = [row for row in rows if name in row or not name.startswith("model.args.")]
    return len({str(row.get(name)) for row in having}) > 1


def _delete(run_id: str, paths: ResultPaths, is_dry: bool) -> None:
    from dynvision.runs.listing import places_of

    places = places_of(paths, run_id)
    kept = sorted(path for path in places if path.is_dir())
    print(
        f"{'would delete' if is_dry else 'deleting'} {run_id}: {', '.join(map(str, kept))}, logs", flush=True
    )
    # The folder of the run goes last: as long as it is there, the command finds what is left.
    for path in (
        () if is_dry else (*(place for place in places if place != paths.run(run_id)), paths.run(run_id))
    ):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _redo(run_id: str, paths: ResultPaths, is_dry: bool) -> None:
    """Train a run from the beginning, and do again each experiment that it has done, as they are frozen."""
    from dynvision.cli import main
    from dynvision.config.run import read_run_config

    folder = paths.run(run_id)
    experiments = sorted(path.parent.name for path in (paths.root / "experiments").glob(f"*/{run_id}"))
    print(
        f"{'would do' if is_dry else 'doing'} {run_id} again: training, {', '.join(experiments)}", flush=True
    )
    if is_dry:
        return
    data = paths.data(read_run_config(folder / CONFIG).data_id)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    of_run, weights = ("--config", folder / CONFIG), ("--weights", folder / WEIGHTS)
    steps: list[tuple[Any, ...]] = [
        ("train", *of_run, "--data", data, "--output", folder),
        ("weights", "distributions", *weights, *of_run, "--output", folder / "weights.parquet"),
    ]
    for name in experiments:
        tables = paths.experiment(name, run_id)
        frozen = ("--experiment", paths.frozen_experiment(name))
        made = ("--responses", tables / "responses.parquet", "--performance", tables / "performance.parquet")
        measured = ("--output", tables / "metrics.parquet", "--summary", tables / "summary.parquet")
        steps += [
            ("experiment", *frozen, *of_run, *weights, "--data", data, *made),
            ("analyse", *frozen, *made, *measured),
        ]
    for step in steps:
        if status := main([str(part) for part in step]):
            raise SystemExit(status)
    print(f"{run_id}: done again; the next call of snakemake draws figures and report anew", flush=True)


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
