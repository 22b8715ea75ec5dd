"""A trained run by its id, with its files below the folder of the results."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.errors import InputError, unknown_name

if TYPE_CHECKING:
    from dynvision.config.run import RunConfig


@dataclass(frozen=True)
class FinishedRun:
    """A run that has been trained.

    Attributes:
        config: its frozen configuration.
        weights: its ``model.safetensors``.
        data: folder of its data set.
    """

    config: RunConfig
    weights: Path
    data: Path


def add_run_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """The runs and where results lie."""
    about = "id of a trained run, as 'dynvision runs' lists it; its beginning is enough if no other begins so"
    parser.add_argument("run", metavar="RUN", nargs="+" if several else None, help=about)
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: results)"
    )


def find_run(given: str, results: Path, needs_data: bool = True) -> FinishedRun:
    """A run by its id or the beginning of it.

    Args:
        given: the id, or its beginning.
        results: folder of the results.
        needs_data: whether its data must be there, too.

    Raises:
        InputError: no run or several runs begin so, or the run has not been trained.
    """
    from dynvision.config.run import read_run_config
    from dynvision.runs import ResultPaths

    paths = ResultPaths(results)
    known = sorted(path.parent.name for path in (results / "runs").glob("*/config.yaml"))
    name = Path(given).name
    found = [name] if name in known else [run_id for run_id in known if run_id.startswith(name)]
    if not known:
        raise InputError(
            f"no run has been trained in {results}; train one, or give the folder with --results"
        )
    if not found:
        raise unknown_name("run", given, known)
    if len(found) > 1:
        raise InputError(f"several runs begin with {given!r}: {', '.join(found)}; give more of the id")
    folder = paths.run(found[0])
    config = read_run_config(folder / "config.yaml")
    finished = FinishedRun(config, folder / "model.safetensors", paths.data(config.data_id))
    needed = [(finished.weights, "train"), (finished.data / "manifest.json", "convert")]
    for path, mend in needed if needs_data else needed[:1]:
        if not path.exists():
            raise InputError(f"run {found[0]} has no {path}; {mend} it again")
    return finished
