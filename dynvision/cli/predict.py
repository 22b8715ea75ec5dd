"""``dynvision predict RUN IMAGE ...``: what a trained run says about images, and when."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.errors import InputError

if TYPE_CHECKING:
    from dynvision.inference import Prediction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "Images are shown as the run's test images are: resized to its resolution in px, normalised, for as long as its "
        "presentation lasts. Printed are for each image the most probable class at the end, its probability, and the "
        "time of decision: ms from stimulus onset until one class has half the probability; - if that never is so."
    )
    parser.add_argument(
        "run", metavar="RUN", help="a trained run: its folder, its id, or the beginning of its id"
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="image files")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: %(default)s)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of the run's data; only weights that do not say how images are shown need it",
    )
    parser.add_argument(
        "--output", type=Path, metavar="CSV", help="file for the probability of every class at every time"
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu or cuda; auto is a GPU if there is one (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Print a table of the answers, and write the probabilities over time if there is a place for them.

    Raises:
        InputError: the run has not been trained, an image cannot be read, or has outputs that are not finite.
    """
    from dynvision.inference import InferenceConfig, RunModel

    folder = _run_folder(arguments.run, arguments.results)
    if arguments.output is not None and arguments.output.suffix != ".csv":
        raise InputError(f"--output {arguments.output} must end in .csv")
    model = RunModel(InferenceConfig(device={"device_type": arguments.device}), arguments.data)
    model.load_model(folder)
    answers = model.predict_batch(arguments.images)
    if arguments.output is not None:
        _write(arguments.images, answers, arguments.output)
    width = max(len("image"), *(len(str(path)) for path in arguments.images))
    names = max(len("class"), *(len(answer.class_name) for answer in answers))
    print(f"{'image':{width}}  {'class':{names}}  probability  decision (ms)")
    for path, answer in zip(arguments.images, answers, strict=True):
        decision = "-" if math.isnan(answer.decision_ms) else f"{answer.decision_ms:g}"
        name, probability = answer.class_name or "-", f"{answer.probability:.3f}"
        if not answer.class_name:
            probability = "-"
        print(f"{path!s:{width}}  {name:{names}}  {probability:>11}  {decision:>13}")
    unanswered = [
        path for path, answer in zip(arguments.images, answers, strict=True) if not answer.class_name
    ]
    if unanswered:
        raise InputError(
            f"{len(unanswered)} of {len(answers)} images have no answer, since outputs are not finite; {unanswered[0]}: "
            f"{model.not_finite_since(unanswered[0])}"
        )


def _run_folder(given: str, results: Path) -> Path:
    """The folder of a run: the one that is named, or that of an id among the results."""
    if (Path(given) / "config.yaml").is_file():
        return Path(given)
    from dynvision.cli.finished_run import find_run

    return find_run(given, results, needs_data=False).weights.parent


def _write(images: list[Path], answers: list[Prediction], output: Path) -> None:
    """One row for each image, time and class."""
    import pandas as pd

    from dynvision.files import atomic_path

    tables = [answer.table().assign(image=str(path)) for path, answer in zip(images, answers, strict=True)]
    with atomic_path(output) as temporary:
        pd.concat(tables)[["image", "time_ms", "class_name", "probability"]].to_csv(temporary, index=False)
