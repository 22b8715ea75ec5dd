"""``dynvision compare``: a network's responses beside a recording in time, or its decisions beside those of observers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from dynvision.cli.arguments import (
    add_config_dir_argument,
    add_look_argument,
    add_results_argument,
    read_json,
    style_from,
)
from dynvision.config.comparison import BEHAVIOUR, ComparisonConfig
from dynvision.config.section import names_allowed, validate
from dynvision.errors import InputError
from dynvision.runs import ResultPaths
from dynvision.text import cells, print_table

if TYPE_CHECKING:
    import pandas as pd

    from dynvision.inference.finished_run import FinishedRun
    from dynvision.visualization.style import Style

METAVARS = {"data": "FILE", "layers": "LAYER", "areas": "AREA", "pairs": "all|scorecard|JSON"}
COMPARED_BY = (
    "method", "distance", "score", "layers", "areas", "pairs", "value", "bin_ms", "n_permutations", "seed",
)  # fmt: skip


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Compare a network's responses with a recording at every pair of times, or its decisions with those of observers "
        "(--method behaviour, a CSV with image, response, rt_ms, observer). The responses are the units of an experiment "
        "with save_responses: unit; the recording has the same images. Times are in ms from stimulus onset. "
        "Written: scores.parquet (layer, area, model_ms, brain_ms, score, noise ceiling, significance), lags.csv (by how "
        "much the recording follows each layer), a map of each layer and area, and courses with their ceilings."
    )
    parser.add_argument(
        "run", help="a run, by any name of it, or a file units.parquet (of behaviour: performance.parquet)"
    )
    for name, field in ComparisonConfig.model_fields.items():
        default = f" (default: {field.default})" if field.default not in (PydanticUndefined, None, ()) else ""
        several: dict[str, Any] = {"nargs": "+"} if name in ("layers", "areas") else {}
        about = f"{field.description}{default}".replace("%", "%%")
        metavar = METAVARS.get(name) or "|".join(names_allowed(field)) or None
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=about, **several)
    add_config_dir_argument(parser, "the table of --pairs scorecard")
    parser.add_argument(
        "--settings", metavar="JSON", help="a block of 'comparisons' instead of these options"
    )
    parser.add_argument("--name", default="", help="of the comparison (default: that of the data)")
    add_results_argument(parser)
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where to write (default: RESULTS/comparisons/NAME/RUN)"
    )
    add_look_argument(parser)


def run_compare(arguments: argparse.Namespace) -> None:
    """Read both sides, compare, write tables and figures.

    Raises:
        InputError: a file or a name cannot be used.
    """
    from dynvision.runs.made_from import (
        COMPARED,
        file_hash,
        files_of,
        identity_of,
        look_identity,
        made_from,
        of_comparison,
        read_record,
        recording_identity,
    )

    config = _settings(arguments)
    style = style_from(arguments)
    table = "performance.parquet" if config.method == BEHAVIOUR else "units.parquet"
    run_id, path = _table(arguments, config.experiment, table)
    if not Path(config.data).exists():
        raise InputError(f"there is no recording {config.data}")
    folder = arguments.output or ResultPaths(arguments.results).comparison(
        arguments.name or Path(config.data).stem, run_id
    )
    responses = identity_of(path.with_name("responses.json")) or (file_hash(path) if path.exists() else None)
    look = look_identity(style.config, style.scorecard)
    inputs = of_comparison(config, recording_identity(Path(config.data)), responses, look)
    kept = (read_record(folder / COMPARED) or {}).get("made_from", {})
    tables = [folder / name for name in files_of(config) if not name.endswith((".png", ".svg"))]
    again = {**kept, "look": look} != inputs or not all(map(Path.exists, tables))
    if not again:
        print(f"{run_id}: was compared already; scores are kept, figures are drawn again")
    make = _behaviour if config.method == BEHAVIOUR else _responses
    # What fails before the result is whole leaves what was there.
    written = make(config, path, folder if not again else None, arguments)
    with made_from(folder / COMPARED, inputs) as facts:
        facts["comparison"] = config.model_dump(mode="json")
        _write(written, folder, style)
    print_table(
        [written.summary.columns.tolist(), *map(cells, written.summary.to_numpy(dtype=object).tolist())]
    )
    print(f"tables and figures are in {folder}")


@dataclass(frozen=True)
class _Found:
    """Tables by file name, figures by name (table, caption, what draws it), and the table that is printed."""

    tables: dict[str, pd.DataFrame]
    figures: dict[str, tuple[pd.DataFrame, str, Callable[..., Any]]]
    summary: pd.DataFrame


def _table(arguments: argparse.Namespace, experiment: str, name: str) -> tuple[str, Path]:
    """The run's id, and the file of its units or guesses."""
    if arguments.run.endswith(".parquet"):
        return Path(arguments.run).resolve().parent.name, Path(arguments.run)
    paths = ResultPaths(arguments.results)
    run_id = arguments.run
    is_id = Path(run_id).name == run_id and paths.experiment(experiment, run_id).is_dir()
    if not is_id and (arguments.results / "runs").is_dir():
        run_id = _run(arguments).config.run_id
    return run_id, paths.experiment(experiment, run_id) / name


def _run(arguments: argparse.Namespace) -> FinishedRun:
    from dynvision.inference.finished_run import find_run

    return find_run(arguments.run, arguments.results, needs_data=False)


