"""``dynvision scorecard RUN``: show the protocols of physiologists to trained runs and compare with cortex."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.cli.arguments import (
    OF_EXPERIMENTS,
    add_config_dir_argument,
    add_execution_arguments,
    add_look_argument,
    add_run_arguments,
    execution_from,
    look_from,
    read_json,
)
from dynvision.errors import InputError, unknown_name
from dynvision.runs import ResultPaths
from dynvision.trained import CONFIG, WEIGHTS

if TYPE_CHECKING:
    import pandas as pd

    from dynvision.config.experiment import ExperimentConfig
    from dynvision.config.measures import ScorecardConfig
    from dynvision.config.run import RunConfig
    from dynvision.config.training import ExecutionConfig
    from dynvision.inference.finished_run import FinishedRun


def add_scorecard_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Show trained runs the protocols of physiologists and psychophysicists, in ms, and print what they do beside what "
        "cortex and people do: sign tests first, numbers second. Protocols that have been shown already are not shown "
        "again. Table, text and figure are written to scorecard/RUN below the results; runs that differ in their seed only "
        "are also averaged, with intervals over seeds."
    )
    add_run_arguments(parser, several=True)
    add_config_dir_argument(parser, "protocols, and which layer is compared with which area")
    parser.add_argument(
        "--settings",
        metavar="JSON",
        help="the section 'scorecard' instead; experiments are then taken as they were frozen with the results",
    )
    parser.add_argument(
        "--protocols",
        nargs="+",
        metavar="NAME",
        help="show and score only these (default: all of scorecard.experiments)",
    )
    parser.add_argument(
        "--images",
        type=int,
        metavar="N",
        help="show at most this many test images in each protocol, as many of each class as can be (default: as the "
        "experiments say); 30 give an impression on a laptop",
    )
    parser.add_argument(
        "--controls",
        action="store_true",
        help="score two feedforward networks beside each: with as many parameters, and deeper with as much computation; "
        "for those that are not trained, write a configuration that trains them",
    )
    parser.add_argument(
        "--train-controls",
        action="store_true",
        help="the same, and train those that are not trained, here and one by one, as the run was trained",
    )
    add_look_argument(parser)
    add_execution_arguments(parser, OF_EXPERIMENTS)


def run_scorecard(arguments: argparse.Namespace) -> None:
    """Show what has not been shown, score, write and print.

    Raises:
        InputError: a run, an experiment or a setting that cannot be used.
    """
    from dynvision.inference.finished_run import find_run

    runs = [find_run(given, arguments.results) for given in arguments.run]
    execution = execution_from(arguments)
    settings, experiments = _settings(arguments)
    if not settings.experiments or not (settings.areas or settings.models):
        raise InputError(
            "scorecard.experiments or scorecard.areas is empty; see config/config_scorecard.yaml"
        )
    settings = _selected(settings, arguments.protocols)
    experiments = _bounded(
        {name: experiments[name] for name in settings.experiments.values()}, arguments.images
    )
    by_id = {finished.config.run_id: finished for finished in runs}

    def card_of(finished: FinishedRun) -> pd.DataFrame:
        tables = {
            protocol: _shown(finished, name, experiments[name], arguments.results, execution)
            for protocol, name in settings.experiments.items()
        }
        return _write(finished, tables, settings, arguments)

    cards = {run_id: card_of(finished) for run_id, finished in by_id.items()}
    if arguments.controls or arguments.train_controls:
        by = execution if arguments.train_controls else None
        for run_id, finished in by_id.items():
            _with_controls(finished, cards[run_id], card_of, arguments.results, by)
    _write_seeds(cards, [finished.config for finished in by_id.values()], arguments.results)


def _with_controls(
    finished: FinishedRun,
    card: pd.DataFrame,
    card_of: Callable[[FinishedRun], pd.DataFrame],
    results: Path,
    trained_by: ExecutionConfig | None,
) -> None:
    """Score the controls of a run and print all verdicts side by side.

    Those that are not trained are trained first, if it is stated how; else a configuration that trains them is written.

    Raises:
        InputError: there are no controls of such a model, or one cannot be trained.
    """
    from dynvision.analysis import write_table
    from dynvision.analysis.scorecard import controls_text
    from dynvision.config.yaml_text import to_yaml
    from dynvision.data.manifest import read_manifest
    from dynvision.files import write_text
    from dynvision.inference.finished_run import find_run
    from dynvision.models.controls import control_runs, workflow_of

    data = read_manifest(finished.data, finished.config.data.images)
    controls = control_runs(finished.config, data.input_shape, data.n_classes)
    cards, missing = {"network": card}, {}
    for matched, control in controls.items():
        print(
            f"control {control.run.run_id}: {matched} {control.control:,}, of the network {control.network:,}",
            flush=True,
        )
        trained = ResultPaths(results).run(control.run.run_id)
        if trained_by is not None and not (trained / WEIGHTS).exists():
            _train(control.run, trained, finished.data, trained_by)
        if (trained / WEIGHTS).exists():
            cards[matched] = card_of(find_run(control.run.run_id, results))
        else:
            missing[matched] = control
    folder = ResultPaths(results).scorecard(finished.config.run_id)
    if len(cards) > 1:
        import pandas as pd

        write_table(
            pd.concat([one.assign(control=name) for name, one in cards.items()], ignore_index=True),
            folder / "controls.parquet",
        )
        text = controls_text(cards)
        write_text(folder / "controls.txt", text)
        print("\n" + text, end="", flush=True)
    if missing:
        path = folder / "controls.yaml"
        write_text(path, to_yaml(workflow_of([control.run for control in missing.values()])))
        print(
            f"Not trained: {', '.join(missing)}. Train here with --train-controls; or with 'snakemake --configfile {path} "
            f"--config results_dir={results}', then call this again",
            flush=True,
        )


def _train(run: RunConfig, folder: Path, data: Path, execution: ExecutionConfig) -> None:
    """Freeze a run and train it, in this process."""
    from dynvision.config.yaml_text import to_yaml
    from dynvision.files import write_text
    from dynvision.training.fit import train_run

    write_text(folder / CONFIG, to_yaml(run))
    one = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    train_run(run, execution.model_copy(update=one), data, folder)


def _settings(arguments: argparse.Namespace) -> tuple[ScorecardConfig, dict[str, ExperimentConfig]]:
    """What to compare with, and the experiments by name."""
    from dynvision.analysis.conditions import read_experiment
    from dynvision.config.measures import ScorecardConfig
    from dynvision.config.section import validate
    from dynvision.config.workflow import load_workflow_config

    if arguments.settings is None:
        workflow = load_workflow_config(arguments.config_dir)
        return workflow.scorecard, workflow.scorecard_experiments()
    settings = validate(ScorecardConfig, read_json(arguments.settings, "--settings"), "scorecard")
    paths = ResultPaths(arguments.results)
    return settings, {
        name: read_experiment(paths.frozen_experiment(name)).config for name in settings.experiments.values()
    }


def _selected(settings: ScorecardConfig, protocols: Sequence[str] | None) -> ScorecardConfig:
    """The settings with some of the protocols alone.

    Raises:
        InputError: one of them has no experiment.
    """
    if protocols is None:
        return settings
    for name in protocols:
        if name not in settings.experiments:
            raise unknown_name("protocol", name, settings.experiments, key="--protocols")
    kept = {protocol: name for protocol, name in settings.experiments.items() if protocol in protocols}
    return settings.model_copy(update={"experiments": kept})


def _bounded(
    experiments: Mapping[str, ExperimentConfig], n_images: int | None
) -> dict[str, ExperimentConfig]:
    """The experiments with at most so many images.

    Raises:
        InputError: no image, or a single one where others are shown beside it.
    """
    if n_images is None:
        return dict(experiments)
    if n_images < 1:
        raise InputError(f"--images {n_images} shows nothing; give at least 1")
    for name, one in experiments.items():
        others = max(span.content.n_others for value in one.values for span in one.trial(value))
        if n_images == 1 and others:
            raise InputError(
                f"--images 1 leaves {name} without the other images that it shows; give at least 2, or leave it out of "
                "--protocols"
            )
    return {
        name: one.model_copy(update={"n_images": min(one.n_images or n_images, n_images)})
        for name, one in experiments.items()
    }


def _shown(
    finished: FinishedRun, name: str, experiment: ExperimentConfig, results: Path, execution: ExecutionConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The responses and guesses of a run in an experiment, which is run if it has not been or has been another one."""
    from dynvision.analysis import NamedExperiment, read_experiment, read_performance, read_responses
    from dynvision.config.experiment import frozen_experiment
    from dynvision.config.yaml_text import to_yaml
    from dynvision.data.manifest import read_manifest
    from dynvision.files import write_text
    from dynvision.runs.made_from import RESPONSES, file_hash, is_made_from, of_responses

    run_id = finished.config.run_id
    paths = ResultPaths(results)
    folder, frozen = paths.experiment(name, run_id), paths.frozen_experiment(name)
    responses = folder / "responses.parquet"
    current = frozen.exists() and read_experiment(frozen).config == experiment
    if not current:
        write_text(frozen, to_yaml(frozen_experiment(name, experiment)))
    images = read_manifest(finished.data, finished.config.data.images).identity
    inputs = of_responses(experiment, finished.config.data.name, file_hash(finished.weights), images)
    performance = folder / "performance.parquet"
    if not is_made_from(folder / RESPONSES, inputs, responses) or not _has_race(performance):
        from dynvision.experiments.run import ExperimentFiles, run_experiment

        files = ExperimentFiles(finished.weights, finished.data, responses, performance)
        run_experiment(name, experiment, finished.config, execution, files)
    named = NamedExperiment(name, experiment)
    return read_responses(responses, named), read_performance(performance, named)


