"""What cortex does: the numbers in ``dynvision/analysis/targets``, each with its source and how it was come by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dynvision.errors import InputError
from dynvision.registry import Registry

FOLDER = Path(__file__).parents[1] / "targets"
TABLES: Registry[Path] = Registry("table of targets")  # files of one's own, beside those of the folder
COLUMNS = ("area", "protocol", "measure", "value", "unit", "target", "provenance", "source", "note")
PROVENANCES = {
    "published": "as published",
    "R": "read off a published figure",
    "D": "derived from such values",
    "M": "quoted from memory, approximate",
}


def read_targets(folder: Path = FOLDER) -> pd.DataFrame:
    """All targets of a folder's CSV files.

    Returns:
        Columns `area, protocol, measure, value, unit, target, provenance, source, note`; value and target are NaN where a
        source gives none.

    Raises:
        InputError: a file lacks a column, or says nothing of where a number comes from.
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
        parts.append(table[list(COLUMNS)])
    if not parts:
        raise InputError(f"no targets in {folder}")
    targets = pd.concat(parts, ignore_index=True)
    texts = [name for name in COLUMNS if name not in ("value", "target")]
    return targets.fillna(dict.fromkeys(texts, "")).astype({"value": float, "target": float})


def cortex_course(protocol: str, measure: str, areas: Sequence[str]) -> pd.DataFrame | None:
    """A measure in cortex at the values of a protocol's parameter.

    Args:
        protocol: contrast, duration or interval.
        measure: name of the measure.
        areas: areas that the layer is compared with; the first that is known counts.

    Returns:
        Columns `area, value, mean, low, high, source` of one area with at least two values, low and high NaN; None where
        nothing is known.
    """
    targets = read_targets()
    known = targets[(targets["protocol"] == protocol) & (targets["measure"] == measure)]
    known = known.dropna(subset=["value", "target"])
    for area in areas:
        course = known[known["area"] == area]
        if course["value"].nunique() > 1:
            course = course.sort_values("value").rename(columns={"target": "mean"})
            columns = ["area", "value", "mean", "low", "high", "source"]
            return course.assign(low=float("nan"), high=float("nan"))[columns].reset_index(drop=True)
    return None
