"""Tables as laboratories write them: CSV or TSV, with either decimal sign, checked row by row.

| of the file        | taken                                                                                      |
|--------------------|--------------------------------------------------------------------------------------------|
| encoding           | UTF-8, with or without a byte order mark                                                   |
| separator          | comma, semicolon or tab, whichever the heading has most                                    |
| decimal sign       | a point; or a comma, where the separator is another sign                                   |
| names of columns   | without spaces around them, in upper or lower case                                         |
| text               | without spaces around it; where all of a column is ``1.0``, ``2.0``, ..., it is ``1``, ``2`` |

A row is counted as an editor does: the heading is row 1.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dynvision.errors import InputError, message_of
from dynvision.text import first_few

SEPARATORS = (",", ";", "\t")
WHOLE, DECIMAL = r"[+-]?\d+\.0+", r"[+-]?\d+(,\d+)?"


def read_rows(
    path: str | Path, needed: Sequence[str], text: Sequence[str], numbers: Sequence[str]
) -> pd.DataFrame:
    """Read a table with a heading.

    Args:
        path: the file.
        needed: columns that must be there.
        text: columns that are text, each without empty cells.
        numbers: columns that are numbers, not-a-number where a cell is empty.

    Returns:
        All columns of the file, those of `text` as text and those of `numbers` as floats.

    Raises:
        InputError: the file is missing or damaged, lacks a column, has no rows, an empty text or a number that is none.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            heading = file.readline()
        separator = max(SEPARATORS, key=heading.count)
        names = [name.strip().lower() for name in next(csv.reader([heading], delimiter=separator), [])]
        # Of a row with more cells than the heading pandas would make a label.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path, sep=separator, names=names, header=0, index_col=False, skipinitialspace=True,
                dtype=dict.fromkeys(text, str), encoding="utf-8-sig",
            )  # fmt: skip
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"there is no table {path}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not in UTF-8; save it as CSV in UTF-8") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a table: {message_of(error)}; a comma in a cell needs quotes, or "
            "semicolons between the cells"
        ) from None
    missing = [name for name in needed if name not in table]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(names) or 'none'}"
        )
    if table.empty:
        raise InputError(f"{path} has no rows below its heading")
    for name in text:
        if name in table:
            table[name] = plain_names(table[name].str.strip(), separator != ",")
            _refuse(
                table[name].isna() | (table[name] == ""),
                f"{path}: {name} is empty",
                "fill it or remove the row",
            )
    for name in numbers:
        if name in table:
            table[name] = _numbers(table[name], separator != ",", f"{path}: {name}")
    return table


def plain_names(names: pd.Series, comma_is_decimal: bool = False) -> pd.Series:
    """Return names as text, whole numbers without decimals, as the network names its images and classes."""
    if pd.api.types.is_float_dtype(names) and (names % 1 == 0).all():
        return names.astype("int64").astype(str)
    names = names.astype(str).where(names.notna())
    if comma_is_decimal and names.str.fullmatch(DECIMAL).all():
        names = names.str.replace(",", ".", regex=False)
    return names.str.replace(r"\.0+$", "", regex=True) if names.str.fullmatch(WHOLE).all() else names


def _numbers(column: pd.Series, comma_is_decimal: bool, whose: str) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.astype(float)
    text = column.astype(str).where(column.notna())
    if comma_is_decimal and not text.str.contains(".", regex=False, na=False).any():
        text = text.str.replace(",", ".", regex=False)
    found = pd.to_numeric(text, errors="coerce")
    wrong = column.notna() & found.isna()
    if wrong.any():
        _refuse(wrong, f"{whose}={column[wrong].iloc[0]!s} is no number", "write it with a decimal point")
    return found.astype(float)


def _refuse(rows: pd.Series, what: str, remedy: str) -> None:
    """Refuse a table of which a row is wrong."""
    if rows.any():
        found = np.flatnonzero(rows.to_numpy()) + 2
        raise InputError(f"{what} in row {first_few(map(str, found))}; {remedy}")
