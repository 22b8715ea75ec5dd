"""``dynvision export RUN``: a trained run as a program for torch.export or ONNX, run back and compared."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dynvision.cli.predict import EXIT_PARTLY
from dynvision.errors import InputError

FORMATS, PARTS = ("torch-export", "onnx"), ("trial", "step")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = (
        "A trial takes normalised images and gives the outputs of all its steps of dt ms; a step takes a frame and the "
        "state. Both take any number of images. Each program is read back, run and compared with the network before "
        "it is kept. Of a part that cannot be exported it is said why, and the status is 3."
    )
    parser.add_argument(
        "run", metavar="RUN", help="a trained run: its folder, its weights, its id, or its beginning"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: %(default)s)"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="kind of program (default: %(default)s)"
    )
    parser.add_argument(
        "--part", choices=PARTS, nargs="+", default=list(PARTS), help="what is exported (default: both)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder of the programs (default: RESULTS/exports/RUN)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the programs.

    Returns:
        0, or 3 where one of several parts cannot be exported.

    Raises:
        InputError: the run cannot be loaded, or nothing of it exported.
    """
    from dynvision.inference import InferenceConfig
    from dynvision.inference.export import export_run
    from dynvision.inference.predictor import load_run

    config = InferenceConfig(device={"device_type": "cpu"})
    predictor = load_run(arguments.run, config, results=arguments.results)
    folder = arguments.output or arguments.results / "exports" / predictor.run.run_id
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
    for said in errors:
        print(f"dynvision export: {said}", file=sys.stderr)
    return EXIT_PARTLY if errors else 0
