"""From the responses of a run in the protocols to its scorecard.

    distance = |model - cortex|                   for fractions and ratios
             = |log2(model / cortex)|             for times and fitted contrasts: 1 is a factor of two, either way

A value that physiologists chose is compared with the nearest that the network was shown, within a tenth of it or 2 ms.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dynvision.analysis.registry import names_of
from dynvision.analysis.scorecard.protocol import Protocol, with_interval
from dynvision.analysis.scorecard.sign_tests import SIGN_TESTS, ask, verdict
from dynvision.analysis.scorecard.targets import read_targets
from dynvision.errors import InputError, unknown_name

SCORECARD_COLUMNS = (
    "run_id", "kind", "protocol", "experiment", "name", "layer", "area", "value", "shown", "unit", "model", "ci_low",
    "ci_high", "cortex", "distance", "distance_in", "verdict", "provenance", "source", "note", "reason",
)  # fmt: skip
TEXTS = tuple(
    name
    for name in SCORECARD_COLUMNS
    if name not in ("value", "shown", "model", "ci_low", "ci_high", "cortex", "distance")
)
LOGARITHMIC_UNITS = ("ms", "contrast")
NEAR = (0.1, 2.0)  # of the value, and ms


def score_run(
    responses: Mapping[str, pd.DataFrame],
    areas: Mapping[str, Sequence[str]],
    targets: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Score one run.

    Args:
        responses: table of responses of the run by protocol: contrast, duration, interval, or some of them.
        areas: areas of cortex by layer; layers that are not there are left out.
        targets: what cortex does; None reads what ships.

    Returns:
        Columns `SCORECARD_COLUMNS`: sign tests, then numbers in the order of the targets.

    Raises:
        InputError: no layer has an area, an area has no data, or tables of different runs.
    """
    targets = read_targets() if targets is None else targets
    known = set(targets["area"])
    for names in areas.values():
        for name in names:
            if name not in known:
                raise unknown_name("area", name, known, key="scorecard.areas")
    runs = {str(run_id) for table in responses.values() for run_id in table["run_id"].unique()}
    if len(runs) != 1:
        raise InputError(
            f"a scorecard is of one run, and these tables are of {', '.join(sorted(runs)) or 'none'}"
        )
    protocols = {name: Protocol(table) for name, table in responses.items()}
    first = next(iter(protocols.values()))
    layers = [layer for layer in first.layers if layer in areas]
    if not layers:
        raise InputError(
            f"none of the layers {', '.join(first.layers)} has an area; add the model to scorecard.models"
        )
    rows = [*_signs(protocols, layers), *_numbers(protocols, layers, areas, targets)]
    table = pd.DataFrame(
        [{"run_id": runs.copy().pop(), **row} for row in rows], columns=list(SCORECARD_COLUMNS)
    )
    return table.fillna(dict.fromkeys(TEXTS, "")).astype(dict.fromkeys(TEXTS, str))


def _signs(protocols: Mapping[str, Protocol], layers: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for test in SIGN_TESTS.values():
        for layer, statistic in ask(test, protocols, layers):
            value, low, high = with_interval(statistic)
            resampled = len(statistic) > 1  # of a single image there is an answer without an interval
            rows.append(
                {
                    "kind": "sign",
                    "protocol": test.protocol,
                    "experiment": protocols[test.protocol].experiment,
                    "name": test.name,
                    "layer": layer,
                    "model": value,
                    "ci_low": low,
                    "ci_high": high,
                    "verdict": verdict(value, 0.0 if resampled and np.isnan(low) else low),
                    "source": test.source,
                    "note": test.question,
                }
            )
    return rows


def _numbers(
    protocols: Mapping[str, Protocol],
    layers: Sequence[str],
    areas: Mapping[str, Sequence[str]],
    targets: pd.DataFrame,
) -> list[dict[str, Any]]:
    rows = []
    can_be = targets["measure"].isin(names_of("responses")) & targets["target"].notna()
    measured = targets[can_be].to_dict("records")
    shown = {name: [target for target in measured if target["protocol"] == name] for name in protocols}
    for target in itertools.chain(*shown.values()):
        protocol = protocols[target["protocol"]]
        index = (
            None
            if np.isnan(target["value"])
            else nearest(target["value"], protocol.values, target["protocol"])
        )
        if index is None and not np.isnan(target["value"]):
            continue
        for layer in layers:
            if target["area"] not in areas[layer]:
                continue
            draws = protocol.of_layer(target["measure"], layer)
            value, low, high = with_interval(draws if index is None else draws[:, index])
            distance, kind = distance_of(value, target["target"], target["unit"])
            rows.append(
                {
                    "kind": "number",
                    "experiment": protocol.experiment,
                    "name": target["measure"],
                    "layer": layer,
                    "shown": np.nan if index is None else float(protocol.values[index]),
                    "model": value,
                    "ci_low": low,
                    "ci_high": high,
                    "cortex": target["target"],
                    "distance": distance,
                    "distance_in": kind,
                    "reason": protocol.reason(target["measure"], layer) if np.isnan(value) else "",
                    **{
                        name: target[name]
                        for name in ("protocol", "area", "value", "unit", "provenance", "source", "note")
                    },
                }
            )
    return rows


def nearest(value: float, shown: np.ndarray, protocol: str) -> int | None:
    """Index of the value that was shown in place of one; None if none is near."""
    index = int(np.argmin(np.abs(shown - value)))
    slack = NEAR[0] * abs(value) if protocol == "contrast" else max(NEAR[0] * abs(value), NEAR[1])
    return index if abs(shown[index] - value) <= slack + 1e-9 else None


def distance_of(model: float, cortex: float, unit: str) -> tuple[float, str]:
    """Distance of a value from that of cortex, and in what."""
    if unit not in LOGARITHMIC_UNITS:
        return abs(model - cortex), "fraction"
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.abs(np.log2(np.float64(model) / cortex))), "log2"
