"""``dynvision export RUN``: a trained run as one folder for a colleague, or as a program for torch.export or ONNX."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.cli.arguments import add_run_arguments
from dynvision.cli.predict import EXIT_PARTLY
from dynvision.errors import InputError

if TYPE_CHECKING:
    from dynvision.inference.predictor import Predictor
    from dynvision.sharing import Shared

FORMATS, PARTS = ("folder", "torch-export", "onnx"), ("trial", "step")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "A folder has the weights with their configuration, a model card, and the programs that can be made; "
        "'dynvision.load(DIR)' answers images with it, and 'dynvision share' pushes it to the Hugging Face hub. A trial "
        "takes normalised images and gives the outputs of all its steps of dt ms; a step takes a frame and the state. Both "
        "take any number of images. Each program is read back, run and compared with the network before it is kept. Of a "
        "part that cannot be exported the cause is printed; where it was asked for as a program, the status is 3."
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="everything in one folder, or programs of one kind (default: %(default)s)",
    )
    parser.add_argument(
        "--part",
        choices=PARTS,
        nargs="+",
        default=list(PARTS),
        help="which programs of one kind (default: both)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder that is written (default: RESULTS/exports/RUN)"
    )
    parser.add_argument(
        "--license",
        default="",
        metavar="NAME",
        help="license of the weights, for the model card of a folder, e.g. mit",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the folder or the programs.

    Returns:
        0, or 3 where one of several parts cannot be exported as the one format that is asked for.

    Raises:
        InputError: the run cannot be loaded, or nothing of it exported.
    """
    from dynvision.inference.export import export_run

    predictor, weights = loaded(arguments.run, arguments.results)
    folder = arguments.output or exports(arguments.results, predictor)
    if arguments.format == "folder":
        print_shared(export(predictor, weights, folder, arguments.results, arguments.license))
        return 0
    errors = []
    for part in dict.fromkeys(arguments.part):
        try:
            made = export_run(predictor, folder, arguments.format, part)
        except InputError as error:
            errors.append(error)
            continue
        print(f"{made.path}  differs from the network by at most {made.difference:.1e} of its largest output")
    if len(errors) == len(set(arguments.part)):
        raise InputError("; ".join(map(str, errors)))
    for error in errors:
        print(f"dynvision export: {error}", file=sys.stderr)
    return EXIT_PARTLY if errors else 0


def loaded(run: str, results: Path) -> tuple[Predictor, Path]:
    """Return a run that answers, on the CPU, and the file of its weights.

    Raises:
        InputError: there is no such run.
    """
    from dynvision.inference import InferenceConfig
    from dynvision.inference.finished_run import run_at, run_path
    from dynvision.inference.predictor import load_run

    path = run_path(run, results)
    return load_run(path, InferenceConfig(device={"device_type": "cpu"})), run_at(path)[1]


def exports(results: Path, predictor: Predictor) -> Path:
    """Return the folder of what is exported of a run."""
    return results / "exports" / predictor.run.run_id


def export(predictor: Predictor, weights: Path, folder: Path, results: Path, license: str) -> Shared:
    """Write the folder of a run, with its scorecard where there is one."""
    from dynvision.runs import ResultPaths
    from dynvision.sharing import export_folder

    folders = (ResultPaths(results).scorecard(predictor.run.run_id), weights.parent)
    known = (path / "scorecard.csv" for path in folders)
    scorecard = next((path for path in known if path.is_file()), None)
    return export_folder(predictor, weights, folder, scorecard, license)


def print_shared(made: Shared) -> None:
    """Print what a folder has, and what it has not and why."""
    print(f"{made.folder}: answers as the run does; dynvision.load({str(made.folder)!r})")
    for program in made.programs:
        print(
            f"{program.path}  differs from the network by at most {program.difference:.1e} of its largest output"
        )
    for reason in made.left_out:
        print(f"dynvision export: left out: {reason}", file=sys.stderr)
