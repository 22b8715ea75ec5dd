"""A scorecard as text: sign tests first, numbers second."""

from __future__ import annotations

import pandas as pd

from dynvision.analysis.registry import MEASURES
from dynvision.analysis.scorecard.sign_tests import SIGN_TESTS
from dynvision.analysis.scorecard.targets import PROVENANCES

NO_VALUE = "-"


def scorecard_text(card: pd.DataFrame) -> str:
    """The scorecard of one run, to be printed.

    Args:
        card: from :func:`dynvision.analysis.scorecard.score_run`.
    """
    signs, numbers = card[card["kind"] == "sign"], card[card["kind"] == "number"]
    passed = (signs["verdict"] == "yes").sum()
    lines = [
        f"Scorecard of {card['run_id'].iloc[0]}",
        "",
        f"Signs: {passed} of {len(signs)} as in cortex",
        "",
    ]
    lines += _sign_lines(signs)
    lines += [
        "",
        "Numbers, with 95 % intervals over images; distance: difference of fractions, log2 of the ratio of times",
        "",
    ]
    lines += _number_lines(numbers)
    lines += _reasons(numbers)
    used = [name for name in PROVENANCES if name in set(numbers["provenance"])]
    lines += ["", "; ".join(f"{name}: {PROVENANCES[name]}" for name in used)]
    lines += [f"{source}" for source in dict.fromkeys(card["source"]) if source]
    return "\n".join(lines) + "\n"


def _sign_lines(signs: pd.DataFrame) -> list[str]:
    layers = list(dict.fromkeys(signs.loc[~signs["layer"].str.contains(" < "), "layer"]))
    table = [["", *layers]]
    for name, of_test in signs.groupby("name", sort=False):
        said = {row["layer"]: f"{row['verdict']} ({row['model']:+.2f})" for _, row in of_test.iterrows()}
        whole = [text for layer, text in said.items() if " < " in layer]
        cells = whole or [said.get(layer, NO_VALUE) for layer in layers]
        table.append([SIGN_TESTS[str(name)].question, *cells])
    return _aligned(table)


def _number_lines(numbers: pd.DataFrame) -> list[str]:
    table = [["measure", "at", "layer", "area", "model", "", "cortex", "", "distance"]]
    for _, row in numbers.iterrows():
        interval = "" if pd.isna(row["ci_low"]) else f"[{row['ci_low']:.3g}, {row['ci_high']:.3g}]"
        label = MEASURES[row["name"]].label
        mark = "" if row["provenance"] == "published" else row["provenance"]
        at = "" if pd.isna(row["value"]) else f"{row['protocol']} {row['shown']:g}"
        table.append(
            [f"{label} ({row['unit']})", at, row["layer"], row["area"], _number(row["model"]), interval,
             _number(row["cortex"]), mark, _number(row["distance"])]
        )  # fmt: skip
    return _aligned(table)


def _reasons(numbers: pd.DataFrame) -> list[str]:
    """Why fits have no values, a line a layer and reason."""
    absent = numbers[numbers["reason"] != ""]
    return [
        f"{layer} has no {', '.join(dict.fromkeys(MEASURES[name].label for name in rows['name']))}: {reason}"
        for (layer, reason), rows in absent.groupby(["layer", "reason"], sort=False)
    ]


def _number(value: float) -> str:
    return NO_VALUE if pd.isna(value) else f"{value:.3g}"


def _aligned(table: list[list[str]]) -> list[str]:
    n_columns = max(map(len, table))
    widths = [
        max(len(row[k]) for row in table if k < len(row) and (len(row) == n_columns or k == 0))
        for k in range(n_columns)
    ]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in table
    ]
