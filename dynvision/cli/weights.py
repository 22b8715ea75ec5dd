"""``dynvision weights``: the distributions of a run's weights, as a table."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "A row for each layer, connection and bin; weights are in the model's own unit (a.u.)."
    parser.add_argument("--weights", type=Path, required=True, help="the run's model.safetensors")
    parser.add_argument("--config", type=Path, required=True, help="the run's frozen configuration (YAML)")
    parser.add_argument("--output", type=Path, required=True, help="Parquet file to write")


def run(arguments: argparse.Namespace) -> None:
    """Read the weights, write the table.

    Raises:
        InputError: the file is missing, is not safetensors, or is of another run.
    """
    from safetensors import SafetensorError, safe_open

    from dynvision.analysis import write_table
    from dynvision.analysis.weights import weight_distributions
    from dynvision.config.run import read_run_config
    from dynvision.errors import InputError

    run_id = read_run_config(arguments.config).run_id
    try:
        with safe_open(arguments.weights, framework="np") as file:
            of_run = (file.metadata() or {}).get("run_id", run_id)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"weights {arguments.weights} do not exist; train the run first") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights {arguments.weights} cannot be read: {error}") from None
    if of_run != run_id:
        raise InputError(f"weights {arguments.weights} are of run {of_run}, not of {run_id}")
    write_table(weight_distributions(tensors, run_id), arguments.output)
