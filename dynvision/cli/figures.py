"""``dynvision plot`` draws the figures of an experiment or of the runs themselves; ``dynvision report`` writes the page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.cli.arguments import (
    add_look_argument,
    add_results_argument,
    add_study_argument,
    look_from,
    style_from,
)
from dynvision.config.visualization import (
    DYNAMICS_FIGURES,
    EXPERIMENT_FIGURES,
    FIGURES,
    ON_REQUEST,
    RUN_FIGURES,
    SWEEP_FIGURES,
)
from dynvision.errors import InputError, unknown_name

if TYPE_CHECKING:
    from dynvision.runs import ResultPaths
    from dynvision.visualization.save import Drawn
    from dynvision.visualization.style import Style


def add_plot_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Draw figures as PNG, SVG and the CSV of what was drawn: of an experiment on runs, or of their training and their "
        "weights. Times are in ms from stimulus onset, responses in the model's own unit (a.u.). Runs that differ in their "
        "seed only are averaged."
    )
    parser.epilog = "Figures: " + "; ".join(
        f"{name}: {about}"
        for name, about in {**EXPERIMENT_FIGURES, **SWEEP_FIGURES, **RUN_FIGURES, **DYNAMICS_FIGURES}.items()
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--experiment", metavar="NAME", help="draw the figures of this experiment")
    what.add_argument("--training", action="store_true", help="draw the training and the weights of runs")
    what.add_argument(
        "--dynamics", action="store_true", help="draw spectra, time constants and trajectories of runs"
    )
    add_results_argument(parser)
    parser.add_argument(
        "--run-ids", nargs="+", default=[], metavar="ID", help="the runs; all that have the tables if absent"
    )
    parser.add_argument(
        "--figures",
        nargs="+",
        default=[],
        metavar="NAME",
        help="the figures; those of the configuration if absent",
    )
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="folder for the figures; in the results if absent"
    )
    add_study_argument(parser)
    add_look_argument(parser)


def run_plot(arguments: argparse.Namespace) -> None:
    """Read the tables, draw, write.

    Raises:
        InputError: a name is not known, a file cannot be used, or files are missing.
    """
    known = {**EXPERIMENT_FIGURES, **SWEEP_FIGURES}
    if arguments.training or arguments.dynamics:
        known = RUN_FIGURES if arguments.training else DYNAMICS_FIGURES
    for name in arguments.figures:
        if name not in known:
            raise unknown_name("figure", name, known, key="--figures")
    from dynvision.runs import ResultPaths

    paths, style = ResultPaths(arguments.results, arguments.study), style_from(arguments)
    if arguments.training or arguments.dynamics:
        _plot_runs(arguments, paths, style)
    else:
        _plot_experiment(arguments, paths, style)


def _plot_experiment(arguments: argparse.Namespace, paths: ResultPaths, style: Style) -> None:
    from dynvision.analysis import group_runs, read_experiment
    from dynvision.config.layers import FEEDFORWARD_TWIN
    from dynvision.runs.made_from import FIGURES as RECORD
    from dynvision.runs.made_from import METRICS, RESPONSES, identity_of, look_identity, made_from, of_figures
    from dynvision.visualization.names import compare
    from dynvision.visualization.save import save_figure
    from dynvision.visualization.tables import ExperimentTables, read_configs

    folder = paths.root / "experiments" / arguments.experiment
    run_ids = arguments.run_ids or _folders_with(folder, "metrics.parquet")
    configs = read_configs(paths, run_ids)
    experiment = read_experiment(paths.frozen_experiment(arguments.experiment))
    tables = ExperimentTables(paths, experiment, configs)
    comparison = compare(group_runs(configs), style)
    names = list(arguments.figures) or list(style.config.figures_of(experiment.name))
    if not arguments.figures and len(comparison.labels) > 1:
        names += SWEEP_FIGURES
    draws = {name: _function_of(name) for name in names}
    of_runs = {run_id: identity_of(paths.experiment(experiment.name, run_id) / METRICS) for run_id in run_ids}
    for twin in [experiment.name + FEEDFORWARD_TWIN] if "robustness" in names else []:
        for run_id in run_ids:
            path = paths.experiment(twin, run_id) / RESPONSES
            of_runs |= {f"{twin} {run_id}": identity_of(path)} if path.exists() else {}
    place = arguments.output_dir or paths.figures(experiment.name)
    inputs = of_figures(experiment.config, of_runs, look_identity(style.config, style.scorecard), names)
    with made_from(place / RECORD, inputs):
        for draw in draws.values():
            save_figure(draw(tables, comparison, style), place, style)


def _function_of(name: str) -> Callable[..., Drawn]:
    """Return the function that draws a figure."""
    try:
        return FIGURES[name]
    except (AttributeError, ModuleNotFoundError):
        raise InputError(
            f"figure {name!r} has a name in dynvision/config/visualization.py, and "
            f"dynvision/visualization/{name}.py has no draw_{name}; add it, or leave the name out of "
            "visualization.figures"
        ) from None


def _plot_runs(arguments: argparse.Namespace, paths: ResultPaths, style: Style) -> None:
    """Draw the figures of runs themselves: of their training and weights, or of their dynamics."""
    from dynvision.analysis import group_runs
    from dynvision.runs import made_from as made
    from dynvision.visualization.names import compare
    from dynvision.visualization.save import save_figure
    from dynvision.visualization.tables import read_configs

    folder, table = ("runs", "training.csv") if arguments.training else ("dynamics", "timescales.parquet")
    run_ids = arguments.run_ids or _folders_with(paths.root / folder, table)
    configs = read_configs(paths, run_ids)
    comparison = compare(group_runs(configs), style)
    if arguments.training:
        names = list(arguments.figures or RUN_FIGURES)
        inputs = {
            run_id: (made.read_record(paths.run(run_id) / made.TRAINED) or {}).get("weights")
            for run_id in run_ids
        }
    else:
        names = list(arguments.figures or [name for name in DYNAMICS_FIGURES if name not in ON_REQUEST])
        inputs = {run_id: made.identity_of(paths.dynamics(run_id) / made.DYNAMICS) for run_id in run_ids}
    place = arguments.output_dir or paths.figures("training" if arguments.training else "dynamics")
    look = made.look_identity(style.config, style.scorecard)
    with made.made_from(place / made.FIGURES, made.of_figures(None, inputs, look, names)):
        for name in names:
            save_figure(_function_of(name)(paths, configs, comparison, style), place, style)


def _folders_with(parent: Path, name: str) -> Sequence[str]:
    found = sorted(path.parent.name for path in parent.glob(f"*/{name}"))
    if not found:
        raise InputError(f"no folder in {parent} has a {name}; run the workflow first, or name the runs")
    return found


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Write one HTML file with the figures, numbers and configuration of experiments on runs. It needs no other "
        "file and no network. Times are in ms from stimulus onset, responses in the model's own unit (a.u.)."
    )
    add_results_argument(parser)
    parser.add_argument(
        "--experiments", nargs="+", required=True, metavar="NAME", help="experiments to report"
    )
    parser.add_argument("--run-ids", nargs="+", required=True, metavar="ID", help="runs to report")
    parser.add_argument(
        "--comparisons", nargs="+", default=[], metavar="NAME", help="comparisons with recordings to report"
    )
    add_study_argument(parser)
    add_look_argument(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="HTML", help="where to write the report"
    )


def run_report(arguments: argparse.Namespace) -> None:
    """Read the results, write the report.

    Raises:
        InputError: a configuration, a table or a figure is missing or broken.
    """
    from dynvision.cli.arguments import read_scorecard
    from dynvision.report import write_report
    from dynvision.runs import ResultPaths
    from dynvision.runs.made_from import (
        COMPARED,
        FIGURES,
        METRICS,
        identity_of,
        look_identity,
        made_from,
        of_report,
    )

    look, paths = look_from(arguments), ResultPaths(arguments.results, arguments.study)
    metrics = {
        name: {run_id: identity_of(paths.experiment(name, run_id) / METRICS) for run_id in arguments.run_ids}
        for name in arguments.experiments
    }
    figures = {
        name: identity_of(paths.figures(name) / FIGURES) for name in (*arguments.experiments, "training")
    }
    compared = {
        name: {run_id: identity_of(paths.comparison(name, run_id) / COMPARED) for run_id in arguments.run_ids}
        for name in arguments.comparisons
    }
    identity = look_identity(look, read_scorecard(arguments.visualization, arguments.results))
    with made_from(arguments.output.with_suffix(".json"), of_report(metrics, figures, identity, compared)):
        write_report(
            arguments.results,
            arguments.experiments,
            arguments.run_ids,
            arguments.output,
            look,
            arguments.study,
            arguments.comparisons,
        )
