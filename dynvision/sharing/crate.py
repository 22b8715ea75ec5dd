"""A finished study as an RO-Crate: its files, and which of them was made from which, in ``ro-crate-metadata.json``.

The folder of the results becomes the crate, in place: nothing is copied or moved. It follows the profile Process Run Crate
0.5 (https://w3id.org/ro/wfrun/process): each training and each experiment is an action of DynVision, with the configuration
and the files that it read (`object`) and those that it wrote (`result`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dynvision
from dynvision.errors import InputError, check_extra
from dynvision.files import write_text
from dynvision.runs.listing import list_runs
from dynvision.runs.made_from import CONVERTED, METRICS, OF_TRAINING, RESPONSES, TRAINED, read_record
from dynvision.runs.plan import ResultPaths
from dynvision.trained import CONFIG, WEIGHTS

METADATA = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}


@dataclass(frozen=True)
class About:
    """What the files do not contain.

    Attributes:
        name: of the study.
        license: address or name of the license; empty if it is not known.
        author: who ran it; empty if it is not known.
    """

    name: str
    license: str = ""
    author: str = ""


def write_crate(paths: ResultPaths, about: About) -> Path:
    """Write the metadata of a crate.

    Args:
        paths: the results, with the name of the study whose report and figures belong to it.
        about: name, license and author.

    Returns:
        The file.

    Raises:
        InputError: `rocrate` is not installed, or no run is finished.
    """
    check_extra("share", "an RO-Crate", "rocrate")
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.person import Person
    from rocrate.rocrate import ROCrate

    runs = [row for row in list_runs(paths) if row["status"] == "trained"]
    if not runs:
        raise InputError(f"no run in {paths.root} is trained; a crate is of finished runs")
    crate: Any = ROCrate(version="1.1")  # that of the profile
    crate.name = about.name
    crate.description = f"{len(runs)} networks that were trained and shown experiments with DynVision."
    if about.license:
        crate.license = about.license
    properties = {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    crate.root_dataset.append_to("conformsTo", crate.add(ContextEntity(crate, PROFILE, properties)))
    software = {
        "@type": "SoftwareApplication",
        "name": "DynVision",
        "version": dynvision.__version__,
        "softwareVersion": dynvision.__version__,
        "description": "Recurrent convolutional networks with cortical time constants and delays.",
    }
    crate.add(ContextEntity(crate, "#dynvision", software))
    if about.author:
        person = crate.add(Person(crate, "#author", {"name": about.author}))
        crate.root_dataset.append_to("author", person)
    made = _Files(crate, paths.root)
    for row in runs:
        _add_run(made, paths, row["run_id"])
    for path in (paths.report, paths.of_study / "runs.csv", paths.visualization):
        made.file(path)
    for path in sorted((paths.of_study / "figures").rglob("*.*")):
        made.file(path)
    content = json.dumps(crate.metadata.generate(), indent=2, sort_keys=True, ensure_ascii=False)
    write_text(paths.root / METADATA, content + "\n")
    return paths.root / METADATA


class _Files:
    """Files and actions of a crate, each once; a file that is not there is left out."""

    def __init__(self, crate: Any, root: Path) -> None:
        self.crate, self.root = crate, root
        self.known: dict[Path, Any] = {}

    def file(self, path: Path) -> Any | None:
        if not path.is_file():
            return None
        if path not in self.known:
            name = path.relative_to(self.root).as_posix()
            about = {"name": path.name, "contentSize": str(path.stat().st_size)}
            if path.suffix in FORMATS:
                about["encodingFormat"] = FORMATS[path.suffix]
            self.known[path] = self.crate.add_file(path, name, properties=about)
        return self.known[path]

    def files(self, paths: Iterable[Path]) -> list[Any]:
        return [entity for entity in map(self.file, paths) if entity is not None]

    def action(
        self, name: str, description: str, read: Iterable[Path], wrote: Iterable[Path], end: Any
    ) -> None:
        from rocrate.model.contextentity import ContextEntity

        properties: dict[str, Any] = {
            "@type": "CreateAction",
            "name": description,
            "actionStatus": "http://schema.org/CompletedActionStatus",
            **({"endTime": end} if end else {}),
        }
        action = self.crate.add(ContextEntity(self.crate, f"#{name}", properties))
        action["instrument"] = self.crate.dereference("#dynvision")
        action["object"], action["result"] = self.files(read), self.files(wrote)
        if author := self.crate.dereference("#author"):
            action["agent"] = author
        self.crate.root_dataset.append_to("mentions", action)


def _add_run(made: _Files, paths: ResultPaths, run_id: str) -> None:
    """Add a training, the experiments of its network, its scorecard and its dynamics."""
    folder = paths.run(run_id)
    record = read_record(folder / TRAINED) or {}
    weights = folder / WEIGHTS
    data = [
        path
        for path in (paths.root / "data").glob(f"*/{CONVERTED}")
        if _identity(path) == record["made_from"]["data"]
    ]
    read = [folder / CONFIG, *(path.parent / "manifest.json" for path in data)]
    wrote = [*(folder / name for name in OF_TRAINING), folder / TRAINED, folder / "weights.parquet"]
    made.action(f"train-{run_id}", f"Training of {run_id}", read, wrote, _time(record.get("date")))
    for shown in sorted((paths.root / "experiments").glob(f"*/{run_id}/{RESPONSES}")):
        name, place = shown.parent.parent.name, shown.parent
        tables = [place / f"{table}.parquet" for table in ("responses", "performance", "metrics", "summary")]
        made.action(
            f"experiment-{name}-{run_id}",
            f"Experiment {name} on {run_id}",
            [paths.frozen_experiment(name), weights],
            [*tables, shown, place / METRICS],
            _time(datetime.fromtimestamp(shown.stat().st_mtime)),
        )
    for kind in ("scorecard", "dynamics"):
        for path in sorted((paths.root / kind / run_id).glob("[!.]*.*")):
            made.file(path)


def _identity(path: Path) -> Any:
    return (read_record(path) or {}).get("identity")


def _time(given: str | datetime | None) -> str:
    """Return a time as ISO 8601 with the zone of this machine; empty where there is none."""
    if given is None:
        return ""
    moment = datetime.fromisoformat(given) if isinstance(given, str) else given
    return moment.astimezone().replace(microsecond=0).isoformat()
