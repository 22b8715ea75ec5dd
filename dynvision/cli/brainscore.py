"""``dynvision brainscore RUN``: write a trained run as a plugin of Brain-Score."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

from dynvision.cli.arguments import add_run_arguments
from dynvision.errors import InputError
from dynvision.units import ms_to_steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(arguments: argparse.Namespace) -> None:
    """Write the plugin.

    Raises:
        InputError: an option is not possible, the run cannot be loaded, or its network cannot be exported.
    """
    from dynvision.cli.export import loaded
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
