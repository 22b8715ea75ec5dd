"""A trained run as one folder for a colleague, its model card, and how it gets to the Hugging Face hub.

    model.safetensors, config.yaml    the network; ``dynvision.load(FOLDER)`` answers images with it
    config.json                       what it is in a few words, for programs that look for this name
    README.md                         the model card: data, accuracy, scorecard, how to use and cite it
    test.json, scorecard.csv          what is known of it, where it is
    trial.*, step.*, about.json       programs for ``torch.export`` and ONNX, which need no DynVision

The folder is read back and answers as the run does before its card is written: a folder without a card is not finished.
:mod:`dynvision.inference.finished_run` pulls what :func:`push` has pushed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import dynvision
from dynvision.config.yaml_text import to_yaml
from dynvision.errors import InputError, message_of
from dynvision.files import atomic_path, write_text
from dynvision.inference.config import InferenceConfig
from dynvision.inference.export import PARTS, SUFFIXES, Exported, export_run
from dynvision.inference.finished_run import hub_library, repository
from dynvision.inference.predictor import Predictor, load_run
from dynvision.text import first_few
from dynvision.trained import CONFIG, WEIGHTS

CARD = "README.md"
EXTRA = ("config.json", "test.json", "scorecard.csv")
TITLE = "DynVision: recurrent convolutional networks with cortical time constants and delays"


@dataclass(frozen=True)
class Shared:
    """A folder that was written.

    Attributes:
        folder: the folder.
        programs: programs that give the network's outputs.
        left_out: why others are not there, each reason once.
    """

    folder: Path
    programs: tuple[Exported, ...]
    left_out: tuple[str, ...]


def is_finished(folder: Path) -> bool:
    """Return whether a folder was written to its end by :func:`export_folder`."""
    return all((folder / name).is_file() for name in (CARD, CONFIG, WEIGHTS, "config.json"))


def refuse_other_files(folder: Path, own: Sequence[str]) -> None:
    """Check that a folder that is going to be written holds nothing else.

    Args:
        folder: that may exist.
        own: names or patterns of what is written there; hidden files are let be.

    Raises:
        InputError: it holds something else, or is a file.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file; give a folder with --output")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    other = [
        name for name in there if not name.startswith(".") and not any(fnmatch(name, like) for like in own)
    ]
    if other:
        raise InputError(
            f"{folder} holds other files ({first_few(other)}); give a new or an empty folder with --output"
        )


def export_folder(
    predictor: Predictor,
    weights: Path,
    folder: Path,
    scorecard: Path | None = None,
    license: str = "",
    forms: Sequence[str] = tuple(SUFFIXES),
) -> Shared:
    """Write the folder of a run.

    Args:
        predictor: the run, loaded on the CPU.
        weights: its ``model.safetensors``; ``test.json`` is taken from beside it.
        folder: receives everything; files of an earlier export are replaced.
        scorecard: its ``scorecard.csv``, where there is one.
        license: of the weights, e.g. ``mit``; empty states nothing of it.
        forms: kinds of programs.

    Raises:
        InputError: the folder is that of the run itself or holds something else, or it does not answer as the run does.
    """
    if folder.absolute() == weights.parent.absolute():
        raise InputError(f"{folder} is the folder of the run; choose another one with --output")
    refuse_other_files(folder, (CARD, WEIGHTS, CONFIG, *EXTRA, *(f"{part}.*" for part in PARTS)))
    if (folder / CARD).exists() and not is_finished(folder):
        raise InputError(
            f"{folder} has a {CARD} that is of no exported run; choose another folder with --output"
        )
    (folder / CARD).unlink(missing_ok=True)
    _copy(weights, folder / WEIGHTS)
    write_text(folder / CONFIG, to_yaml(predictor.run))
    tested = _test_of(weights)
    write_text(folder / "config.json", json.dumps(_in_short(predictor), indent=2, ensure_ascii=False) + "\n")
    if tested:
        _copy(weights.parent / "test.json", folder / "test.json")
    if scorecard is not None:
        _copy(scorecard, folder / "scorecard.csv")
    programs, left_out = [], []
    for form in forms:
        for part in PARTS:
            try:
                programs.append(export_run(predictor, folder, form, part))
            except InputError as error:
                left_out.append(str(error))
    _check_answers(predictor, folder)
    card = model_card(predictor, tested, scorecard, programs, license, folder.name)
    write_text(folder / CARD, card)
    return Shared(folder, tuple(programs), tuple(dict.fromkeys(left_out)))


