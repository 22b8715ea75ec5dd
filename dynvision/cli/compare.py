"""``dynvision compare``: a network's responses in time beside a recording in time."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynvision.cli.look import add_look_argument, style_from
from dynvision.config.comparison import METHODS, ComparisonConfig
from dynvision.config.section import validate
from dynvision.errors import InputError
from dynvision.runs import ResultPaths

if TYPE_CHECKING:
    from dynvision.recordings.compare import Comparison
    from dynvision.visualization.style import Style

# Options that are keys of a comparison, by key.
OPTIONS: dict[str, dict[str, Any]] = {
    "experiment": {"default": "", "help": "experiment whose units are compared (save_responses: unit)"},
    "data": {"metavar": "FILE"},
    "method": {"help": f"{', '.join(METHODS)} (default: rsa)"},
    "distance": {"help": "RSA: correlation, euclidean or crossnobis (default: correlation)"},
    "score": {"help": "RSA: spearman, correlation or cosine (default: spearman)"},
    "layers": {"nargs": "+", "metavar": "LAYER", "help": "layers to compare (default: all)"},
    "areas": {"nargs": "+", "metavar": "AREA", "help": "areas to compare (default: all)"},
    "value": {"type": float, "metavar": "X", "help": "value of the experiment's parameter to compare"},
    "n_units": {"type": int, "metavar": "N", "help": "units of each layer, drawn at random (default: all)"},
    "bin_ms": {"type": float, "metavar": "MS", "help": "average both in bins of time (default: none)"},
    "n_permutations": {"type": int, "metavar": "N", "help": "shuffles of the images (default: 200)"},
    "seed": {"type": int, "help": "of the units, folds and shuffles (default: 0)"},
}
TABLES = ("scores.parquet", "lags.csv")
FORMER = {"n_units": "--units", "n_permutations": "--permutations"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Compare a network's responses with a recording at every pair of times. The network's are the units of an "
        "experiment with save_responses: unit; the recording has the same images. Times are in ms from stimulus onset. "
        "Written: scores.parquet (layer, area, model_ms, brain_ms, score, noise ceiling, significance), lags.csv (by how "
        "much the recording follows each layer), a map of each layer and area, and courses with their ceilings."
    )
    parser.add_argument("run", help="a run's id, or a file units.parquet")
    for name, options in OPTIONS.items():
        about = options.get("help") or str(ComparisonConfig.model_fields[name].description)
        flags = [f"--{name.replace('_', '-')}", *([FORMER[name]] if name in FORMER else [])]
        parser.add_argument(*flags, dest=name, **{**options, "help": about.replace("%", "%%")})
    parser.add_argument(
        "--pairs",
        metavar="scorecard|JSON",
        help="which layer meets which areas: scorecard takes its table, or areas by layer (default: all pairs)",
    )
    parser.add_argument(
        "--config-dir",
        type=Path,
        default=Path("config"),
        help="folder of the YAML files, for --pairs scorecard (default: config)",
    )
    parser.add_argument(
        "--settings", metavar="JSON", help="a block of 'comparisons' instead of these options"
    )
    parser.add_argument("--name", default="", help="of the comparison (default: that of the data)")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of results (default: results)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where to write (default: RESULTS/comparisons/NAME/RUN)"
    )
    add_look_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Read both sides, compare, write tables and figures.

    Raises:
        InputError: a file or a name cannot be used.
    """
    from dynvision.runs.made_from import (
        COMPARED,
        file_hash,
        identity_of,
        look_identity,
        made_from,
        of_comparison,
        read_record,
        recording_identity,
    )

    config = _settings(arguments)
    style = style_from(arguments)
    run_id, units = _units(arguments, config.experiment)
    if not Path(config.data).exists():
        raise InputError(f"there is no recording {config.data}")
    folder = arguments.output or ResultPaths(arguments.results).comparison(
        arguments.name or Path(config.data).stem, run_id
    )
    responses = (
        identity_of(units.with_name("responses.json")) or (units.exists() and file_hash(units)) or None
    )
    look = look_identity(style.config, style.scorecard)
    inputs = of_comparison(config, recording_identity(Path(config.data)), responses, look)
    kept = (read_record(folder / COMPARED) or {}).get("made_from", {})
    if {**kept, "look": look} == inputs and all((folder / name).exists() for name in TABLES):
        found = _read(folder)
        print(f"{run_id}: was compared already; scores are kept, figures are drawn again")
    else:
        found = _compared(units, config)
    with made_from(folder / COMPARED, inputs) as facts:
        facts["comparison"] = config.model_dump(mode="json")
        _write(found, config, folder, style)
    print(found.lags.to_string(index=False, float_format=lambda x: f"{x:.3g}"))
    print(f"tables and figures are in {folder}")


