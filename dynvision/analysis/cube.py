"""Dense arrays from a long table, so that measures are array operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dynvision.errors import InputError

DECIMALS = 6  # of coordinates: 0.1 + 0.2 ms and 0.3 ms are one time


@dataclass(frozen=True)
class Cube:
    """Columns of a table as arrays.

    Attributes:
        axes: coordinates by axis name, in the order of the arrays' axes: numbers ascending, names in the order of
            their categories.
        data: arrays by column name, each with the shape of the axes.
    """

    axes: dict[str, np.ndarray]
    data: dict[str, np.ndarray]


def to_cube(table: pd.DataFrame, axes: Sequence[str], columns: Sequence[str]) -> Cube:
    """Arrange columns of a table along the product of its axes.

    Args:
        table: long table with one row for each combination of the axes.
        axes: columns that hold coordinates.
        columns: columns that hold data.

    Raises:
        InputError: a combination is missing or occurs twice.
    """
    coordinates: dict[str, np.ndarray] = {}
    flat = np.zeros(len(table), dtype=np.int64)
    for axis in axes:
        codes, coordinates[axis] = _factorize(table[axis])
        flat = flat * len(coordinates[axis]) + codes
    shape = tuple(len(values) for values in coordinates.values())
    n_cells = int(np.prod(shape))
    if len(table) != n_cells or np.bincount(flat, minlength=n_cells).max(initial=0) > 1:
        n_present = len(np.unique(flat))
        fault = (
            f"{n_cells - n_present} of {n_cells} rows are missing"
            if n_present < n_cells
            else f"{len(table) - n_present} rows occur twice"
        )
        raise InputError(f"not one row for each combination of {', '.join(axes)}: {fault}")
    order = np.empty(n_cells, dtype=np.int64)
    order[flat] = np.arange(n_cells)
    return Cube(coordinates, {name: table[name].to_numpy()[order].reshape(shape) for name in columns})


def levels(column: pd.Series) -> list[str]:
    """The names that occur in a column: in the order of its categories, or else of appearance."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(name) for name in column.cat.remove_unused_categories().cat.categories]
    return [str(name) for name in dict.fromkeys(column)]


def _factorize(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories().cat
        return used.codes.to_numpy().astype(np.int64), used.categories.to_numpy()
    values = column.to_numpy()
    if values.dtype.kind == "f":
        values = np.round(values.astype(np.float64), DECIMALS) + 0.0  # no negative zero
    codes, levels = pd.factorize(values, sort=True)
    return codes, np.asarray(levels)