def _image_names(config: ComparisonConfig, arguments: argparse.Namespace) -> Callable[[int], str] | None:
    """What names an image by its index; None where the index itself does."""
    if config.images == "index":
        return None
    from dynvision.data.sources import open_source

    images = _run(arguments).config.data.images
    source = open_source(images)
    if source.root is None:
        raise InputError(
            f"images={config.images}: the images of {images.name} are not files; use images: index"
        )
    shorten: dict[str, Callable[[str], str]] = {
        "path": str,
        "name": lambda path: Path(path).name,
        "stem": lambda path: Path(path).stem,
    }
    return lambda index: shorten[config.images](source.image_name(int(index)))


def _named_classes(made: pd.DataFrame, trials: pd.DataFrame, arguments: argparse.Namespace) -> pd.DataFrame:
    """Decisions with the names of classes, where observers gave names and not indices."""
    if trials["response"].str.fullmatch(r"-?\d+").all():
        return made
    from dynvision.data.manifest import read_manifest

    names = dict(enumerate(read_manifest(_run(arguments).data).class_names))
    return made.assign(
        label=made["label"].map(names), response=made["response"].map(names).fillna("no guess")
    )


def _responses(
    config: ComparisonConfig, path: Path, kept: Path | None, arguments: argparse.Namespace
) -> _Found:
    """A network's units beside a recording; the tables in ``kept`` are read instead where it is given."""
    import pandas as pd

    from dynvision.recordings import compare, open_responses, read_recording
    from dynvision.recordings.compare import RecordingComparison
    from dynvision.runs.made_from import OF_RECORDING
    from dynvision.visualization.recordings import (
        courses_caption,
        courses_figure,
        time_maps_caption,
        time_maps_figure,
    )

    scores, lags = OF_RECORDING
    if kept is not None:
        found = RecordingComparison(pd.read_parquet(kept / scores), pd.read_csv(kept / lags))
    else:
        brain = read_recording(config.data)
        model = open_responses(path, "", config.layers or None, config.n_units or None, config.seed)
        names = _image_names(config, arguments)
        if names is not None:
            model = model.assign_coords(image=("presentation", [names(i) for i in model["image"].values]))
        found = compare(model, brain, **{name: getattr(config, name) for name in COMPARED_BY})
    maps = found.scores.merge(found.lags[["layer", "area", "lag_ms"]], on=["layer", "area"], sort=False)
    maps, courses = (table.assign(method=config.method) for table in (maps, found.courses()))
    figures = {
        "time_maps": (maps, time_maps_caption(maps), time_maps_figure),
        "courses": (courses, courses_caption(courses), courses_figure),
    }
    return _Found({scores: found.scores, lags: found.lags}, figures, found.lags)


def _behaviour(
    config: ComparisonConfig, path: Path, kept: Path | None, arguments: argparse.Namespace
) -> _Found:
    """A network's decisions beside trials of observers, likewise."""
    import pandas as pd

    from dynvision.recordings.behaviour import (
        compare_behaviour,
        join_decisions,
        network_decisions,
        read_trials,
        speed_accuracy,
    )
    from dynvision.runs.made_from import OF_BEHAVIOUR
    from dynvision.visualization.recordings import behaviour_caption, behaviour_figure

    if kept is not None:
        measures, decisions, curves = (pd.read_csv(kept / name) for name in OF_BEHAVIOUR)
    else:
        if not path.exists():
            raise InputError(f"there are no decisions in {path}; run the experiment, and name it here")
        made = network_decisions(pd.read_parquet(path), config.decision, config.bound)
        names = _image_names(config, arguments)
        if names is not None:
            made = made.assign(image=[names(int(i)) for i in made["image"]])
        trials = read_trials(config.data)
        made = _named_classes(made, trials, arguments)
        measures = compare_behaviour(made, trials, config.value, seed=config.seed)
        network, human = join_decisions(made, trials, config.value)
        by_image = human.groupby(["image", "condition"], as_index=False).agg(
            observers_correct=("correct", "mean"),
            observers_rt_ms=("rt_ms", "mean"),
            n_trials=("correct", "size"),
        )
        decisions = network.merge(by_image, on=["image", "condition"])
        curves = pd.concat(
            [speed_accuracy(side).assign(of=of) for of, side in (("network", network), ("observers", human))]
        )
    drawn = pd.concat([measures.assign(panel="measures"), curves.assign(panel="speed_accuracy")])
    figures = {BEHAVIOUR: (drawn, behaviour_caption(drawn), behaviour_figure)}
    return _Found(dict(zip(OF_BEHAVIOUR, (measures, decisions, curves), strict=True)), figures, measures)


def _settings(arguments: argparse.Namespace) -> ComparisonConfig:
    """The comparison that is asked for, its pairs written out."""
    if arguments.settings is not None:
        values = read_json(arguments.settings, "--settings")
    else:
        given = {name: getattr(arguments, name) for name in ComparisonConfig.model_fields}
        values = {"experiment": ""} | {name: value for name, value in given.items() if value is not None}
        if values.get("pairs", "").lstrip().startswith("{"):
            values["pairs"] = read_json(arguments.pairs, "--pairs")
    where = f"comparisons.{arguments.name}" if arguments.name else ""
    config = validate(ComparisonConfig, values, where)
    if config.pairs != "scorecard":
        return config
    from dynvision.config.workflow import load_workflow_config

    model = _run(arguments).config.model.name
    return config.committed(model, load_workflow_config(arguments.config_dir).scorecard)


def _write(found: _Found, folder: Path, style: Style) -> None:
    from dynvision.analysis import write_table
    from dynvision.files import write_text
    from dynvision.visualization.save import Drawn, save_figure

    for name, table in found.tables.items():
        if name.endswith(".parquet"):
            write_table(table, folder / name)
        else:
            write_text(folder / name, table.to_csv(index=False))
    for name, (table, caption, draw) in found.figures.items():
        with style.context():
            figure = draw(table, style)
        save_figure(Drawn(name, figure, table, caption), folder, style)