def _units(arguments: argparse.Namespace, experiment: str) -> tuple[str, Path]:
    """The run's id, and the file of its units."""
    if arguments.run.endswith(".parquet"):
        return Path(arguments.run).resolve().parent.name, Path(arguments.run)
    paths = ResultPaths(arguments.results)
    run_id = arguments.run
    if not paths.experiment(experiment, run_id).is_dir() and (arguments.results / "runs").is_dir():
        from dynvision.inference.finished_run import find_run

        run_id = find_run(arguments.run, arguments.results, needs_data=False).config.run_id
    return run_id, paths.experiment(experiment, run_id) / "units.parquet"


def _compared(units: Path, config: ComparisonConfig) -> Comparison:
    from dynvision.recordings import compare, open_responses, read_recording

    brain = read_recording(config.data)
    model = open_responses(units, "", config.layers or None, config.n_units or None, config.seed)
    keys = (
        "method",
        "distance",
        "score",
        "layers",
        "areas",
        "pairs",
        "value",
        "bin_ms",
        "n_permutations",
        "seed",
    )
    return compare(model, brain, **{name: getattr(config, name) for name in keys})


def _read(folder: Path) -> Comparison:
    import pandas as pd

    from dynvision.recordings.compare import Comparison

    return Comparison(pd.read_parquet(folder / TABLES[0]), pd.read_csv(folder / TABLES[1]))


def _settings(arguments: argparse.Namespace) -> ComparisonConfig:
    """The comparison that is asked for, its pairs written out."""
    if arguments.settings is not None:
        values = _json(arguments.settings, "--settings")
    else:
        given = {name: getattr(arguments, name) for name in OPTIONS}
        values = {name: value for name, value in given.items() if value is not None}
        if arguments.pairs is not None:
            is_name = not arguments.pairs.lstrip().startswith("{")
            values["pairs"] = arguments.pairs if is_name else _json(arguments.pairs, "--pairs")
    where = f"comparisons.{arguments.name}" if arguments.name else ""
    config = validate(ComparisonConfig, values, where)
    if config.pairs != "scorecard":
        return config
    from dynvision.config.workflow import load_workflow_config
    from dynvision.inference.finished_run import find_run

    model = find_run(arguments.run, arguments.results, needs_data=False).config.model.name
    return config.committed(model, load_workflow_config(arguments.config_dir).scorecard)


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{option} is not valid JSON: {error}") from None


def _write(found: Comparison, config: ComparisonConfig, folder: Path, style: Style) -> None:
    from dynvision.analysis import write_table
    from dynvision.files import write_text
    from dynvision.visualization.save import Drawn, save_figure
    from dynvision.visualization.time_maps import (
        courses_caption,
        courses_figure,
        time_maps_caption,
        time_maps_figure,
    )

    write_table(found.scores, folder / TABLES[0])
    write_text(folder / TABLES[1], found.lags.to_csv(index=False))
    lags = found.lags[["layer", "area", "lag_ms"]]
    maps = found.scores.merge(lags, on=["layer", "area"], sort=False).assign(method=config.method)
    courses = found.courses().assign(method=config.method)
    for name, table, draw, describe in (
        ("time_maps", maps, time_maps_figure, time_maps_caption),
        ("courses", courses, courses_figure, courses_caption),
    ):
        with style.context():
            figure = draw(table, style)
        save_figure(Drawn(name, figure, table, describe(table)), folder, style)
