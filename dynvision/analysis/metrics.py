"""From the tables of an experiment to the table of its measures, and the table of what they are together.

    metrics  measures at each value of the parameter. Of single trials: the mean over images of each image's measure, of
             times the median. Of one value beside others (`r_double`, `recovery`): the measure of the mean response over
             images.
    summary  measures of all values together (exponents, fits), of the mean response over images.

Each comes with a bootstrap interval over images: what would differ had other images been shown to the same network.
Rows of the layer ``classifier`` hold accuracies. `n_images` is the number of images that entered the mean or median, and
`fraction` their part of all images that were shown: images whose response has no value for a measure (no time to peak of a
flat response) are not among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import (
    N_RESAMPLES,
    bootstrap_interval,
    interval_of,
    lower_median,
    mean_of_known,
    median_interval,
    resampled_means,
)
from dynvision.analysis.registry import MEASURES, TABLES, Measure, find_measure
from dynvision.analysis.tables import Cube, identified, levels, to_cube
from dynvision.errors import InputError

CLASSIFIER_LAYER = "classifier"
NOT_FINITE = "the response is not finite"
N_DRAWS = 200  # resamples of the images, for measures of the mean response
METRICS = ("value", "layer", "measure", "mean", "ci_low", "ci_high", "n_images", "fraction")


def measure_responses(
    responses: pd.DataFrame,
    performance: pd.DataFrame,
    measures: Sequence[str],
    n_resamples: int = N_RESAMPLES,
) -> pd.DataFrame:
    """Measure every layer at every value of the parameter.

    Args:
        responses: table of responses, of one run or several.
        performance: table of guesses of the same runs.
        measures: names of measures; those of all values together are ignored here. Accuracies are always measured.
        n_resamples: draws of the bootstrap of single trials.

    Returns:
        Columns `run_id, experiment, parameter, value, layer, measure, mean, ci_low, ci_high, n_images, fraction`;
        values ascending, then layers in the model's order (the classifier last), then measures.

    Raises:
        InputError: an unknown measure, tables of different runs, or a table that is not complete.
    """
    asked = [measure for measure in map(find_measure, measures) if measure.scope != "experiment"]
    of_layers = [measure for measure in asked if measure.of == "responses"]
    alone, compared = ([one for one in of_layers if one.scope == scope] for scope in ("trace", "condition"))
    always = [measure for measure in MEASURES.values() if not measure.on_request]
    guessed = [*always, *(measure for measure in asked if measure.of == "performance")]
    runs, others = (list(table["run_id"].unique()) for table in (responses, performance))
    if sorted(runs) != sorted(others):
        raise InputError(f"responses are of {', '.join(runs)} but performance is of {', '.join(others)}")
    parts = []
    for run_id in runs:
        of_run = responses[responses["run_id"] == run_id]
        cube = response_cube(of_run)
        tables = [
            *trace_rows(alone, cube, n_resamples),
            *trace_rows(guessed, _guess_cube(performance, run_id, guessed), n_resamples),
        ]
        if compared:
            tables += population_rows(compared, Protocol(cube))
        parts.append(identified(pd.concat(tables), of_run))
    measured = pd.concat(parts)
    return _sorted(measured, responses, [measure.name for measure in (*of_layers, *guessed)])


def summarize_responses(responses: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Measure what every layer does at all values of the parameter together.

    Args:
        responses: table of responses, of one run or several.
        measures: names of measures of responses; those of single values are ignored here.

    Returns:
        Columns `run_id, experiment, parameter, layer, measure, mean, ci_low, ci_high, n_images, fraction, reason`, where
        `mean` is the measure of the mean response and `reason` why there is none; no rows if there is no such measure.
        The goodness of a fit follows its parameters.

    Raises:
        InputError: an unknown measure, or a table that is not complete.
    """
    wanted = with_goodness(
        [measure for measure in map(find_measure, measures) if measure.scope == "experiment"]
    )
    parts = []
    for run_id in list(responses["run_id"].unique()):
        of_run = responses[responses["run_id"] == run_id]
        rows = population_rows(wanted, Protocol(response_cube(of_run))) if wanted else []
        table = pd.concat(rows) if rows else pd.DataFrame(columns=[*METRICS, "reason"])
        parts.append(identified(table, of_run))
    measured = _sorted(pd.concat(parts), responses, [measure.name for measure in wanted])
    numbers = dict.fromkeys(("mean", "ci_low", "ci_high", "fraction"), np.float64) | {"n_images": np.int64}
    text = (
        {"measure": str, "reason": str} if measured.empty else {}
    )  # without a row, Parquet would not know what it holds
    return measured.drop(columns="value").astype({**numbers, **text})


def with_goodness(measures: Sequence[Measure]) -> list[Measure]:
    """Return measures with the goodness of each fit after the last of its parameters."""
    found = list(dict.fromkeys(measures))
    for name in dict.fromkeys(measure.goodness for measure in found if measure.goodness):
        if MEASURES[name] not in found:
            last = max(n for n, measure in enumerate(found) if measure.goodness == name)
            found.insert(last + 1, MEASURES[name])
    return found


def response_cube(responses: pd.DataFrame) -> Cube:
    """Return the responses of one run as arrays (value, layer, image, time_ms), and the stimulus as (value, time_ms).

    What is not finite is not known: infinity would be the peak of a response that explodes.

    Raises:
        InputError: a row is missing, or occurs twice.
    """
    cube = to_cube(responses, ("value", "layer", "image", "time_ms"), ("mean", "stimulus_on"))
    shown = cube.data["stimulus_on"][:, 0, 0]
    parameter = str(responses["parameter"].iloc[0])
    contrast = cube.axes["value"] if parameter == "contrast" else np.ones(len(shown))
    response = cube.data["mean"]
    if not np.isfinite(response).all():
        response = np.where(np.isfinite(response), response, np.nan)
    data = {"response": response, "stimulus_on": shown, "amplitude": shown * contrast[:, None]}
    return Cube(cube.axes, data | {name: cube.axes[name] for name in ("value", "time_ms")})


