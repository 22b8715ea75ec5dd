"""A trained run, by any of the ways in which a user names one: the one place where a name becomes files.

    results/runs/RUN         its folder, wherever that lies
    .../model.safetensors    its weights, with the configuration in their header
    hub:OWNER/NAME           a run of the Hugging Face hub, which is pulled
    cortical                 a network that ships trained
    RUN                      its id, or the beginning of it, below the folder of the results

Each command that takes a run takes all of these.

Of a repository of the hub only the configuration and the weights (safetensors) are pulled, and nothing of it is run. A run
whose configuration names code of its own, a plugin or a model as ``module:Class``, is refused: copy its folder, look at the
code, and load the folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynvision.config.identity import PLUGINS
from dynvision.config.run import RunConfig, read_run_config, thaw
from dynvision.config.yaml_text import parse, read_yaml
from dynvision.errors import InputError, check_extra, message_of
from dynvision.files import read_header, what_it_is
from dynvision.runs import ResultPaths
from dynvision.runs.listing import find_run_id
from dynvision.trained import CONFIG, WEIGHTS, shipped_runs

HUB = "hub"
PULLED = (CONFIG, WEIGHTS, "README.md", "test.json")


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


def find_run(given: str | Path, results: str | Path, needs_data: bool = True) -> FinishedRun:
    """Return the run that is meant.

    The data of a network that ships are converted where they are not there yet.

    Args:
        given: what the user wrote, see the top of this file.
        results: folder of the results.
        needs_data: whether its data must be there, too.

    Raises:
        InputError: no run or several runs are meant, or the run has not been trained.
    """
    path = run_path(given, results)
    config, weights = run_at(path)
    finished = FinishedRun(config, weights, ResultPaths(Path(results)).data(config.data_id))
    manifest = finished.data / "manifest.json"
    if needs_data and not manifest.exists() and path in shipped_runs().values():
        from dynvision.data.conversion import convert_dataset

        convert_dataset(config.data.images, finished.data, "memory")
    needed = [(weights, "train"), (manifest, "convert")]
    for file, mend in needed if needs_data else needed[:1]:
        if not file.exists():
            raise InputError(f"run {config.run_id} has no {file}; {mend} it again")
    return finished


def run_path(given: str | Path, results: str | Path) -> Path:
    """Return the folder of a run or its weights, whichever states what it is; a run of the hub is pulled.

    Args:
        given: a run, as of :func:`find_run`; it need not have been trained.
        results: folder of the results.

    Raises:
        InputError: no run or several runs are meant.
    """
    kind, _, name = str(given).partition(":")
    path = pull(name) if kind == HUB and name else Path(given)
    if (path / CONFIG).is_file() or path.suffix == ".safetensors":
        return path
    if (path / WEIGHTS).is_file():  # whose header has the configuration
        return path / WEIGHTS
    shipped = shipped_runs()
    if str(given) in shipped:
        return shipped[str(given)]
    paths = ResultPaths(Path(results))
    known = paths.run_ids()
    is_id = any(run_id.startswith(str(given)) for run_id in known)
    if path.is_dir() and not is_id:
        raise InputError(
            f"folder {path} is no run: it has neither {CONFIG} nor {WEIGHTS}; give the folder of a run"
        )
    if path.is_file() and not is_id:
        raise InputError(
            f"{path} is no run but {what_it_is(path)}; give the folder of a run or its {WEIGHTS}, and import weights of "
            "another program with: dynvision weights import"
        )
    if not known:
        others = f", and {str(given)!r} is none of those that ship ({', '.join(shipped)})" if shipped else ""
        raise InputError(
            f"no run has been trained in {results}{others}; train one, or give the folder with --results"
        )
    return paths.run(find_run_id(str(given), known, shipped))


def run_at(path: Path) -> tuple[RunConfig, Path]:
    """Return the configuration of a run and the place of its weights, from its folder or from the weights alone.

    Raises:
        InputError: a file is missing, damaged or of no run.
    """
    if path.is_dir():
        return read_run_config(path / CONFIG), path / WEIGHTS
    header = read_header(path)
    if "config" not in header:
        raise InputError(
            f"weights {path} are not of a run: there is no configuration in their header; to begin a training with "
            "them, set training.init_with_pretrained"
        )
    return thaw(parse(header["config"], f"the configuration in {path}")), path


def hub_library() -> Any:
    """Return `huggingface_hub`.

    Raises:
        InputError: it is not installed.
    """
    check_extra("share", "the Hugging Face hub", "huggingface_hub")
    import huggingface_hub

    return huggingface_hub


def repository(name: str) -> str:
    """Return the name of a repository.

    Raises:
        InputError: it is not ``user/name``, or no name that the hub allows.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(f"{name!r} is no repository of the hub; write user/name")
    hub_library()
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except ValueError as error:
        raise InputError(f"{name!r} is no repository of the hub: {error}") from None
    return name


