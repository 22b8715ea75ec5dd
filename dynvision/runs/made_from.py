"""What a result was made from, beside the result. Where that is the same, by hash and never by time, it is not made again.

    data/{data}/converted.json               the configuration of the images; and what they are, and from which folder
    runs/{run}/trained.json                  the run, its images, the weights it began with; and the hash of its weights
    runs/{run}/weights.json                  the weights that were described
    experiments/{e}/{run}/responses.json     what was shown, the weights, the images
    experiments/{e}/{run}/metrics.json       the responses, the measures and their code
    comparisons/{c}/{run}/comparison.json    the responses, the recording, what is compared and the code
    dynamics/{run}/dynamics.json, scorecard/{run}/scorecard.json, figures/{e}/figures.json, report.json

A record is removed before its result is touched and written when the result is whole: a result without one is not finished.
A result's identity is the hash of its record. Results can be copied, and Snakemake's notes removed: nothing is repeated.

Whether a folder of images is as it was when it was converted is cheap enough to be asked at every planning. Compared are
the names of the image files, and up to `MANY` files their sizes; where these are as they were but a time of change is not,
and the files have up to `READ_BYTES` together, their contents. Times alone change nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from dynvision.config.comparison import BEHAVIOUR, DISTANCES, SCORES, ComparisonConfig
from dynvision.config.data import ImagesConfig
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.identity import hash_of, plugins_of_experiment, source_hash
from dynvision.config.measures import TARGET_TABLES, ScorecardConfig
from dynvision.config.run import RunConfig
from dynvision.config.visualization import FIGURES as DRAWN_BY
from dynvision.config.visualization import VisualizationConfig
from dynvision.files import file_sha256, write_text
from dynvision.trained import WEIGHTS as OF_MODEL

CONVERTED = "converted.json"
TRAINED, WEIGHTS, RESPONSES, METRICS = "trained.json", "weights.json", "responses.json", "metrics.json"
DYNAMICS, SCORECARD, FIGURES, REPORT = "dynamics.json", "scorecard.json", "figures.json", "report.json"
COMPARED = "comparison.json"
OF_RECORDING, TIME_FIGURES = ("scores.parquet", "lags.csv"), ("time_maps", "courses")
OF_BEHAVIOUR = ("measures.csv", "decisions.csv", "speed_accuracy.csv")
OF_TRAINING = (OF_MODEL, "training.csv", "test.json")  # what a training writes beside its record
MOST_READ = 256 * 2**20  # bytes of a folder that are read to know it
# What an experiment measures, and what is drawn of it first, is not shown to a network.
NOT_SHOWN = ("measures", "focus_layer", "like", "group")


@contextlib.contextmanager
def made_from(path: Path, inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Make a result: its record is removed first and written last.

    Args:
        path: of the record.
        inputs: what the result is made from.

    Yields:
        Facts about the result that belong into the record, to be filled in.
    """
    path.unlink(missing_ok=True)
    facts: dict[str, Any] = {}
    yield facts
    write_text(path, json.dumps({"made_from": inputs, **facts}, indent=2) + "\n")


def written(path: str | Path) -> int | None:
    """Return when a file was written, to be compared with another such answer; None where there is none."""
    return Path(path).stat().st_mtime_ns if Path(path).exists() else None


def read_record(path: Path) -> dict[str, Any] | None:
    """Return a record; None where there is none that is whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "made_from" in content else None


def is_made_from(path: Path, inputs: Mapping[str, Any], *results: Path) -> bool:
    """Return whether results are there and their record states that they were made from these inputs."""
    record = read_record(path)
    return record is not None and record["made_from"] == inputs and all(map(Path.exists, results))


def identity_of(path: Path) -> str | None:
    """Return the identity of a result by its record; None where there is none."""
    record = read_record(path)
    return None if record is None else short_hash(record["made_from"])


def short_hash(values: Any) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of canonical JSON."""
    return hash_of(values, n_digits=16)


