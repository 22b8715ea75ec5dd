"""From results to one HTML file that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dynvision.analysis import read_experiment
from dynvision.config.comparison import BEHAVIOUR
from dynvision.config.run import read_run_config
from dynvision.config.visualization import DYNAMICS_FIGURES, RUN_FIGURES, SWEEP_FIGURES, VisualizationConfig
from dynvision.files import write_text
from dynvision.report import prose
from dynvision.report.content import (
    Chapter,
    Listing,
    Report,
    Table,
    figure_plate,
    figure_plates,
)
from dynvision.report.results import (
    Compared,
    Measured,
    Results,
    code_state,
    read_results,
    report_date,
    run_time_tables,
    software_versions,
)
from dynvision.report.tables import (
    behaviour_table,
    condition_table,
    lag_table,
    measure_tables,
    pair_table,
    parameter_table,
    run_table,
    summary_table,
)
from dynvision.runs.made_from import TIME_FIGURES
from dynvision.trained import CONFIG, CORTICAL, SHIPPED_FIGURES, shipped_runs
from dynvision.visualization.names import MOST_TOGETHER, swept_label

MOST_LISTINGS = 8  # of runs; more are one listing
TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    root: str | Path,
    experiments: Sequence[str],
    run_ids: Sequence[str],
    output: str | Path,
    look: VisualizationConfig | None = None,
    study: str = "",
    comparisons: Sequence[str] = (),
) -> None:
    """Write the report of experiments on runs.

    Args:
        root: the results folder.
        experiments: names of the experiments.
        run_ids: the runs.
        output: the HTML file, written whole or not at all.
        look: names and order; None takes the defaults.
        study: the study whose figures are shown, if it has a name.
        comparisons: names of comparisons with recordings.

    Raises:
        InputError: a configuration, a table or a figure is missing or broken.
    """
    write_text(output, render(compose(read_results(root, experiments, run_ids, look, study, comparisons))))


def compose(results: Results) -> Report:
    """The report's chapters."""
    chapters: list[Chapter | None] = [_overview(results)]
    chapters += [_experiment(results, measured, n) for n, measured in enumerate(results.experiments, start=1)]
    chapters += [_beside(results, measured, n) for n, measured in enumerate(results.experiments, start=1)]
    chapters += [_comparison(results, compared, n) for n, compared in enumerate(results.compared, start=1)]
    chapters += [_scorecard(results), _training(results), _dynamics(results)]
    chapters += [_configuration(results), _provenance(results)]
    return Report(
        prose.title(results),
        prose.subtitle(results),
        report_date(),
        tuple(chapter for chapter in chapters if chapter is not None),
    )