def _has_race(performance: Path) -> bool:
    """Whether a table of guesses is there and has what decisions need; tables of before have not."""
    import pyarrow.parquet as pq

    from dynvision.analysis.decisions import RACE

    return performance.exists() and set(RACE) <= set(pq.read_schema(performance).names)


def _write(
    finished: FinishedRun,
    tables: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]],
    settings: ScorecardConfig,
    arguments: argparse.Namespace,
) -> pd.DataFrame:
    """Score one run, write table, text and figure, print the text."""
    from dynvision.analysis import write_table
    from dynvision.analysis.scorecard import score_run, scorecard_text
    from dynvision.config.data import dataset_facts
    from dynvision.files import write_text
    from dynvision.runs.made_from import (
        RESPONSES,
        SCORECARD,
        identity_of,
        look_identity,
        made_from,
        of_scorecard,
    )
    from dynvision.visualization.save import Drawn, save_figure
    from dynvision.visualization.scorecard import scorecard_caption, scorecard_figure
    from dynvision.visualization.style import Style

    card = score_run(
        {protocol: responses for protocol, (responses, _) in tables.items()},
        settings.areas_of(finished.config.model.name),
        performance={protocol: guesses for protocol, (_, guesses) in tables.items()},
        natural_images=dataset_facts(finished.config.data.name).natural,
    )
    paths = ResultPaths(arguments.results)
    folder = paths.scorecard(finished.config.run_id)
    style = Style(look_from(arguments))
    look = look_identity(style.config, settings)
    text = scorecard_text(card)
    responses = {
        name: identity_of(paths.experiment(name, finished.config.run_id) / RESPONSES)
        for name in settings.experiments.values()
    }
    with made_from(folder / SCORECARD, of_scorecard(settings, responses, look)):
        write_table(card, folder / "scorecard.parquet")
        write_text(folder / "scorecard.txt", text)
        with style.context():
            figure = scorecard_figure(card, style)
        drawn = Drawn("scorecard", figure, card, scorecard_caption(card))
        save_figure(drawn, folder, style)  # also writes the CSV
    print(text, end="", flush=True)
    return card


def _write_seeds(cards: Mapping[str, pd.DataFrame], configs: Sequence[RunConfig], results: Path) -> None:
    """Runs that differ in their seed only, averaged, if there are some."""
    from dynvision.analysis import group_runs, write_table
    from dynvision.analysis.scorecard import seed_scorecard, seeds_text

    averaged = seed_scorecard(cards, group_runs(configs))
    if len(averaged):
        write_table(averaged, results / "scorecard" / "seeds.parquet")
        print("\n" + seeds_text(averaged), end="", flush=True)
