"""A scorecard as text: sign tests first, numbers second.

Scorecards of runs that differ in their seed only, as one: means over seeds with two intervals, distinguished.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from dynvision.analysis.bootstrap import seed_intervals
from dynvision.analysis.conditions import Condition
from dynvision.analysis.metrics import CLASSIFIER_LAYER
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.scorecard.phenomena import LEVEL, PHENOMENA
from dynvision.analysis.scorecard.targets import PROVENANCES
from dynvision.text import aligned

NO_VALUE = "-"
NETWORK = "network"  # among scorecards of controls


def scorecard_text(card: pd.DataFrame) -> str:
    """Return the scorecard of one run, to be printed.

    Args:
        card: from :func:`dynvision.analysis.scorecard.score_run`.
    """
    signs, numbers = card[card["kind"] == "sign"], card[card["kind"] == "number"]
    behaves = signs["layer"] == CLASSIFIER_LAYER
    lines = [f"Scorecard of {card['run_id'].iloc[0]}", ""]
    for name, whose, of_part in (
        ("Signs", "cortex", signs[~behaves]),
        ("Behaviour", "people", signs[behaves]),
    ):
        if len(of_part):
            absent = int((of_part["verdict"] == "not measured").sum())
            beside = f", {absent} not measured" if absent else ""
            lines += [f"{name}: {_count(of_part)} as in {whose}{beside}", "", *_sign_lines(of_part), ""]
    if signs["q"].notna().any():
        lines += [
            f"After correction for {signs['q'].notna().sum()} questions (Benjamini-Hochberg, q <= {LEVEL:g}): "
            f"{((signs['verdict'] == 'yes') & (signs['q'] <= LEVEL)).sum()} of {len(signs)}"
        ]
    lines += [*_not_asked(signs), *_cannot_be_asked(signs)]
    lines += ["", *_target_lines(signs[signs["cortex"].notna()])]
    if len(numbers):
        lines += [
            "Numbers, with 95 % intervals over images; distance: difference of fractions, log2 of the ratio of times; "
            f"= : the interval reaches the band of cortex, {within_band(numbers).sum()} of {len(numbers)}",
            "",
            *_number_lines(numbers),
            *_reasons(numbers),
            "",
        ]
    used = [name for name in PROVENANCES if name in set(card["provenance"])]
    lines += ["; ".join(f"{name}: {PROVENANCES[name]}" for name in used)]
    lines += [f"{source}" for source in dict.fromkeys(card["source"]) if source]
    return "\n".join(lines) + "\n"


def controls_text(cards: Mapping[str, pd.DataFrame]) -> str:
    """Return the verdicts of a network and its controls side by side, to be printed.

    Args:
        cards: scorecards; the network's first, then those of its controls by what they share with it.
    """
    signs = {name: card[card["kind"] == "sign"] for name, card in cards.items()}
    verdicts = [
        {(row["name"], row["layer"]): _verdict(row) for row in of_card.to_dict("records")}
        for of_card in signs.values()
    ]
    heads = [name if name == NETWORK else f"same {name}" for name in cards]
    table = [["", "layer", *heads], ["as in cortex or people", "", *map(_count, signs.values())]]
    for name, layer in verdicts[0]:
        cells = [of_card.get((name, layer), NO_VALUE) for of_card in verdicts]
        table.append([PHENOMENA[str(name)].question, str(layer), *cells])
    return "\n".join(aligned(table)) + "\n"


def within_band(rows: pd.DataFrame) -> pd.Series:
    """Return which rows have an interval (or, without one, a value) that reaches the band of cortex."""
    low, high = (rows[end].fillna(rows["model"]) for end in ("ci_low", "ci_high"))
    return (low <= rows["cortex_high"]) & (high >= rows["cortex_low"])


def _count(signs: pd.DataFrame) -> str:
    return f"{(signs['verdict'] == 'yes').sum()} of {len(signs)}"


def _verdict(row: Mapping[Hashable, Any]) -> str:
    """Return the verdict of a row with its statistic, if it has one."""
    return str(row["verdict"]) + ("" if pd.isna(row["model"]) else f" ({row['model']:+.2f})")


def _sign_lines(signs: pd.DataFrame) -> list[str]:
    layers = list(dict.fromkeys(signs.loc[~signs["layer"].str.contains(" < "), "layer"]))
    table = [["", *layers]] if layers != [CLASSIFIER_LAYER] else []
    for name, of_test in signs.groupby("name", sort=False):
        verdicts = {row["layer"]: _verdict(row) for row in of_test.to_dict("records")}
        whole = [text for layer, text in verdicts.items() if " < " in layer]
        cells = whole or [verdicts.get(layer, NO_VALUE) for layer in layers]
        table.append([PHENOMENA[str(name)].question, *cells])
    return aligned(table)


def _not_asked(signs: pd.DataFrame) -> list[str]:
    """Return phenomena that are known of natural images alone, where what was shown is something else."""
    shown, asked = set(signs["protocol"]), set(signs["name"])
    hierarchy = signs.loc[signs["layer"] != CLASSIFIER_LAYER, "layer"].nunique() > 1
    missing = [
        one.question
        for one in PHENOMENA.values()
        if one.natural
        and one.protocol in shown
        and one.name not in asked
        and (hierarchy or one.of == "layer")
    ]
    return [f"Not asked, since it is known of natural images alone: {question}" for question in missing]


def _cannot_be_asked(signs: pd.DataFrame) -> list[str]:
    """Return phenomena that the responses cannot answer, and why; a line each."""
    absent = signs[signs["reason"] != ""]
    lines = []
    for (name, reason), rows in absent.groupby(["name", "reason"], sort=False):
        layers = [layer for layer in rows["layer"] if layer != CLASSIFIER_LAYER and " < " not in layer]
        whose = f" ({', '.join(layers)})" if layers else ""
        lines.append(f"Not measured: {PHENOMENA[str(name)].question}{whose} It {reason}")
    return lines


def _target_lines(signs: pd.DataFrame) -> list[str]:
    """Return statistics whose value is known, beside it."""
    if signs.empty:
        return []
    table = [["statistic", "layer", "area", "model", "", "known", "band", "", ""]]
    for (_, row), inside in zip(signs.iterrows(), within_band(signs), strict=True):
        question = PHENOMENA[row["name"]].question + (" (ms)" if row["unit"] == "ms" else "")
        model = (_number(row["model"]), _interval(row["ci_low"], row["ci_high"]))
        known = (_number(row["cortex"]), _interval(row["cortex_low"], row["cortex_high"]), _mark(row))
        table.append([question, row["layer"], row["area"], *model, *known, "=" if inside else ""])
    return [*aligned(table), ""]


def _number_lines(numbers: pd.DataFrame) -> list[str]:
    table = [["measure", "at", "layer", "area", "model", "", "cortex", "", "distance", ""]]
    for (_, row), inside in zip(numbers.iterrows(), within_band(numbers), strict=True):
        label = f"{MEASURES[row['name']].label} ({row['unit']})"
        at = "" if pd.isna(row["value"]) else f"{row['protocol']} {row['shown']:g}"
        model = (_number(row["model"]), _interval(row["ci_low"], row["ci_high"]))
        known = (_number(row["cortex"]), _mark(row), _number(row["distance"]))
        table.append([label, at, row["layer"], row["area"], *model, *known, "=" if inside else ""])
    return aligned(table)


def _mark(row: pd.Series) -> str:
    """Return where a known value comes from, in a letter; nothing for a published one."""
    return "" if row["provenance"] == "published" else str(row["provenance"])


def _reasons(numbers: pd.DataFrame) -> list[str]:
    """Return why fits have no values, a line a layer and reason."""
    absent = numbers[numbers["reason"] != ""]
    return [
        f"{layer} has no {', '.join(dict.fromkeys(MEASURES[name].label for name in rows['name']))}: {reason}"
        for (layer, reason), rows in absent.groupby(["layer", "reason"], sort=False)
    ]


def _number(value: float) -> str:
    return NO_VALUE if pd.isna(value) else f"{value:.3g}"


def _interval(low: float, high: float) -> str:
    return "" if pd.isna(low) else f"[{low:.3g}, {high:.3g}]"


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
    signs = table.assign(n_yes=table["verdict"] == "yes")
    groups = signs.groupby(["condition", *KEYS], dropna=False, sort=False)
    averaged["n_yes"] = pd.array(groups["n_yes"].sum().to_numpy(), dtype="Int64")
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
        table = []
        for _, row in rows.iterrows():
            at = "" if pd.isna(row["value"]) else f" {row['value']:g}"
            what = f"{row['name']}{at}, {row['layer']}" + (f" as {row['area']}" if row["area"] else "")
            beside = f"{row['n_yes']} of {n} yes" if row["kind"] == "sign" else f"cortex {row['cortex']:.3g}"
            interval = _interval(row["seeds_low"], row["seeds_high"])
            table.append([what, f"{row['model']:.3g}", interval, beside])
        lines += [*aligned(table, right=(1,)), ""]
    return "\n".join(lines)
