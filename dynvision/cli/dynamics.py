"""``dynvision dynamics`` analyses a trained network; ``dynvision neuron`` a single unit, alone or of a network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from dynvision.cli.arguments import (
    OF_DYNAMICS,
    add_execution_arguments,
    add_look_argument,
    add_results_argument,
    add_run_arguments,
    execution_from,
    style_from,
)
from dynvision.errors import InputError, unknown_name
from dynvision.text import cells, print_table


def add_dynamics_arguments(parser: argparse.ArgumentParser) -> None:
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


def run_dynamics(arguments: argparse.Namespace) -> None:
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


NETWORK_INPUT = (20, 3, 32, 32)  # of an untrained network: steps, channels, height and width in px
N_CLASSES = 10


def add_neuron_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Draw what a single unit answers to a step, an impulse, sines and constant inputs, and its phase line, each "
        "as PNG, SVG and CSV. Times are in ms."
    )
    parser.epilog = (
        "Of a network the input is the contrast of an image of noise, and the unit the one of the layer that responds "
        "most; weights of a network that is not a trained run, and of an LTCCell or a CfCCell, are random."
    )
    parser.add_argument(
        "unit",
        metavar="UNIT",
        help="LTCNeuron, LiquidNeuron; AdExCell, CTRNNCell, CfCCell, LTCCell; a model, or a trained run",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="arguments of the neuron, cell or model, e.g. tau=20 dt=0.1",
    )
    parser.add_argument("--layer", help="layer of a network; the first unless given")
    parser.add_argument(
        "--amplitude", type=float, default=1.0, help="strength of the input (default: %(default)s)"
    )
    parser.add_argument(
        "--duration-ms", type=float, default=400.0, help="of each experiment, in ms (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and image (default: %(default)s)")
    add_results_argument(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the figures (default: RESULTS/neuron/UNIT)"
    )
    add_look_argument(parser)


def run_neuron(arguments: argparse.Namespace) -> None:
    """Draw the figures, and name them.

    Raises:
        InputError: there is no such unit, or a setting is not possible.
    """
    from dynvision.config.yaml_text import given_values
    from dynvision.neurons.experiments import measure_unit
    from dynvision.visualization.neuron import neuron_figures
    from dynvision.visualization.save import save_figure

    style = style_from(arguments)
    unit = _unit(arguments, given_values(arguments.settings, "--set", "KEY=VALUE, e.g. tau=20"))
    tables = measure_unit(unit, arguments.duration_ms, arguments.amplitude)
    folder = arguments.output or arguments.results / "neuron" / Path(arguments.unit).name
    labels = (unit.input_label, unit.response_label)
    if tables["frequency"]["lag_ms"].isna().all():
        print(
            f"{unit.name} is silent to sines from 0 to {arguments.amplitude:g}; raise --amplitude",
            file=sys.stderr,
        )
    for drawn in neuron_figures(tables, unit.name, unit.dt, labels, style):
        print(save_figure(drawn, folder, style)[0])


def _unit(arguments: argparse.Namespace, settings: dict[str, Any]) -> Any:
    """The unit that is meant: a neuron or a cell by name, or one of a layer of a network."""
    from dynvision.neurons.experiments import CELLS, NEURONS, make_unit

    if arguments.unit in (*NEURONS, *CELLS):
        if arguments.layer is not None:
            raise InputError(f"--layer {arguments.layer} is of a network; {arguments.unit} is a single unit")
        return make_unit(arguments.unit, settings, arguments.seed)
    from dynvision.dynamics.layer_unit import unit_of_layer

    return unit_of_layer(_network(arguments, settings), arguments.layer, arguments.seed)


def _network(arguments: argparse.Namespace, settings: dict[str, Any]) -> Any:
    """A model by name, with random weights, or that of a trained run."""
    import torch

    from dynvision.models import create, list_models

    name = arguments.unit
    if name in list_models() or ":" in name:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(arguments.seed)
            return create(name, **{"input_dims": NETWORK_INPUT, "n_classes": N_CLASSES, **settings})
    if settings:
        raise InputError(
            f"--set is of a neuron, a cell or a model; the arguments of run {name} are those of its training"
        )
    from dynvision.inference import InferenceConfig
    from dynvision.inference.predictor import load_run
    from dynvision.neurons.experiments import CELLS, NEURONS

    try:
        config = InferenceConfig(device={"device_type": "cpu"})
        return load_run(name, config, results=arguments.results).model.network
    except InputError as error:
        known = [*NEURONS, *CELLS, *list_models()]
        raise InputError(f"{unknown_name('unit', name, known)}; nor is it a trained run: {error}") from None
