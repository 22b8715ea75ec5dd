"""A scorecard as text: sign tests first, numbers second.

Scorecards of runs that differ in their seed only, as one: means over seeds with two intervals, told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dynvision.analysis.bootstrap import seed_intervals
from dynvision.analysis.conditions import Condition
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.scorecard.sign_tests import SIGN_TESTS
from dynvision.analysis.scorecard.targets import PROVENANCES
from dynvision.text import aligned

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
    return aligned(table)


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
    return aligned(table)


def _reasons(numbers: pd.DataFrame) -> list[str]:
    """Why fits have no values, a line a layer and reason."""
    absent = numbers[numbers["reason"] != ""]
    return [
        f"{layer} has no {', '.join(dict.fromkeys(MEASURES[name].label for name in rows['name']))}: {reason}"
        for (layer, reason), rows in absent.groupby(["layer", "reason"], sort=False)
    ]


def _number(value: float) -> str:
    return NO_VALUE if pd.isna(value) else f"{value:.3g}"


KEYS = ("kind", "protocol", "name", "layer", "area", "value", "unit", "cortex", "source")


def seed_scorecard(cards: Mapping[str, pd.DataFrame], conditions: Sequence[Condition]) -> pd.DataFrame:
    """Average the scorecards of each condition over its seeds.

    Args:
        cards: scorecard by run.
        conditions: which runs repeat each other.

    Returns:
        Columns `condition` (its first run), `kind, protocol, name, layer, area, value, unit, cortex, source`, `model` (mean
        over seeds), `images_low, images_high` (over images, of a run), `seeds_low, seeds_high` (over seeds), `n_seeds`, and
        for sign tests `n_yes`, the seeds whose verdict is yes. Conditions with one seed are left out.
    """
    repeated = [condition for condition in conditions if len(condition.run_ids) > 1]
    number_of = {run_id: n for n, condition in enumerate(repeated) for run_id in condition.run_ids}
    if not repeated:
        return pd.DataFrame()
    table = pd.concat([cards[run_id] for run_id in number_of], ignore_index=True)
    table = table.rename(columns={"model": "mean"}).assign(n_images=0)
    averaged = seed_intervals(table, number_of, KEYS).drop(columns="n_images")
    table["condition"] = table["run_id"].map(number_of)
    said = table.assign(n_yes=table["verdict"] == "yes").groupby(
        ["condition", *KEYS], dropna=False, sort=False
    )
    averaged["n_yes"] = pd.array(said["n_yes"].sum().to_numpy(), dtype="Int64")
    averaged.loc[averaged["kind"] != "sign", "n_yes"] = pd.NA
    averaged["condition"] = averaged["condition"].map(lambda n: repeated[n].run_ids[0])
    return averaged.rename(columns={"mean": "model"})


def seeds_text(averaged: pd.DataFrame) -> str:
    """Scorecards over seeds, to be printed."""
    lines = []
    for condition, rows in averaged.groupby("condition", sort=False):
        n = int(rows["n_seeds"].max())
        lines += [
            f"Over {n} seeds, with 95 % bootstrap intervals over seeds: {condition} and its repetitions",
            "",
        ]
        for _, row in rows.iterrows():
            at = "" if pd.isna(row["value"]) else f" {row['value']:g}"
            what = f"{row['name']}{at}, {row['layer']}" + (f" as {row['area']}" if row["area"] else "")
            beside = f"{row['n_yes']} of {n} yes" if row["kind"] == "sign" else f"cortex {row['cortex']:.3g}"
            lines.append(
                f"{what:<60}  {row['model']:.3g} [{row['seeds_low']:.3g}, {row['seeds_high']:.3g}]  {beside}"
            )
        lines.append("")
    return "\n".join(lines)
