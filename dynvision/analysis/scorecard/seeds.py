"""Scorecards of runs that differ in their seed only, as one: means over seeds with two intervals, told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dynvision.analysis.conditions import Condition
from dynvision.analysis.seeds import seed_intervals

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
