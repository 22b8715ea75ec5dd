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

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dynvision.config.measures import TARGET_TABLES as TABLES
from dynvision.errors import InputError

FOLDER = Path(__file__).parents[1] / "targets"
BANDS = ("low", "high")
WIDTH, FACTOR = 0.10, 1.15
READING = {"R": 0.01, "D": 0.01}  # of an axis
FROM_MEMORY = 2.0
COLUMNS = ("area", "protocol", "measure", "value", "unit", "target", "provenance", "source", "note")
LOGARITHMIC_UNITS = ("ms", "contrast")
PROVENANCES = {
    "published": "as published",
    "R": "read off a published figure",
    "D": "derived from such values",
    "M": "quoted from memory, approximate",
}


def read_targets(folder: Path = FOLDER) -> pd.DataFrame:
    """Read all targets of a folder's CSV files.

    Returns:
        Columns `area, protocol, measure, value, unit, target, provenance, source, note, low, high`; value and target are
        NaN where a source gives none.

    Raises:
        InputError: a file lacks a column, or does not state where a number comes from.
    """
    parts = []
    for path in [*sorted(folder.glob("*.csv")), *(TABLES.values() if folder == FOLDER else ())]:
        table = pd.read_csv(path, dtype={name: str for name in COLUMNS if name not in ("value", "target")})
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise InputError(f"targets {path} lack the columns {', '.join(missing)}")
        for index, row in table.iterrows():
            if row["provenance"] not in PROVENANCES or pd.isna(row["source"]):
                raise InputError(
                    f"targets {path}, row {int(str(index)) + 2}: give a source and a provenance of {', '.join(PROVENANCES)}"
                )
        parts.append(table.reindex(columns=[*COLUMNS, *BANDS]))
    if not parts:
        raise InputError(f"no targets in {folder}")
    targets = pd.concat(parts, ignore_index=True)
    texts = [name for name in COLUMNS if name not in ("value", "target")]
    numbers = dict.fromkeys(("value", "target", *BANDS), float)
    return _with_bands(targets.fillna(dict.fromkeys(texts, "")).astype(numbers))


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