def file_hash(path: Path) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a file."""
    return file_sha256(path)[:16]


def data_identity(manifest: Mapping[str, Any]) -> str:
    """Return the identity of converted images from their manifest: source, sizes, and what is in which split."""
    splits = {
        name: [manifest[name]["indices"], manifest[name]["labels"]] for name in ("train", "val", "test")
    }
    return short_hash([manifest["config"], manifest["source_sha256"], manifest["class_names"], splits])


def of_images(config: ImagesConfig) -> dict[str, Any]:
    """What a data folder is made from, beside the images themselves."""
    return {"images": short_hash(config.differences())}


def of_training(run: RunConfig, data: str) -> dict[str, Any]:
    """What trained weights are made from.

    Args:
        run: the configuration.
        data: identity of the images.
    """
    path = run.training.init_with_pretrained
    began_with = {"pretrained": _pretrained(path)} if path is not None and Path(path).is_file() else {}
    return {"run": run.run_id, "data": data, **began_with}


@cache
def _pretrained(path: str) -> str:
    """The hash of weights that trainings begin with, which are those of many runs."""
    return file_hash(Path(path))


def of_responses(experiment: ExperimentConfig, data_name: str, weights: str, data: str) -> dict[str, Any]:
    """What responses are made from.

    Args:
        experiment: its measures do not count, and of its group only the classes of the data set.
        data_name: the data set.
        weights: hash of the weights.
        data: identity of the images.
    """
    shown = {name: value for name, value in experiment.differences().items() if name not in NOT_SHOWN}
    classes = experiment.classes(data_name)
    source = _source(plugins_of_experiment(experiment.stimulus.type, experiment.noise.type, ()))
    return {"shown": short_hash([shown, list(classes)]), "weights": weights, "data": data, **source}


def of_metrics(experiment: ExperimentConfig, responses: str) -> dict[str, Any]:
    """What measures are made from; ``responses`` is the identity of the responses."""
    source = _source(plugins_of_experiment("", "", experiment.measures))
    return {
        "responses": responses,
        "measures": list(experiment.measures),
        "code": code_of("analysis"),
        **source,
    }


def of_weights(weights: str) -> dict[str, Any]:
    """What a description of weights is made from."""
    return {"weights": weights}


def of_dynamics(weights: str, data: str, n_images: int = 8) -> dict[str, Any]:
    """What the dynamics of a network are made from: its weights and its first images, by their identities."""
    return {"weights": weights, "data": data, "n_images": n_images}


def look_identity(look: VisualizationConfig, scorecard: ScorecardConfig) -> str:
    """Return the identity of how figures look and of what of cortex stands in them."""
    return short_hash([look.differences(), scorecard.differences(), _targets()])


def _targets() -> list[str]:
    """Return hashes of the tables of targets, those of plugins too; one that is gone is an error where it is read."""
    shipped = (Path(__file__).parents[1] / "analysis" / "targets").glob("*.csv")
    return [file_hash(path) if path.is_file() else "" for path in (*sorted(shipped), *TARGET_TABLES.values())]


def of_figures(
    experiment: ExperimentConfig | None,
    tables: Mapping[str, str | None],
    look: str,
    figures: Sequence[str],
) -> dict[str, Any]:
    """What figures are made from.

    Args:
        experiment: the experiment, if they are of one.
        tables: identities of what is drawn, by run or by what it is.
        look: how figures look, of `look_identity`.
        figures: their names.
    """
    own = {} if experiment is None else {"experiment": short_hash(experiment.differences())}
    drawn = {"tables": short_hash(tables), "look": look, "figures": list(figures)}
    return {**own, **drawn, **_source({DRAWN_BY.outside(name) for name in figures} - {""})}


def of_report(
    metrics: Mapping[str, Mapping[str, str | None]],
    figures: Mapping[str, str | None],
    look: str,
    comparisons: Mapping[str, Mapping[str, str | None]] | None = None,
) -> dict[str, Any]:
    """What a report is made from: identities of measures by experiment and run, of figures by folder, of comparisons."""
    compared = {"comparisons": short_hash(comparisons)} if comparisons else {}
    return {
        "metrics": short_hash(metrics),
        "figures": short_hash(figures),
        "look": look,
        **compared,
    }


def files_of(comparison: ComparisonConfig) -> tuple[str, ...]:
    """Return the names of the files that a comparison writes beside its record: its tables, then its figures."""
    tables = OF_BEHAVIOUR if comparison.method == BEHAVIOUR else OF_RECORDING
    figures = (BEHAVIOUR,) if comparison.method == BEHAVIOUR else TIME_FIGURES
    return (*tables, *(f"{figure}.{suffix}" for figure in figures for suffix in ("png", "svg", "csv")))


def of_comparison(
    comparison: ComparisonConfig, recording: str, responses: str | None, look: str
) -> dict[str, Any]:
    """What a comparison is made from.

    Args:
        comparison: with its pairs written out.
        recording: identity of the file, of `recording_identity`.
        responses: identity of the network's responses.
        look: how its figures look, of `look_identity`; its tables do not depend on it.
    """
    asked = {name: value for name, value in comparison.differences().items() if name != "data"}
    source = _source({DISTANCES.outside(comparison.distance), SCORES.outside(comparison.score)} - {""})
    code = code_of("recordings")
    inputs = {"comparison": short_hash(asked), "recording": recording, "responses": responses}
    return {**inputs, "code": code, **source, "look": look}


def recording_identity(path: Path) -> str:
    """Return the identity of a recording, a file or a folder: its contents; of a large folder, names and sizes."""
    if path.is_file():
        return file_hash(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    is_large = sum(file.stat().st_size for file in files) > MOST_READ
    known = [(str(f.relative_to(path)), f.stat().st_size if is_large else file_hash(f)) for f in files]
    return short_hash(known)


def of_scorecard(settings: ScorecardConfig, responses: Mapping[str, str | None], look: str) -> dict[str, Any]:
    """What a scorecard is made from; ``responses`` are identities by experiment."""
    return {
        "settings": short_hash(settings.differences()),
        "responses": short_hash(responses),
        "code": code_of("analysis/scorecard"),
        "look": look,
    }


def _source(plugins: Iterable[str]) -> dict[str, str]:
    """The hash of the source of plugins, where there are any."""
    source = source_hash("", plugins)
    return {"source": source} if source else {}


@cache
def code_of(room: str) -> str:
    """Return a hash of the code of a room, e.g. of that which measures responses."""
    folder = Path(__file__).parents[1] / room
    return short_hash([(path.name, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))])


MANY = 50_000  # more files are known by their names alone, since a network's file system is slow
READ_BYTES = 256 * 2**20


def describe_folder(root: Path, suffixes: Collection[str]) -> dict[str, Any]:
    """Describe the image files below a folder, hidden ones left out.

    Args:
        root: the folder.
        suffixes: of images, in lower case with the dot.

    Returns:
        ``root`` and ``suffixes``; ``files``, which changes when an image is added, removed, renamed or resized; for up to
        `MANY` files ``times``, a hash of their times of change; and ``contents``, where they are small enough.
    """
    found = sorted(_image_files(root, frozenset(suffixes)))
    described = {"root": str(root), "suffixes": sorted(suffixes), "n_files": len(found)}
    if len(found) > MANY:
        return {**described, "files": short_hash(found)}
    states = [os.stat(root / name) for name in found]
    sizes = [state.st_size for state in states]
    described["files"] = short_hash([found, sizes])
    described["times"] = short_hash([state.st_mtime_ns for state in states])
    if sum(sizes) <= READ_BYTES:
        described["contents"] = _contents(root, found)
    return described


def has_changed(then: Mapping[str, Any] | None) -> bool:
    """Return whether a folder of images is another now.

    One that is no longer there has not changed: what was made from it remains as it is.

    Args:
        then: what `describe_folder` stated; None of images that are not from a folder.
    """
    if then is None or not Path(then["root"]).is_dir():
        return False
    root = Path(then["root"])
    found = sorted(_image_files(root, frozenset(then["suffixes"])))
    if len(found) != then["n_files"] or len(found) > MANY:
        return len(found) != then["n_files"] or short_hash(found) != then["files"]
    states = [os.stat(root / name) for name in found]
    if short_hash([found, [state.st_size for state in states]]) != then["files"]:
        return True
    if "contents" not in then or short_hash([state.st_mtime_ns for state in states]) == then["times"]:
        return False
    return _contents(root, found) != then["contents"]


def _image_files(root: Path, suffixes: frozenset[str]) -> Iterator[str]:
    """Paths below the root, links followed, each folder once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        if real in seen:
            continue
        seen.add(real)
        below = os.path.relpath(place, root)
        for name in names:
            path = os.path.join(place, name)
            if (
                not name.startswith(".")
                and os.path.splitext(name)[1].lower() in suffixes
                and os.path.isfile(path)  # and no pipe, which would be waited for
            ):
                yield name if below == "." else os.path.join(below, name)


def _contents(root: Path, names: Collection[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode(errors="surrogateescape") + b"\0" + (root / name).read_bytes())
    return digest.hexdigest()[:16]
