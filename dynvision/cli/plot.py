"""Draw the figures of an experiment, or of training."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from dynvision.config.run import RunConfig
    from dynvision.visualization.comparison import Comparison
    from dynvision.visualization.style import Style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Draw figures as PNG, SVG and the CSV of what was drawn. With --experiment: responses over time (ms from "
        "stimulus onset), measures against the swept parameter, and accuracy over time. With --training: loss and "
        "accuracy over epochs. Runs that differ in their seed only are averaged."
    )
    parser.add_argument(
        "--configs", type=Path, nargs="+", required=True, metavar="YAML", help="the runs' config.yaml"
    )
    parser.add_argument(
        "--output-dir", type=Path, required=True, metavar="DIR", help="folder for the figures"
    )
    parser.add_argument("--visualization", type=Path, metavar="YAML", help="palette, names and order")
    of_experiment = parser.add_argument_group("figures of an experiment")
    of_experiment.add_argument("--experiment", type=Path, metavar="YAML", help="the experiment's config.yaml")
    for name, content in {
        "responses": "responses of the layers (a.u.)",
        "performance": "guesses of the classifier",
        "metrics": "measures, as written by dynvision analyse",
    }.items():
        of_experiment.add_argument(
            f"--{name}", type=Path, nargs="+", default=[], metavar="PARQUET", help=f"{content}, a file a run"
        )
    of_training = parser.add_argument_group("figure of training")
    of_training.add_argument(
        "--training",
        type=Path,
        nargs="+",
        default=[],
        metavar="CSV",
        help="training.csv, in the order of --configs",
    )


def run(arguments: argparse.Namespace) -> None:
    """Read the tables, draw, write.

    Raises:
        InputError: a file cannot be used, or files are missing.
    """
    if bool(arguments.training) == (arguments.experiment is not None):
        raise InputError(
            "give either --experiment with its tables, or --training with a training.csv of each run"
        )
    from dynvision.analysis.conditions import group_runs
    from dynvision.config.run import read_run_config
    from dynvision.visualization.comparison import compare
    from dynvision.visualization.config_file import read_visualization
    from dynvision.visualization.style import Style

    configs = [read_run_config(path) for path in arguments.configs]
    style = Style(read_visualization(arguments.visualization))
    comparison = compare(group_runs(configs), style)
    if arguments.training:
        _plot_training(arguments, configs, comparison, style)
    else:
        _plot_experiment(arguments, configs, comparison, style)


def _plot_experiment(
    arguments: argparse.Namespace, configs: Sequence[RunConfig], comparison: Comparison, style: Style
) -> None:
    from dynvision.analysis import (
        accuracy_courses,
        read_experiment,
        read_metrics,
        read_performance,
        read_responses,
        response_courses,
    )
    from dynvision.visualization.experiment_figures import FIGURES
    from dynvision.visualization.save import save_figure

    experiment = read_experiment(arguments.experiment)
    run_ids = {config.run_id for config in configs}
    sources: dict[str, tuple[list[Path], Callable[[Path], pd.DataFrame]]] = {
        "responses": (
            arguments.responses,
            lambda path: _named(path, response_courses, read_responses(path, experiment)),
        ),
        "measures": (arguments.metrics, lambda path: read_metrics(path, experiment)),
        "performance": (
            arguments.performance,
            lambda path: _named(path, accuracy_courses, read_performance(path, experiment)),
        ),
    }
    tables = {}
    for name, (paths, read) in sources.items():
        option = "metrics" if name == "measures" else name
        tables[name] = _of_all_runs(paths, read, run_ids, f"--{option}")
    for name, draw in FIGURES.items():
        save_figure(draw(tables[name], comparison, experiment, style), arguments.output_dir, style)


def _of_all_runs(
    paths: Sequence[Path], read: Callable[[Path], pd.DataFrame], run_ids: set[str], option: str
) -> pd.DataFrame:
    """One table of all runs, each read and reduced before the next."""
    import pandas as pd

    from dynvision.analysis.cube import levels

    parts: list[pd.DataFrame] = []
    found: set[str] = set()
    for path in paths:
        part = read(path)
        here = {str(run_id) for run_id in part["run_id"].unique()}
        if foreign := here - run_ids:
            raise InputError(f"{path} is of run {sorted(foreign)[0]}, which is not among --configs")
        if twice := here & found:
            raise InputError(f"{path} is of run {sorted(twice)[0]}, of which {option} already has a table")
        found |= here
        parts.append(part)
    if missing := run_ids - found:
        raise InputError(f"{option} has no table of run {sorted(missing)[0]}, which is among --configs")
    table = pd.concat([part.astype({"run_id": str}) for part in parts], ignore_index=True)
    for name in {"layer", "measure"} & set(table):
        order = dict.fromkeys(level for part in parts for level in levels(part[name]))
        table[name] = pd.Categorical(table[name], list(order))
    return table


def _plot_training(
    arguments: argparse.Namespace, configs: Sequence[RunConfig], comparison: Comparison, style: Style
) -> None:
    import pandas as pd

    from dynvision.analysis import read_training
    from dynvision.visualization.experiment_figures import draw_training_course
    from dynvision.visualization.save import save_figure

    if len(arguments.training) != len(configs):
        raise InputError(
            f"--training has {len(arguments.training)} files and --configs {len(configs)}; give one of each a run, "
            "in the same order"
        )
    parts = [
        read_training(path).assign(run_id=config.run_id)
        for path, config in zip(arguments.training, configs, strict=True)
    ]
    drawn = draw_training_course(pd.concat(parts, ignore_index=True), comparison, style)
    save_figure(drawn, arguments.output_dir, style)


def _named(path: Path, compute: Callable[[pd.DataFrame], pd.DataFrame], table: pd.DataFrame) -> pd.DataFrame:
    """What a function makes of a file's table, with the file's name in an error."""
    try:
        return compute(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
