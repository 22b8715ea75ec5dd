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

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import (
    N_RESAMPLES,
    SEED,
    bootstrap_interval,
    lower_median,
    mean_of_known,
    median_interval,
    percentile_interval,
    resampled_means,
)
from dynvision.analysis.registry import MEASURES, TABLES, Measure, find_measure
from dynvision.analysis.tables import Cube, identified, levels, to_cube
from dynvision.errors import InputError

CLASSIFIER_LAYER = "classifier"
NOT_FINITE = "the response is not finite"
MOST_LOST = (
    0.05  # part of the resamples that may have no value; with more, the interval would be of the others alone
)
METRICS = ("value", "layer", "measure", "mean", "ci_low", "ci_high", "n_images", "fraction")


def measure_responses(
    responses: pd.DataFrame,
    performance: pd.DataFrame,
    measures: Sequence[str],
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
) -> pd.DataFrame:
    """Measure every layer at every value of the parameter.

    Args:
        responses: table of responses, of one run or several.
        performance: table of guesses of the same runs.
        measures: names of measures; those of all values together are passed over. Accuracies are always measured.
        n_resamples: draws of the bootstrap of single trials.
        seed: fixes the bootstrap.

    Returns:
        Columns `run_id, experiment, parameter, value, layer, measure, mean, ci_low, ci_high, n_images, fraction`;
        values ascending, then layers in the model's order (the classifier last), then measures.

    Raises:
        InputError: an unknown measure, tables of different runs, or a table that is not complete.
    """
    asked = [measure for measure in map(find_measure, measures) if measure.scope != "experiment"]
    wanted = [measure for measure in asked if measure.of == "responses"]
    always = [measure for measure in MEASURES.values() if not measure.on_request]
    guessed = [*always, *(measure for measure in asked if measure.of == "performance")]
    runs, others = (list(table["run_id"].unique()) for table in (responses, performance))
    if sorted(runs) != sorted(others):
        raise InputError(f"responses are of {', '.join(runs)} but performance is of {', '.join(others)}")
    parts = []
    for run_id in runs:
        of_run = responses[responses["run_id"] == run_id]
        tables = [
            _metrics(wanted, response_cube(of_run), n_resamples, seed),
            _metrics(guessed, _guess_cube(performance, run_id, guessed), n_resamples, seed),
        ]
        parts.append(identified(pd.concat(tables), of_run))
    measured = pd.concat(parts)
    return _sorted(measured, responses, [measure.name for measure in (*wanted, *guessed)])


def summarize_responses(responses: pd.DataFrame, measures: Sequence[str], seed: int = SEED) -> pd.DataFrame:
    """Measure what every layer does at all values of the parameter together.

    Args:
        responses: table of responses, of one run or several.
        measures: names of measures of responses; those of single values are passed over.
        seed: fixes the bootstrap.

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
        cube = response_cube(of_run) if wanted else None
        rows = [] if cube is None else population_rows(wanted, cube, seed)
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
    """The responses of one run as arrays (value, layer, image, time_ms), and the stimulus as (value, time_ms).

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
    for name in needed:
        if name not in performance:
            raise InputError(f"the table of guesses lacks the column {name}; run the experiment again")
    of_run = performance[performance["run_id"] == run_id]
    cube = to_cube(of_run, ("value", "image", "time_ms"), (*needed, "stimulus_on"))
    axes = {**cube.axes, "layer": np.array([CLASSIFIER_LAYER])}
    shared = {name: cube.axes[name] for name in ("value", "time_ms")}
    return Cube(axes, {**cube.data, "stimulus_on": cube.data["stimulus_on"][:, 0], **shared})


def _metrics(measures: Sequence[Measure], cube: Cube, n_resamples: int, seed: int) -> pd.DataFrame:
    """Rows of the measures of single trials and of single values."""
    rows = []
    shape = (len(cube.axes["value"]), len(cube.axes["layer"]), len(cube.axes["image"]))
    for measure in measures:
        if measure.scope == "trace":
            samples = _call(measure, cube.data).reshape(shape)
            rows.append(_trace_rows(measure, cube, samples, n_resamples, seed))
    rows += population_rows([measure for measure in measures if measure.scope == "condition"], cube, seed)
    return pd.concat(rows) if rows else pd.DataFrame(columns=list(METRICS))