def render(report: Report) -> str:
    """The report as HTML. Names come from users, so everything is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(report=report)


def _overview(results: Results) -> Chapter:
    tables = [run_table(results), parameter_table(results)]
    return Chapter(
        "overview",
        "What was run",
        tuple(prose.what_was_run(results)),
        tables=tuple(table for table in tables if table is not None),
    )


def _experiment(results: Results, measured: Measured, n: int) -> Chapter:
    name, config = measured.experiment.name, measured.experiment.config
    averaged = results.comparison.average(measured.metrics, ["parameter", "value", "layer", "measure"])
    labels = results.comparison.labels
    tables = measure_tables(averaged, labels, swept_label(config, results.names), results.names)
    if len(labels) > 1:
        tables.insert(0, condition_table(averaged, labels, measured.experiment, results.names))
    if measured.summary is not None and len(measured.summary):
        together = results.comparison.average(measured.summary, ["parameter", "layer", "measure"])
        tables.append(summary_table(together, labels, results.names))
    of_sweep = list(SWEEP_FIGURES) if len(labels) > 1 else []
    figures = of_sweep + list(results.names.config.figures_of(name))
    return Chapter(
        f"experiment-{n}",
        f"Experiment: {results.names.name(name)}",
        (prose.protocol(measured, results.names),),
        tuple(prose.findings(averaged, measured.experiment, _described(results), results.names)),
        tuple(figure_plates(results.paths.figures(name), results.paths.root, f"experiment-{n}", figures)),
        tuple(tables),
    )


def _beside(results: Results, measured: Measured, n: int) -> Chapter | None:
    """The same experiment on the network that ships and answers as cortex does, where it has been shown just this one."""
    name, folder = measured.experiment.name, shipped_runs()[CORTICAL]
    shown = folder / "experiments" / name
    if not (shown / CONFIG).exists() or read_experiment(shown / CONFIG).config != measured.experiment.config:
        return None
    network = read_run_config(folder / CONFIG)
    if network.run_id in {run.config.run_id for run in results.runs}:
        return None
    root = results.paths.root
    return Chapter(
        f"cortical-{n}",
        f"Experiment {results.names.name(name)} in a network that answers as cortex does",
        (
            f"The network {CORTICAL}, a {network.model.name} whose weights ship with the package, was shown the same "
            f"experiment with test images of {network.data.name}. Its areas are slow, delayed and normalized (mode "
            f"{CORTICAL}), and classes are all that it was trained on; below is what it does beside cortex.",
        ),
        plates=(
            *figure_plates(shown, root, f"cortical-{n}", SHIPPED_FIGURES),
            figure_plate(folder, root, f"cortical-{n}-scorecard", "scorecard"),
        ),
    )


def _comparison(results: Results, compared: Compared, n: int) -> Chapter:
    """The runs beside a recording or observers: a table of all, figures of the first run of each described condition."""
    is_behaviour = compared.config.method == BEHAVIOUR
    described = set(_described(results)) or set(results.comparison.labels[:1])
    conditions = zip(results.comparison.labels, results.comparison.conditions, strict=True)
    plates = [
        plate
        for label, condition in conditions
        if label in described
        for plate in figure_plates(
            compared.folders[condition.run_ids[0]],
            results.paths.root,
            f"comparison-{n}-{condition.run_ids[0]}",
            (BEHAVIOUR,) if is_behaviour else TIME_FIGURES,
        )
    ]
    return Chapter(
        f"comparison-{n}",
        f"Beside {'observers' if is_behaviour else 'a recording'}: {results.names.name(compared.name)}",
        (prose.comparison(compared, results.names),),
        plates=tuple(plates),
        tables=((behaviour_table if is_behaviour else lag_table)(results, compared),),
    )


def _described(results: Results) -> tuple[str, ...]:
    """The conditions that are described in sentences: all of a few, the base of many, or none."""
    labels, base = results.comparison.labels, results.comparison.base
    if len(labels) <= MOST_TOGETHER:
        return labels
    return () if base is None else (labels[base],)


def _scorecard(results: Results) -> Chapter | None:
    """The runs beside cortex, where their scorecards were made; of a large sweep, those of the base alone."""
    described = set(_described(results))
    conditions = zip(results.comparison.labels, results.comparison.conditions, strict=True)
    run_ids = [
        run_id for label, condition in conditions if label in described for run_id in condition.run_ids
    ]
    folders = {run_id: results.paths.scorecard(run_id) for run_id in run_ids}
    plates = [
        figure_plate(folder, results.paths.root, f"scorecard-{run_id}", "scorecard")
        for run_id, folder in folders.items()
        if (folder / "scorecard.svg").exists()
    ]
    return Chapter("scorecard", "Beside cortex", plates=tuple(plates)) if plates else None


def _training(results: Results) -> Chapter | None:
    return _of_runs(results, "training", "Training and weights", RUN_FIGURES)


def _dynamics(results: Results) -> Chapter | None:
    """Spectra and time constants, where those of all runs were computed and drawn."""
    folders = [results.paths.dynamics(run.config.run_id) for run in results.runs]
    if not all((folder / "timescales.parquet").exists() for folder in folders):
        return None
    return _of_runs(results, "dynamics", "Dynamics of the networks", DYNAMICS_FIGURES)


def _of_runs(results: Results, name: str, title: str, figures: Iterable[str]) -> Chapter | None:
    """A chapter of the figures of runs, those of them that were drawn."""
    folder = results.paths.figures(name)
    drawn = [figure for figure in figures if (folder / f"{figure}.svg").exists()]
    plates = figure_plates(folder, results.paths.root, "figure", drawn)
    return Chapter(name, title, plates=tuple(plates)) if plates else None


def _configuration(results: Results) -> Chapter:
    paths = results.paths
    files = {f"Run {run.config.run_id}": paths.run(run.config.run_id) / CONFIG for run in results.runs}
    texts = {title: path.read_text(encoding="utf-8") for title, path in files.items()}
    if len(texts) > MOST_LISTINGS:
        texts = {f"All {len(texts)} runs": "".join(f"# {title}\n{text}\n" for title, text in texts.items())}
    for measured in results.experiments:
        name = measured.experiment.name
        texts[f"Experiment {name}"] = paths.frozen_experiment(name).read_text(encoding="utf-8")
    return Chapter(
        "configuration",
        "Configuration",
        ("Everything that determines the results. Durations and time constants are in ms.",),
        listings=tuple(Listing(title, text) for title, text in texts.items()),
    )


def _provenance(results: Results) -> Chapter:
    reported = {run.config.run_id for run in results.runs}
    others = {path.name for path in (results.paths.root / "runs").iterdir()} - reported
    tables: list[Table | None] = [
        *run_time_tables(results.paths.root, others),
        pair_table("Software where this report was made.", software_versions(), ("software", "version")),
        _data_table(results),
    ]
    return Chapter(
        "provenance",
        "Provenance",
        (f"Made with DynVision, {code_state()}.",),
        tables=tuple(table for table in tables if table is not None),
    )


def _data_table(results: Results) -> Table | None:
    hashes = {
        run.config.data_id: str(run.manifest["source_sha256"])
        for run in results.runs
        if run.manifest and "source_sha256" in run.manifest
    }
    return pair_table("SHA-256 of the sources of the data.", hashes, ("data", "sha256")) if hashes else None
