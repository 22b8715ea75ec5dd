"""The tables of an experiment: read with their columns checked, arranged as arrays, written whole or not at all.

Long form in Parquet, units in the names of columns: `time_ms` is in ms from stimulus onset, `duration_ms` as a parameter in
ms, `mean` in the model's unit of activity, `confidence` and accuracies as fractions. Measures are operations on dense
arrays, into which `to_cube` arranges a long table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from dynvision.analysis.conditions import NamedExperiment
from dynvision.analysis.registry import MEASURES
from dynvision.config.training import TRAINING_COLUMNS
from dynvision.errors import InputError, message_of, unknown_name
from dynvision.files import atomic_path

Kind = Literal["text", "number", "truth"]
_KEYS: dict[str, Kind] = {"run_id": "text", "experiment": "text", "parameter": "text", "value": "number"}
RESPONSE_COLUMNS: dict[str, Kind] = {
    **_KEYS, "image": "number", "layer": "text", "time_ms": "number", "stimulus_on": "truth", "mean": "number"
}  # fmt: skip
PERFORMANCE_COLUMNS: dict[str, Kind] = {
    **_KEYS, "image": "number", "label": "number", "time_ms": "number", "stimulus_on": "truth", "guess": "number",
    "correct": "truth", "n_classes": "number",
}  # fmt: skip
# Read where they are there.
SHOWN_COLUMNS: dict[str, Kind] = {"shown": "text"}
GUESS_COLUMNS: dict[str, Kind] = {
    **SHOWN_COLUMNS,
    "confidence": "number",
    "entropy_bits": "number",
    "uncertainty": "number",
    "evidence_ms": "number",
    "evidence_lead_ms": "number",
    "evidence_guess": "number",
}
METRIC_COLUMNS: dict[str, Kind] = {
    **_KEYS, "layer": "text", "measure": "text", "mean": "number", "ci_low": "number", "ci_high": "number",
    "n_images": "number",
}  # fmt: skip
SUMMARY_COLUMNS: dict[str, Kind] = {name: kind for name, kind in METRIC_COLUMNS.items() if name != "value"}
# Part of the images that have a value; read where it is there.
FRACTION_COLUMNS: dict[str, Kind] = {"fraction": "number"}
MAY_BE_MISSING = (  # a network whose activity explodes has no number there
    "mean",
    "ci_low",
    "ci_high",
    "confidence",
    "entropy_bits",
    "uncertainty",
)


def read_responses(path: str | Path, experiment: NamedExperiment | None = None) -> pd.DataFrame:
    """Read responses of layers: a row for each value of the parameter, image, layer and time.

    Args:
        path: a Parquet file; columns other than `RESPONSE_COLUMNS`, and `shown` if it is there, are not read.
        experiment: the experiment that the table has to be of; None takes any.

    Raises:
        InputError: the file is missing, broken, empty, or a table of something else.
    """
    return _read(path, RESPONSE_COLUMNS, "responses", experiment, SHOWN_COLUMNS)


def read_performance(path: str | Path, experiment: NamedExperiment | None = None) -> pd.DataFrame:
    """Read guesses of the classifier: a row for each value of the parameter, image and time. As `read_responses`."""
    return _read(path, PERFORMANCE_COLUMNS, "performance", experiment, GUESS_COLUMNS)


def read_metrics(path: str | Path, experiment: NamedExperiment | None = None) -> pd.DataFrame:
    """Measures: a row for each value of the parameter, layer and measure. As `read_responses`."""
    return _measured(
        _read(path, METRIC_COLUMNS, "metrics", experiment, FRACTION_COLUMNS), f"metrics table {path}"
    )


def read_summary(path: str | Path, experiment: NamedExperiment | None = None) -> pd.DataFrame:
    """Read measures of whole experiments: a row for each layer and measure, or none. As `read_responses`."""
    table = _read(path, SUMMARY_COLUMNS, "summary", experiment, {"reason": "text"}, may_be_empty=True)
    return _measured(table, f"summary table {path}")


def _measured(table: pd.DataFrame, what: str) -> pd.DataFrame:
    for name in table["measure"].unique():
        if name not in MEASURES:
            raise InputError(f"{what}: {unknown_name('measure', name, MEASURES)}; analyse again")
    return table


def read_training(path: str | Path) -> pd.DataFrame:
    """Read the course of a training from its CSV file: a row an epoch.

    Raises:
        InputError: the file is missing, is not CSV, has no rows or lacks a column.
    """
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"training table {path} does not exist") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"training table {path} cannot be read as CSV: {message_of(error)}") from None
    missing = [name for name in TRAINING_COLUMNS if name not in table]
    if missing:
        raise InputError(
            f"training table {path} lacks the columns {', '.join(missing)}; is it a training.csv?"
        )
    wrong = [name for name in TRAINING_COLUMNS if not pd.api.types.is_numeric_dtype(table[name])]
    if wrong:
        raise InputError(f"training table {path}: column {wrong[0]} must hold numbers")
    if table.empty:
        raise InputError(f"training table {path} has no rows")
    return table[list(TRAINING_COLUMNS)]


def read_columns(path: str | Path, columns: Sequence[str], what: str, first: str) -> pd.DataFrame:
    """Read a table of any kind that has some columns.

    Args:
        path: a Parquet file.
        columns: names of columns that it must have.
        what: what it is a table of, to follow "table of" in an error.
        first: the command that makes it, for errors.

    Raises:
        InputError: the file is missing, is not Parquet, or lacks a column.
    """
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"table of {what} {path} does not exist; {first} first") from None
    except (OSError, ValueError) as error:
        raise InputError(f"table of {what} {path} cannot be read as Parquet: {message_of(error)}") from None
    if missing := [name for name in columns if name not in table]:
        raise InputError(f"table of {what} {path} lacks the columns {', '.join(missing)}; {first} again")
    return table


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as Parquet, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def _read(
    path: str | Path,
    columns: Mapping[str, Kind],
    what: str,
    experiment: NamedExperiment | None,
    optional: Mapping[str, Kind] | None = None,
    may_be_empty: bool = False,
) -> pd.DataFrame:
    try:
        schema = pq.read_schema(path)
        columns = {**columns, **{name: k for name, k in (optional or {}).items() if name in schema.names}}
        _check_columns(schema, columns, f"{what} table {path}")
        text = [name for name, kind in columns.items() if kind == "text"]
        with pq.ParquetFile(path, read_dictionary=text) as file:
            table = file.read(columns=list(columns)).to_pandas()
    except FileNotFoundError:
        raise InputError(f"{what} table {path} does not exist") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{what} table {path} cannot be read as Parquet: {message_of(error)}") from None
    if table.empty and not may_be_empty:
        raise InputError(f"{what} table {path} has no rows")
    holes = [name for name in columns if name not in MAY_BE_MISSING and table[name].hasnans]
    if holes:
        raise InputError(f"{what} table {path}: column {holes[0]} has rows without a value")
    for name in text:
        table[name] = table[name].astype("category")
    if experiment is not None and not table.empty:
        for column, expected in {
            "experiment": experiment.name,
            "parameter": experiment.config.parameter,
        }.items():
            found = [str(name) for name in table[column].unique()]
            if found != [expected]:
                raise InputError(f"{what} table {path} is of {column} {', '.join(found)}, not of {expected}")
    return table[list(columns)]


def _check_columns(schema: pa.Schema, columns: Mapping[str, Kind], what: str) -> None:
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise InputError(
            f"{what} lacks the columns {', '.join(missing)}; it has {', '.join(schema.names) or 'none'}"
        )
    for name, kind in columns.items():
        given = schema.field(name).type
        given = given.value_type if pt.is_dictionary(given) else given
        number = pt.is_integer(given) or pt.is_floating(given)
        fits = {
            "text": pt.is_string(given) or pt.is_large_string(given) or pt.is_string_view(given),
            "number": number,
            "truth": pt.is_boolean(given),
        }[kind]
        if not fits:
            raise InputError(f"{what}: column {name} must hold a {kind}, not {given}")


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
        InputError: a column is missing, or a combination is missing or occurs twice.
    """
    if absent := [name for name in (*axes, *columns) if name not in table]:
        raise InputError(f"the table lacks the columns {', '.join(absent)}; run the experiment again")
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


def identified(table: pd.DataFrame, source: pd.DataFrame) -> pd.DataFrame:
    """Put run, experiment and parameter of the table that one was made from before its columns; changes and returns it."""
    for name in ("parameter", "experiment", "run_id"):
        table.insert(0, name, str(source[name].iloc[0]))
    return table


def levels(column: pd.Series) -> list[str]:
    """Return the names that occur in a column: in the order of its categories, or else of appearance."""
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


def chance_level(performance: pd.DataFrame) -> float:
    """Return the accuracy of guessing evenly among the classes of the network, as a fraction.

    Args:
        performance: table of guesses of one run.
    """
    return 1.0 / int(performance["n_classes"].max())