def _trace_rows(
    measure: Measure, cube: Cube, samples: np.ndarray, n_resamples: int, seed: int
) -> pd.DataFrame:
    """Rows of one measure from its samples (V, L, I)."""
    per_image = np.moveaxis(samples, -1, 0)
    n_images = (~np.isnan(per_image)).sum(axis=0)
    if measure.average == "median":
        centre = lower_median(per_image)
        low, high = median_interval(per_image, n_resamples=n_resamples, seed=seed)
    else:
        low, high = bootstrap_interval(per_image, n_resamples=n_resamples, seed=seed)
        centre = mean_of_known(per_image, axis=0)
    return _rows(measure.name, cube, centre, low, high, n_images)


def population_rows(measures: Sequence[Measure], cube: Cube, seed: int) -> list[pd.DataFrame]:
    """Rows of measures of the mean response, each function called once on the mean and on resampled means."""
    n_images = len(cube.axes["image"])
    draws: dict[int, np.ndarray] = {}
    results: dict[object, np.ndarray | dict[str, np.ndarray]] = {}
    rows = []
    for measure in measures:
        if measure.n_draws not in draws:
            by_image = np.moveaxis(cube.data["response"], 2, 0)
            draws[measure.n_draws] = np.moveaxis(resampled_means(by_image, measure.n_draws, seed), 0, 1)
        if measure.function not in results:
            data = {**cube.data, "response": draws[measure.n_draws]}  # (V, 1 + N, L, T)
            results[measure.function] = measure.function(**{name: data[name] for name in measure.needs})
        result = results[measure.function]
        values = result[measure.part] if isinstance(result, dict) else result
        values = np.moveaxis(values, 1, 0) if measure.scope == "condition" else values[:, None]
        low, high = (
            percentile_interval(values[1:]) if n_images > 1 else (np.full(values.shape[1:], np.nan),) * 2
        )
        missing = np.isnan(values[0])
        lost = np.isnan(values[1:]).mean(axis=0) > MOST_LOST if len(values) > 1 else missing
        low, high = (np.where(missing | lost, np.nan, end) for end in (low, high))
        counts = np.where(missing, 0, n_images)
        rows.append(_rows(measure.name, cube, values[0], low, high, counts))
        if measure.scope == "experiment":
            given = result.get("reason") if isinstance(result, dict) else None
            reasons = measure.absent if given is None else given[0]
            known = ~np.isnan(cube.data["response"]).any(axis=(0, 2, 3))
            reasons = np.where(known, reasons, NOT_FINITE)
            rows[-1]["reason"] = np.where(missing[0], reasons, "").astype(object)
    return rows


def _call(measure: Measure, data: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.asarray(measure.function(**{name: data[name] for name in measure.needs}))


def _rows(
    measure: str, cube: Cube, mean: np.ndarray, low: np.ndarray, high: np.ndarray, n_images: np.ndarray
) -> pd.DataFrame:
    """Rows from arrays (V, L), or (1, L) for all values together."""
    layers = cube.axes["layer"]
    values = cube.axes["value"] if len(mean) == len(cube.axes["value"]) else np.full(len(mean), np.nan)
    fraction = n_images / len(cube.axes["image"])
    columns = (mean.ravel(), low.ravel(), high.ravel(), n_images.ravel(), fraction.ravel())
    return pd.DataFrame(
        {"value": np.repeat(values, len(layers)), "layer": np.tile(layers, len(values)), "measure": measure}
        | dict(zip(METRICS[3:], columns, strict=True))
    )


def _sorted(measured: pd.DataFrame, responses: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    measured["layer"] = pd.Categorical(measured["layer"], [*levels(responses["layer"]), CLASSIFIER_LAYER])
    measured["measure"] = pd.Categorical(measured["measure"], list(dict.fromkeys(measures)))
    return measured.sort_values(["run_id", "value", "layer", "measure"], kind="stable", ignore_index=True)
