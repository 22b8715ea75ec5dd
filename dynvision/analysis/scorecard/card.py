"""From the responses and guesses of a run in the protocols to its scorecard.

    distance = |model - cortex|                   for fractions and ratios
             = |log2(model / cortex)|             for times and fitted contrasts: 1 is a factor of two, either way

A value that physiologists chose is compared with the nearest that the network was shown, within a tenth of it or 2 ms.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import interval_of
from dynvision.analysis.metrics import CLASSIFIER_LAYER, Protocol, response_cube
from dynvision.analysis.registry import MEASURES
from dynvision.analysis.scorecard.behaviour import Guesses
from dynvision.analysis.scorecard.phenomena import PEOPLE, PHENOMENA, Phenomenon, corrected, p_of, verdict
from dynvision.analysis.scorecard.targets import LOGARITHMIC_UNITS, read_targets
from dynvision.errors import InputError, unknown_name

NUMBERS = (
    "value", "shown", "model", "ci_low", "ci_high", "cortex", "cortex_low", "cortex_high", "distance", "p", "q",
)  # fmt: skip
SCORECARD_COLUMNS = (
    "run_id", "kind", "protocol", "experiment", "name", "layer", "area", "value", "shown", "unit", "model", "ci_low",
    "ci_high", "cortex", "cortex_low", "cortex_high", "distance", "distance_in", "verdict", "p", "q", "provenance",
    "source", "note", "reason",
)  # fmt: skip
TEXTS = tuple(name for name in SCORECARD_COLUMNS if name not in NUMBERS)
NEAR = (0.1, 2.0)  # of the value, and ms


def score_run(
    responses: Mapping[str, pd.DataFrame],
    areas: Mapping[str, Sequence[str]],
    targets: pd.DataFrame | None = None,
    performance: Mapping[str, pd.DataFrame] | None = None,
    natural_images: bool = True,
) -> pd.DataFrame:
    """Score one run.

    Args:
        responses: table of responses of the run by protocol, as far as they were shown.
        areas: areas of cortex by layer; layers that are not there are left out.
        targets: what cortex does; None reads what ships.
        performance: table of guesses of the run by protocol, for phenomena of behaviour.
        natural_images: whether the images are photographs; what was found with those alone is not asked of others.

    Returns:
        Columns `SCORECARD_COLUMNS`: sign tests, then numbers in the order of the targets.

    Raises:
        InputError: no layer has an area, an area has no data, tables of different runs, a table of guesses without a column
            that is needed, or a target whose measure is not of what it is a target of.
    """
    targets = read_targets() if targets is None else targets
    known = set(targets["area"])
    for names in areas.values():
        for name in names:
            if name not in known:
                raise unknown_name("area", name, known, key="scorecard.areas")
    given = (*responses.values(), *(performance or {}).values())
    runs = {str(run_id) for table in given for run_id in table["run_id"].unique()}
    if len(runs) != 1:
        raise InputError(
            f"a scorecard is of one run, and these tables are of {', '.join(sorted(runs)) or 'none'}"
        )
    (run_id,) = runs
    protocols = {
        name: Protocol(response_cube(table), str(table["experiment"].iloc[0]))
        for name, table in responses.items()
    }
    guesses = {name: Guesses(table) for name, table in (performance or {}).items()}
    layers: list[str] = []
    if protocols:
        first = next(iter(protocols.values()))
        layers = [layer for layer in first.layers if layer in areas]
        if not layers:
            raise InputError(
                f"none of the layers {', '.join(first.layers)} has an area; add the model to scorecard.models"
            )
    rows = [
        *_signs(protocols, guesses, layers, areas, natural_images),
        *_numbers(protocols, guesses, layers, areas, targets),
    ]
    table = pd.DataFrame([{"run_id": run_id, **row} for row in rows], columns=list(SCORECARD_COLUMNS))
    table = table.astype(dict.fromkeys(NUMBERS, float) | dict.fromkeys(TEXTS, object))
    table["q"] = corrected(table["p"].to_numpy())
    return table.fillna(dict.fromkeys(TEXTS, "")).astype(dict.fromkeys(TEXTS, str))


def ask(
    phenomenon: Phenomenon,
    protocols: Mapping[str, Protocol],
    guesses: Mapping[str, Guesses],
    layers: Sequence[str],
) -> list[tuple[str, np.ndarray]]:
    """Return the statistic of a phenomenon for each layer, all of them, or the classifier; none where it was not shown."""
    if phenomenon.of == "behaviour":
        made = guesses.get(phenomenon.protocol)
        return [] if made is None else [(CLASSIFIER_LAYER, phenomenon.statistic(made))]
    protocol = protocols.get(phenomenon.protocol)
    if protocol is None:
        return []
    if phenomenon.of == "layer":
        return [(layer, phenomenon.statistic(protocol, layer)) for layer in layers]
    return [(" < ".join(layers), phenomenon.statistic(protocol, list(layers)))] if len(layers) > 1 else []


def _signs(
    protocols: Mapping[str, Protocol],
    guesses: Mapping[str, Guesses],
    layers: Sequence[str],
    areas: Mapping[str, Sequence[str]],
    natural_images: bool,
) -> Iterator[dict[str, Any]]:
    for phenomenon in sorted(PHENOMENA.values(), key=lambda one: one.of == "behaviour"):
        if phenomenon.natural and not natural_images:
            continue
        shown = guesses if phenomenon.of == "behaviour" else protocols
        for layer, statistic in ask(phenomenon, protocols, guesses, layers):
            value, (low, high) = float(statistic[0]), map(float, interval_of(statistic))
            resampled = len(statistic) > 1  # of a single image there is an answer without an interval
            yield {
                "kind": "sign",
                "protocol": phenomenon.protocol,
                "experiment": shown[phenomenon.protocol].experiment,
                "name": phenomenon.name,
                "layer": layer,
                "model": value,
                "ci_low": low,
                "ci_high": high,
                "verdict": verdict(value, 0.0 if resampled and np.isnan(low) else low),
                "p": p_of(statistic),
                "source": phenomenon.source,
                "note": phenomenon.question,
                "reason": f"cannot be asked of {phenomenon.cannot}"
                if np.isnan(value) and phenomenon.cannot
                else "",
                **_target(phenomenon, value, areas.get(layer, ())),
            }


def _target(phenomenon: Phenomenon, value: float, areas: Sequence[str]) -> dict[str, Any]:
    """Return the number of a phenomenon, as columns; none where a sign alone is compared, or of another area."""
    target = phenomenon.target
    if target is None or (phenomenon.of == "layer" and target.area not in areas):
        return {}
    distance, kind = distance_of(value, target.value, target.unit)
    return {
        "area": target.area,
        "unit": target.unit,
        "cortex": target.value,
        "cortex_low": target.low,
        "cortex_high": target.high,
        "distance": distance,
        "distance_in": kind,
        "provenance": target.provenance,
    }


def _numbers(
    protocols: Mapping[str, Protocol],
    guesses: Mapping[str, Guesses],
    layers: Sequence[str],
    areas: Mapping[str, Sequence[str]],
    targets: pd.DataFrame,
) -> list[dict[str, Any]]:
    rows = []
    measured = targets[targets["measure"].isin(list(MEASURES)) & targets["target"].notna()].to_dict("records")
    shown = dict.fromkeys((*protocols, *guesses))
    for target in itertools.chain(*([one for one in measured if one["protocol"] == name] for name in shown)):
        of_guesses = target["area"] == PEOPLE
        measure = MEASURES[target["measure"]]
        if measure.of != ("performance" if of_guesses else "responses"):
            raise InputError(
                f"the target {measure.name} of {target['area']} is a measure of {measure.of}; "
                f"targets of {PEOPLE} are of performance, those of areas of cortex of responses"
            )
        source = (guesses if of_guesses else protocols).get(target["protocol"])
        if source is None:
            continue
        index = (
            None if np.isnan(target["value"]) else nearest(target["value"], source.values, target["protocol"])
        )
        if index is None and not np.isnan(target["value"]):
            continue
        for layer in (CLASSIFIER_LAYER,) if of_guesses else layers:
            if not of_guesses and target["area"] not in areas[layer]:
                continue
            reason = ""
            if isinstance(source, Protocol):
                draws = source.of_layer(measure.name, layer)
                if measure.scope == "experiment":
                    reason = source.reasons(measure.name)[source.layers.index(layer)]
            else:
                draws = source.measure(measure.name)
            draws = draws if index is None else draws[:, index]
            value, (low, high) = float(draws[0]), map(float, interval_of(draws))
            distance, kind = distance_of(value, target["target"], target["unit"])
            rows.append(
                {
                    "kind": "number",
                    "experiment": source.experiment,
                    "name": measure.name,
                    "layer": layer,
                    "shown": np.nan if index is None else float(source.values[index]),
                    "model": value,
                    "ci_low": low,
                    "ci_high": high,
                    "cortex": target["target"],
                    "cortex_low": target["low"],
                    "cortex_high": target["high"],
                    "distance": distance,
                    "distance_in": kind,
                    "reason": reason,
                    **{
                        name: target[name]
                        for name in ("protocol", "area", "value", "unit", "provenance", "source", "note")
                    },
                }
            )
    return rows


def nearest(value: float, shown: np.ndarray, protocol: str) -> int | None:
    """Return the index of the value that was shown in place of one; None if none is near."""
    index = int(np.argmin(np.abs(shown - value)))
    slack = NEAR[0] * abs(value) if protocol in ("contrast", "noise") else max(NEAR[0] * abs(value), NEAR[1])
    return index if abs(shown[index] - value) <= slack + 1e-9 else None


def distance_of(model: float, cortex: float, unit: str) -> tuple[float, str]:
    """Return the distance of a value from that of cortex, and in what."""
    if unit not in LOGARITHMIC_UNITS:
        return abs(model - cortex), "fraction"
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.abs(np.log2(np.float64(model) / cortex))), "log2"