def _guess_cube(performance: pd.DataFrame, run_id: str, measures: Sequence[Measure]) -> Cube:
    needed = dict.fromkeys(name for measure in measures for name in measure.needs if name in TABLES)
    of_run = performance[performance["run_id"] == run_id]
    cube = to_cube(of_run, ("value", "image", "time_ms"), (*needed, "stimulus_on"))
    axes = {**cube.axes, "layer": np.array([CLASSIFIER_LAYER])}
    shared = {name: cube.axes[name] for name in ("value", "time_ms")}
    return Cube(axes, {**cube.data, "stimulus_on": cube.data["stimulus_on"][:, 0], **shared})


def trace_rows(measures: Sequence[Measure], cube: Cube, n_resamples: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of each measure of single trials."""
    shape = tuple(len(cube.axes[axis]) for axis in ("value", "layer", "image"))
    for measure in measures:
        per_image = np.moveaxis(np.asarray(measure.compute(cube.data)).reshape(shape), -1, 0)
        n_images = (~np.isnan(per_image)).sum(axis=0)
        if measure.average == "median":
            centre = lower_median(per_image)
            low, high = median_interval(per_image, n_resamples)
        else:
            centre = mean_of_known(per_image, axis=0)
            low, high = bootstrap_interval(per_image, n_resamples)
        yield _rows(measure.name, cube, centre, low, high, n_images)


class Protocol:
    """The mean responses of one run in one experiment, and those of images drawn again, measured when asked.

    Args:
        cube: of :func:`response_cube`.
        experiment: its name.

    Attributes:
        layers: names of the layers, (L,).
        values: values of the parameter, ascending, (V,).
    """

    def __init__(self, cube: Cube, experiment: str = "") -> None:
        self.experiment, self.axes = experiment, cube.axes
        self.layers = [str(layer) for layer in cube.axes["layer"]]
        self.values = cube.axes["value"]
        by_image = np.moveaxis(cube.data["response"], 2, 0)
        draws = resampled_means(by_image, N_DRAWS if len(by_image) > 1 else 0)
        self._data = {**cube.data, "response": np.moveaxis(draws, 0, 1)}  # (V, 1 + N, L, T)
        self._results: dict[object, Any] = {}

    def measure(self, name: str) -> np.ndarray:
        """Return a measure of the mean response, first, and of its resamples.

        Returns:
            (1 + N, V, L), or (1 + N, L) for a measure of all values together; fits have fewer resamples.
        """
        measure, result = MEASURES[name], self._result(name)
        values: np.ndarray = result[measure.part] if isinstance(result, dict) else result
        return values if measure.scope == "experiment" else np.moveaxis(values, 1, 0)

    def of_layer(self, name: str, layer: str) -> np.ndarray:
        """Return a measure of one layer, (1 + N, V) or (1 + N,)."""
        return self.measure(name)[..., self.layers.index(layer)]

    def reasons(self, name: str) -> np.ndarray:
        """Return why a measure of all values has no value, by layer, (L,) of text; empty where it has one."""
        result, given = self._result(name), MEASURES[name].absent
        if isinstance(result, dict) and "reason" in result:
            given = result["reason"][0]
        known = ~np.isnan(self._data["response"][:, 0]).any(axis=(0, 2))
        return np.where(np.isnan(self.measure(name)[0]), np.where(known, given, NOT_FINITE), "").astype(
            object
        )

    def _result(self, name: str) -> Any:
        """Return what a measure's function returns, which is called once for all of its parts."""
        measure = MEASURES[name]
        if measure.function not in self._results:
            response = self._data["response"][:, : 1 + measure.n_draws]
            self._results[measure.function] = measure.compute({**self._data, "response": response})
        return self._results[measure.function]


def population_rows(measures: Sequence[Measure], protocol: Protocol) -> list[pd.DataFrame]:
    """Return rows of measures of the mean response."""
    n_images = len(protocol.axes["image"])
    rows = []
    for measure in measures:
        values = protocol.measure(measure.name)
        if measure.scope == "experiment":
            values = values[:, None]
        counts = np.where(np.isnan(values[0]), 0, n_images)
        table = _rows(measure.name, protocol, values[0], *interval_of(values), counts)
        if measure.scope == "experiment":
            table["reason"] = protocol.reasons(measure.name)
        rows.append(table)
    return rows


def _rows(
    measure: str,
    source: Cube | Protocol,
    mean: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    n_images: np.ndarray,
) -> pd.DataFrame:
    """Return rows from arrays (V, L), or (1, L) for all values together."""
    layers, values, images = (source.axes[axis] for axis in ("layer", "value", "image"))
    values = values if len(mean) == len(values) else np.full(len(mean), np.nan)
    fraction = n_images / len(images)
    columns = (mean.ravel(), low.ravel(), high.ravel(), n_images.ravel(), fraction.ravel())
    return pd.DataFrame(
        {"value": np.repeat(values, len(layers)), "layer": np.tile(layers, len(values)), "measure": measure}
        | dict(zip(METRICS[3:], columns, strict=True))
    )


def _sorted(measured: pd.DataFrame, responses: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    measured["layer"] = pd.Categorical(measured["layer"], [*levels(responses["layer"]), CLASSIFIER_LAYER])
    measured["measure"] = pd.Categorical(measured["measure"], list(dict.fromkeys(measures)))
    return measured.sort_values(["run_id", "value", "layer", "measure"], kind="stable", ignore_index=True)
