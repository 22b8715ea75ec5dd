"""A trained run by its id, with its files below the folder of the results; or a network that ships trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dynvision.config.run import RunConfig, read_run_config
from dynvision.errors import InputError
from dynvision.runs import ResultPaths
from dynvision.runs.listing import find_run_id
from dynvision.trained import WEIGHTS, shipped_runs


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


def find_run(given: str, results: Path, needs_data: bool = True) -> FinishedRun:
    """A run by its id or the beginning of it, or a network that ships trained.

    The data of a network that ships are converted where they are not there yet.

    Args:
        given: the id, its beginning, or the name of a network that ships.
        results: folder of the results.
        needs_data: whether its data must be there, too.

    Raises:
        InputError: no run or several runs begin so, or the run has not been trained.
    """
    paths = ResultPaths(results)
    shipped = shipped_runs()
    if given in shipped:
        config = read_run_config(shipped[given] / "config.yaml")
        data = paths.data(config.data_id)
        if needs_data and not (data / "manifest.json").exists():
            from dynvision.data.conversion import convert_dataset

            convert_dataset(config.data.images, data, "memory")
        return FinishedRun(config, shipped[given] / WEIGHTS, data)
    known = sorted(path.parent.name for path in (results / "runs").glob("*/config.yaml"))
    if not known:
        others = f", and {given!r} is none of those that ship ({', '.join(shipped)})" if shipped else ""
        raise InputError(
            f"no run has been trained in {results}{others}; train one, or give the folder with --results"
        )
    run_id = find_run_id(given, known, shipped)
    folder = paths.run(run_id)
    config = read_run_config(folder / "config.yaml")
    finished = FinishedRun(config, folder / WEIGHTS, paths.data(config.data_id))
    needed = [(finished.weights, "train"), (finished.data / "manifest.json", "convert")]
    for path, mend in needed if needs_data else needed[:1]:
        if not path.exists():
            raise InputError(f"run {run_id} has no {path}; {mend} it again")
    return finished