def model_card(
    predictor: Predictor,
    tested: dict[str, Any],
    scorecard: Path | None,
    programs: Sequence[Exported],
    license: str,
    name: str,
) -> str:
    """Return the model card: Markdown with a head in YAML, as the Hugging Face hub reads it.

    Args:
        predictor: the run.
        tested: its ``test.json``; empty if it was not tested.
        scorecard: its ``scorecard.csv``, if there is one.
        programs: those in the folder.
        license: of the weights; may be empty.
        name: of the folder, as a user will write it.
    """
    run, images = predictor.run, predictor._loaded_images()
    dataset = images.source.removeprefix("folder:").rstrip("/").rpartition("/")[2] or images.source
    head: dict[str, Any] = {
        **({"license": license} if license else {}),
        "library_name": "dynvision",
        "pipeline_tag": "image-classification",
        "tags": ["dynvision", "recurrent", "neuroscience", run.model.name],
        "datasets": [dataset],
    }
    if tested:
        metric = {"type": "accuracy", "name": "test accuracy", "value": tested["test_accuracy"]}
        task = {"type": "image-classification"}
        of = {"type": dataset, "name": dataset, "split": "test"}
        head["model-index"] = [
            {"name": run.run_id, "results": [{"task": task, "dataset": of, "metrics": [metric]}]}
        ]
    channels, height, width = images.input_shape
    of_channels = f"{channels} channel{'' if channels == 1 else 's'}"
    lines = [
        "---",
        to_yaml(head).rstrip(),
        "---",
        f"# {run.run_id}",
        "",
        f"{run.model.name}, a recurrent convolutional network in time, with steps of {predictor.model.network.dt:g} ms, "
        f"trained on {dataset} with seed {run.seed}. All settings are in `{CONFIG}`.",
        "",
        "## Data",
        "",
        f"{images.n_classes} classes, {width} x {height} px, {of_channels}: {first_few(images.class_names, 20)}.",
        "",
        "## Accuracy",
        "",
        _accuracy(tested),
        *([f"\n{scorecard_sentence(scorecard)} The whole table is `scorecard.csv`."] if scorecard else []),
        "",
        "## Use",
        "",
        "```python",
        "import dynvision",
        "",
        f'network = dynvision.load("{name}")  # the path of this folder',
        'answer = network.predict("image.png")',
        "print(answer.class_name, answer.decision_ms)",
        "```",
        "",
        *_programs(programs),
        "It knows the images that it was trained on, and its answers to others are not reliable.",
        "",
        "## Cite",
        "",
        f"The DynVision developers. *{TITLE}*. Version {dynvision.__version__}. Run {run.run_id}.",
    ]
    return "\n".join(lines) + "\n"


def scorecard_sentence(path: Path) -> str:
    """Return a sentence about the signs and times in a scorecard."""
    card = pd.read_csv(path)
    signs = card[card["kind"] == "sign"]
    times = card.loc[card["unit"] == "ms", "distance"].dropna()
    text = f"Scorecard: {(signs['verdict'] == 'yes').sum()} of {len(signs)} sign tests as in cortex"
    if len(times):
        text += f"; times differ by {times.median():.2f} octaves in the median ({len(times)} times)"
    return text + "."


def _accuracy(tested: dict[str, Any]) -> str:
    if not tested:
        return "It was not tested."
    return f"{100 * tested['test_accuracy']:.1f} % of {tested['n_images']} test images."


def _programs(programs: Sequence[Exported]) -> list[str]:
    if not programs:
        return []
    names = ", ".join(f"`{made.path.name}`" for made in programs)
    state = " A step takes and returns the state, which begins as `start.safetensors`."
    return [
        f"Without DynVision: {names}, for torch.export (`.pt2`) and ONNX, take normalised images; `about.json` states how "
        "to normalise, when outputs come and what the classes are called."
        + (state if any(made.part == "step" for made in programs) else ""),
        "",
    ]


def _in_short(predictor: Predictor) -> dict[str, Any]:
    images = predictor._loaded_images()
    return {
        "library_name": "dynvision",
        "dynvision": dynvision.__version__,
        "model_type": predictor.run.model.name,
        "run_id": predictor.run.run_id,
        "input_shape": list(images.input_shape),
        "class_names": list(images.class_names),
    }


def _test_of(weights: Path) -> dict[str, Any]:
    path = weights.parent / "test.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _check_answers(predictor: Predictor, folder: Path) -> None:
    """Read the folder back, and compare its answer to an image with that of the run."""
    again = load_run(folder, InferenceConfig(device={"device_type": "cpu"}))
    channels, height, width = predictor._loaded_images().input_shape
    shape = (height, width) if channels == 1 else (height, width, channels)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    one, other = (np.asarray(network.predict(image).probabilities) for network in (predictor, again))
    if one.shape != other.shape or not np.array_equal(one, other):
        raise InputError(f"{folder} does not answer as {predictor.run.run_id} does; its card is not written")


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def push(folder: Path, to: str, private: bool = False) -> str:
    """Push a folder, making the repository where there is none.

    The token is that of ``hf auth login`` or of the variable ``HF_TOKEN``.

    Args:
        folder: a finished folder.
        to: ``user/name``.
        private: whether a new repository is seen by its owner alone.

    Returns:
        The address of the commit.

    Raises:
        InputError: the folder is not finished, or the hub refuses.
    """
    if not is_finished(folder):
        raise InputError(f"{folder} is no finished folder of a run; make it with 'dynvision export RUN'")
    library = hub_library()
    name = repository(to)
    try:
        library.create_repo(name, private=private, exist_ok=True)
        commit = library.upload_folder(
            repo_id=name, folder_path=folder, commit_message=f"Add {folder.name}", ignore_patterns=[".*"]
        )
    except (library.errors.HTTPError, OSError) as error:  # of the hub's answer, or of the way there
        raise InputError(f"{to} was not pushed: {_reason(error)}") from None
    return str(commit.commit_url)


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if getattr(response, "status_code", None) in (401, 403):
        return "the hub does not accept this user's token; log in with 'hf auth login', or set HF_TOKEN"
    return message_of(error)[:200]
