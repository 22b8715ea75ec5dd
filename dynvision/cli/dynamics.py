"""``dynvision dynamics RUN``: spectra, time scales, trajectories and unrolling of one trained run."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynvision.cli.arguments import OF_DYNAMICS, add_execution_arguments, add_run_arguments, execution_from
from dynvision.text import cells, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Analyse the dynamics of a trained network: leading eigenvalues of each layer's step (leak and recurrent delay "
        "included) with their time constants in ms, autocorrelation times under noise in ms, principal components of the "
        "responses in time, and engineering against biological time."
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--output", type=Path, help="folder for the tables (default: dynamics/RUN below the results)"
    )
    parser.add_argument("--n-images", type=int, default=8, help="test images to show (default: %(default)s)")
    add_execution_arguments(parser, OF_DYNAMICS)


def run(arguments: argparse.Namespace) -> None:
    """Analyse, write the tables, and print the time scales.

    Raises:
        InputError: the run does not exist or has not been trained, or there are no images to show.
    """
    from dynvision.errors import InputError
    from dynvision.inference.finished_run import find_run

    if arguments.n_images < 1:
        raise InputError(f"--n-images={arguments.n_images} is too few; show at least 1")
    finished = find_run(arguments.run, arguments.results)
    execution = execution_from(arguments)
    from dynvision.dynamics import analyse_dynamics

    output = arguments.output or arguments.results / "dynamics" / finished.config.run_id
    tables = analyse_dynamics(
        finished.config, finished.weights, finished.data, output, execution, arguments.n_images
    )
    scales = tables["timescales"].drop(columns="run_id")
    print_table([scales.columns.tolist(), *(cells(row, 4) for row in scales.to_numpy(dtype=object).tolist())])
