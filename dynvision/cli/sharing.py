"""Trained runs and studies for others: a folder or programs, the Hugging Face hub, Brain-Score, an RO-Crate."""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dynvision.cli import EXIT_PARTLY
from dynvision.cli.arguments import add_results_argument, add_run_arguments, add_study_argument
from dynvision.errors import InputError
from dynvision.units import ms_to_steps

if TYPE_CHECKING:
    from dynvision.inference.predictor import Predictor
    from dynvision.sharing import Shared


FORMATS, PARTS = ("folder", "torch-export", "onnx"), ("trial", "step")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
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


def run_export(arguments: argparse.Namespace) -> int:
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
        print_shared(write_folder(predictor, weights, folder, arguments.results, arguments.license))
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
    for reason in errors:
        print(f"dynvision export: {reason}", file=sys.stderr)
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


def write_folder(predictor: Predictor, weights: Path, folder: Path, results: Path, license: str) -> Shared:
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


def add_share_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Push a trained run to the Hugging Face hub: weights with their configuration, model card, and programs of its "
        "trial and of its step of dt ms. Others load it with dynvision.load('hub:USER/NAME'), or name hub:USER/NAME where "
        "a command takes a run to predict, serve or export. A folder of 'dynvision export' is pushed as it is. "
        "Log in with 'hf auth login', or set HF_TOKEN."
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--to", required=True, metavar="USER/NAME", help="the repository; it is made where there is none"
    )
    parser.add_argument("--private", action="store_true", help="a new repository is seen by its owner alone")
    parser.add_argument("--license", default="", metavar="NAME", help="license of the weights, e.g. mit")


def run_share(arguments: argparse.Namespace) -> None:
    """Export what is no finished folder yet, and push it.

    Raises:
        InputError: the run cannot be loaded, or the hub refuses.
    """
    from dynvision.inference.finished_run import repository
    from dynvision.sharing import push
    from dynvision.sharing.folder import is_finished

    repository(arguments.to)  # before anything is computed
    folder = Path(arguments.run)
    if not is_finished(folder):
        predictor, weights = loaded(arguments.run, arguments.results)
        folder = exports(arguments.results, predictor)
        print_shared(write_folder(predictor, weights, folder, arguments.results, arguments.license))
    print(f"{push(folder, arguments.to, arguments.private)}  dynvision.load('hub:{arguments.to}')")


def add_brainscore_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Write a trained run as a plugin of Brain-Score: a folder with a program of one step of dt ms, a model that "
        "records in time bins and does tasks, a map of regions to layers, metadata, requirements and a test. It needs "
        "neither DynVision nor its workflow; copy it to brainscore_vision/models."
    )
    add_run_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the plugin")
    parser.add_argument("--identifier", metavar="NAME", help="name of the model (default: the run's id)")
    parser.add_argument(
        "--regions",
        nargs="+",
        default=[],
        metavar="REGION=LAYER",
        help="e.g. V1=layer1 IT=layer4; by default layers of equal name, or all layers spread over V1, V2, V4 and IT",
    )
    parser.add_argument(
        "--visual-degrees", type=int, default=8, metavar="N", help="degrees that an image covers (default: 8)"
    )
    parser.add_argument(
        "--stimulus-ms",
        type=float,
        default=100.0,
        metavar="MS",
        help="how long an image is on when recorded (default: 100)",
    )
    parser.add_argument(
        "--latency-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="delay of neurons after the network, which has no retina (default: 0)",
    )
    parser.add_argument(
        "--units",
        type=int,
        default=2000,
        metavar="N",
        help="largest number of units of a layer, drawn at random (default: 2000)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the units (default: 0)")


def run_brainscore(arguments: argparse.Namespace) -> None:
    """Write the plugin.

    Raises:
        InputError: an option is not possible, the run cannot be loaded, or its network cannot be exported.
    """
    from dynvision.config.yaml_text import split_pairs
    from dynvision.sharing.brainscore import Setup, write_plugin

    regions = split_pairs(arguments.regions, "--regions", "REGION=LAYER, e.g. V1=layer1")
    for option in ("visual_degrees", "stimulus_ms", "units"):
        if not 0 < getattr(arguments, option) < math.inf:
            raise InputError(
                f"--{option.replace('_', '-')} must be above 0, not {getattr(arguments, option):g}"
            )
    if not math.isfinite(arguments.latency_ms):
        raise InputError(f"--latency-ms must be a number of ms, not {arguments.latency_ms:g}")
    predictor, weights = loaded(arguments.run, arguments.results)
    dt = predictor.model.network.dt
    ms_to_steps(arguments.stimulus_ms, dt, "--stimulus-ms", minimum_ms=dt)
    identifier = predictor.run.run_id if arguments.identifier is None else arguments.identifier
    if not re.fullmatch(r"[\w.-]+", identifier):
        raise InputError(f"--identifier {identifier!r} must be letters, digits, _, - and .")
    setup = Setup(
        identifier,
        regions,
        arguments.visual_degrees,
        arguments.stimulus_ms,
        arguments.latency_ms,
        arguments.units,
        arguments.seed,
    )
    write_plugin(predictor, weights, arguments.output, setup)
    print(f"{arguments.output}: plugin of {identifier}")


def add_crate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Describe the finished runs of a study, their experiments, figures and report as an RO-Crate (Process Run Crate "
        "0.5): which file is what, and from which it was made. ro-crate-metadata.json is written into the folder of the "
        "results, which is the crate then. Tables have their units, e.g. ms, in the names of columns."
    )
    add_results_argument(parser)
    add_study_argument(parser)
    parser.add_argument("--name", default="", help="name of the crate (default: the study's)")
    parser.add_argument(
        "--license", default="", help="address of the license, e.g. https://spdx.org/licenses/CC-BY-4.0"
    )
    parser.add_argument("--author", default="", help="who ran it")


def run_crate(arguments: argparse.Namespace) -> None:
    """Write the metadata.

    Raises:
        InputError: no run is finished, or a package is not installed.
    """
    from dynvision.runs import ResultPaths
    from dynvision.sharing.crate import About, write_crate

    name = arguments.name or arguments.study or "A study with DynVision"
    about = About(name, arguments.license, arguments.author)
    print(write_crate(ResultPaths(arguments.results, arguments.study), about))
