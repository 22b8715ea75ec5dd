"""How the weights of a trained network are distributed, by layer and connection.

Weights are counted in bins between their extremes, with moments and quantiles of the weights themselves. Biases, time
constants and other parameters that are not weights of a connection are left out.

Source: ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dynvision.analysis.tables import read_columns
from dynvision.errors import InputError

# What a weight is of, by a word in its name; the first that fits. Others are feedforward.
CONNECTIONS: dict[str, str] = {
    "recurrence": "recurrence",
    "addskip": "skip",
    "addfeedback": "feedback",
    "classifier": "classifier",
}
FEEDFORWARD = "feedforward"
ORDER = (FEEDFORWARD, "recurrence", "skip", "feedback", "classifier")
BINS = (10, 80)  # the square root of the number of weights within these
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
COLUMNS = (
    "run_id", "layer", "connection", "bin_low", "bin_high", "n_in_bin", "n_weights", "mean", "sd", "fraction_negative",
    *QUANTILES,
)  # fmt: skip


def weight_distributions(tensors: Mapping[str, np.ndarray], run_id: str) -> pd.DataFrame:
    """Return the distributions of the weights of each layer and connection.

    Args:
        tensors: parameters by their names in the model.
        run_id: the run that they are of.

    Returns:
        Columns `COLUMNS`: a row for each layer, connection and bin. What is of all weights of a connection stands in each
        of its rows.

    Raises:
        InputError: there are no weights, or a weight is not finite.
    """
    groups: dict[tuple[str, str], list[np.ndarray]] = {}
    for name, tensor in tensors.items():
        if is_weight(name, tensor):
            if not np.isfinite(tensor).all():
                raise InputError(f"weights {name} of run {run_id} are not all finite")
            groups.setdefault(layer_and_connection(name), []).append(tensor.astype(np.float64).ravel())
    if not groups:
        raise InputError(f"run {run_id} has no weights of connections")
    parts = []
    for (layer, connection), arrays in groups.items():
        weights = np.concatenate(arrays)
        in_bin, edges = np.histogram(weights, int(np.clip(np.sqrt(weights.size), *BINS)))
        quantiles = np.quantile(weights, list(QUANTILES.values()))
        columns = {
            "run_id": run_id, "layer": layer, "connection": connection, "bin_low": edges[:-1], "bin_high": edges[1:],
            "n_in_bin": in_bin, "n_weights": weights.size, "mean": weights.mean(), "sd": weights.std(),
            "fraction_negative": (weights < 0).mean(), **dict(zip(QUANTILES, quantiles, strict=True)),
        }  # fmt: skip
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def is_weight(name: str, tensor: np.ndarray) -> bool:
    """Return whether a parameter is of a connection: neither a bias nor the gain of a normalisation or a time constant."""
    of_pairs = tensor.ndim >= 2 or "recurrence" in name
    return of_pairs and not name.endswith("bias") and np.issubdtype(tensor.dtype, np.floating)


def layer_and_connection(name: str) -> tuple[str, str]:
    """Return the layer and the connection of a weight: ``addskip_V4.conv.weight`` is of the skip connection to V4."""
    first = name.partition(".")[0]
    connection = next((kind for word, kind in CONNECTIONS.items() if word in name), FEEDFORWARD)
    for word in ("addskip_", "addfeedback_"):
        first = first.removeprefix(word)
    return first, connection


def read_weight_distributions(path: str | Path) -> pd.DataFrame:
    """Read a table that `weight_distributions` made.

    Raises:
        InputError: the file is missing, is not Parquet, or lacks a column.
    """
    return read_columns(path, COLUMNS, "weights", "run dynvision weights distributions")