def pull(name: str) -> Path:
    """Pull a run, and return its folder in the cache of the hub; what is there already is not pulled again.

    Args:
        name: ``user/name``, or ``user/name@revision`` for a branch, a tag or a commit.

    Raises:
        InputError: there is no such repository, it holds no run, it names code of its own, or the hub does not answer.
    """
    library = hub_library()
    of, _, revision = name.partition("@")
    try:
        folder = Path(
            library.snapshot_download(
                repository(of),
                revision=revision or None,
                allow_patterns=list(PULLED),
                library_name="dynvision",
            )
        )
    except library.errors.RevisionNotFoundError:
        raise InputError(f"hub:{of} has no revision {revision!r}") from None
    except library.errors.RepositoryNotFoundError:
        raise InputError(
            f"there is no hub:{of}, or it is private; check the name, or log in with 'hf auth login'"
        ) from None
    except (library.errors.HfHubHTTPError, library.errors.LocalEntryNotFoundError, OSError) as error:
        raise InputError(f"hub:{of} was not pulled: {message_of(error)[:200]}") from None
    for needed in PULLED[:2]:
        if not (folder / needed).is_file():
            raise InputError(f"hub:{of} holds no run of DynVision: there is no {needed}")
    _check_no_code(of, folder / CONFIG)
    return folder


def _check_no_code(of: str, path: Path) -> None:
    frozen = read_yaml(path)
    model = str((frozen.get("model") or {}).get("name", ""))
    named = [*(frozen.get(PLUGINS) or ()), *([model] if ":" in model else [])]
    if named:
        raise InputError(
            f"hub:{of} needs code of its own ({', '.join(map(str, named))}), which is not run; copy the repository, look "
            "at the code, and load the folder"
        )


@dataclass(frozen=True)
class ShippedRun(FinishedRun):
    """A trained network that ships.

    Attributes:
        name: what commands take.
        test_accuracy: fraction of the test images that it named right when it was trained.
        n_images: how many test images there are.
        command: what trains it again.
    """

    name: str
    test_accuracy: float
    n_images: int
    command: str


def read_shipped(name: str) -> ShippedRun:
    """Return what the files of a network that ships state of it."""
    finished, folder = find_run(name, "results", needs_data=False), shipped_runs()[name]
    test = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    (command,) = re.findall(r"Trained by `(.+?)`;", (folder / "README.md").read_text(encoding="utf-8"))
    return ShippedRun(
        finished.config,
        finished.weights,
        finished.data,
        name,
        test["test_accuracy"],
        test["n_images"],
        command,
    )


def trained_table(shipped: Sequence[ShippedRun]) -> str:
    """Return a table in Markdown of the networks that ship trained."""
    from dynvision.models.footprint import table_row

    head = ("name", "model", "images", "parameters", "test accuracy", "MB", "trained by")
    return "\n".join([table_row(head), "|---|---|---|--:|--:|--:|---|", *map(_trained_row, shipped)])


def _trained_row(shipped: ShippedRun) -> str:
    import torch

    from dynvision.data.manifest import in_header
    from dynvision.models.build import build_model
    from dynvision.models.footprint import table_row

    run = shipped.config
    n_channels, size = run.data.n_channels, run.data.resolution
    images = in_header(read_header(shipped.weights), run.data.images)
    assert images is not None, "every training writes them into the header"
    with torch.device("meta"):
        model = build_model(run, (n_channels, size, size), len(images.class_names))
    cells = (
        f"`{shipped.name}`",
        f"`{run.model.name}`",
        f"{run.data.name}, {n_channels} x {size} px",
        f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        f"{100 * shipped.test_accuracy:.1f} % of {shipped.n_images}",
        f"{shipped.weights.stat().st_size / 1e6:.1f}",
        f"`{shipped.command}`",
    )
    return table_row(cells)
