"""What cortex does: the numbers in ``dynvision/analysis/targets``, each with its source, its provenance, and a band.

    band = target - w .. target + w         fractions and ratios, w = .10, or .11 where read off a figure (R)
         = target / f .. target f           times and contrasts,  f = 1.15, or 1.17 where read off a figure

A file may give bands of its own in the columns ``low`` and ``high``. Where it does not, the band is what two studies of one
quantity differ by. Recoveries of human V1 in Groen et al. (2022) and of V1-V3 in Brands et al. (2024) differ by .14 (root
mean square over six gaps), so one study is .14 / sqrt 2 = .10 from the truth. Onset latencies of the cells of one area have
standard deviations of 15 % and more (Schmolesky et al. 1998). Reading errors are .01 of an axis. What is quoted from memory
(M) is known half as well. The widths are ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from pathlib import Path

import pandas as pd

from dynvision.config.measures import MEASURES, PROTOCOLS
from dynvision.config.measures import TARGET_TABLES as TABLES
from dynvision.errors import InputError, unknown_name
from dynvision.recordings.tables import read_rows

FOLDER = Path(__file__).parents[1] / "targets"
BANDS = ("low", "high")
WIDTH, FACTOR = 0.10, 1.15
READING = {"R": 0.01, "D": 0.01}  # of an axis
FROM_MEMORY = 2.0
COLUMNS = ("area", "protocol", "measure", "value", "unit", "target", "provenance", "source", "note")
TEXTS = ("area", "protocol", "measure", "provenance", "source")  # none of them empty
LOGARITHMIC_UNITS = ("ms", "contrast")
PROVENANCES = {
    "published": "as published",
    "R": "read off a published figure",
    "D": "derived from such values",
    "M": "quoted from memory, approximate",
}


def read_targets(folder: Path = FOLDER) -> pd.DataFrame:
    """Read all targets of a folder's CSV files, and of the user's own beside those that ship.

    Returns:
        Columns `area, protocol, measure, value, unit, target, provenance, source, note, low, high`; value and target are
        NaN where a source gives none.

    Raises:
        InputError: a file lacks a column, does not state where a number comes from, or has a number or a band that is none;
            or one of the user's has a protocol or a measure that there is not.
    """
    parts = [_read(path) for path in sorted(folder.glob("*.csv"))]
    if not parts:
        raise InputError(f"no targets in {folder}")
    if folder == FOLDER:
        known = {
            name: {*names, *pd.concat(parts)[name]}
            for name, names in (("protocol", PROTOCOLS), ("measure", MEASURES))
        }
        parts += [_read(path, known) for path in TABLES.values()]
    return pd.concat(parts, ignore_index=True)


def _read(path: Path, known: Mapping[str, Collection[str]] | None = None) -> pd.DataFrame:
    """The targets of a file; `known` has the names that may stand in some of its columns."""
    table = read_rows(path, COLUMNS, TEXTS, ("value", "target", *BANDS)).reindex(columns=[*COLUMNS, *BANDS])
    table[["unit", "note"]] = table[["unit", "note"]].astype(object).fillna("").astype(str)
    table = _with_bands(table.astype(dict.fromkeys(BANDS, float)))
    for row, at in zip(table.to_dict("records"), count(2), strict=False):
        if row["provenance"] not in PROVENANCES:
            allowed = ", ".join(PROVENANCES)
            raise InputError(f"targets {path}, row {at}: give a source and a provenance of {allowed}")
        if row["low"] > row["high"]:
            raise InputError(
                f"targets {path}, row {at}: the band of target={row['target']:g} {row['unit']} is empty; give low below "
                "high, and times and contrasts above 0"
            )
        for column, names in (known or {}).items():
            if row[column] not in names:
                raise unknown_name(column, row[column], names, key=f"{path}, row {at}")
    return table


def _with_bands(targets: pd.DataFrame) -> pd.DataFrame:
    """Fill in the bands that a file does not give."""
    logarithmic = targets["unit"].isin(LOGARITHMIC_UNITS)
    reading = targets["provenance"].map(READING).fillna(0.0)
    worse = (targets["provenance"] == "M").map({True: FROM_MEMORY, False: 1.0})
    width = (WIDTH + reading) * worse
    factor = FACTOR**worse * (1 + 2 * reading)
    low = (targets["target"] - width).where(~logarithmic, targets["target"] / factor)
    high = (targets["target"] + width).where(~logarithmic, targets["target"] * factor)
    return targets.assign(low=targets["low"].fillna(low), high=targets["high"].fillna(high))


def cortex_course(protocol: str, measure: str, areas: Sequence[str]) -> pd.DataFrame | None:
    """Return a measure in cortex at the values of a protocol's parameter.

    Args:
        protocol: contrast, duration or interval.
        measure: name of the measure.
        areas: areas that the layer is compared with; the first that is known counts.

    Returns:
        Columns `area, value, mean, low, high, source` of one area with at least two values, low and high the band; None
        where nothing is known.
    """
    targets = read_targets()
    known = targets[(targets["protocol"] == protocol) & (targets["measure"] == measure)]
    known = known.dropna(subset=["value", "target"])
    for area in areas:
        course = known[known["area"] == area]
        if course["value"].nunique() > 1:
            course = course.sort_values("value").rename(columns={"target": "mean"})
            columns = ["area", "value", "mean", "low", "high", "source"]
            return course[columns].reset_index(drop=True)
    return None
