"""From the tables of an experiment to the table of its measures.

A measure is computed for each image, then averaged over images, with a bootstrap interval over images. Rows of
the layer ``classifier`` hold accuracies. `n_images` is the number of images that entered the mean: images whose
response has no value for a measure (no time to peak of a flat response) are not among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dynvision.analysis import accuracy, peak, summation  # noqa: F401  (registers the measures)
from dynvision.analysis.bootstrap import N_RESAMPLES, SEED, bootstrap_interval
from dynvision.analysis.cube import levels, to_cube
from dynvision.analysis.registry import MEASURES, find_measure, names_of
from dynvision.errors import InputError

CLASSIFIER_LAYER = "classifier"


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
        measures: names of measures of responses; the accuracies are always measured.
        n_resamples: draws of the bootstrap.
        seed: fixes the bootstrap.

    Returns:
        Columns `run_id, experiment, parameter, value, layer, measure, mean, ci_low, ci_high, n_images`; values
        ascending, then layers in the model's order (the classifier last), then measures.

    Raises:
        InputError: an unknown measure, tables of different runs, or a table that is not complete.
    """
    functions = {name: find_measure(name).function for name in measures}
    runs, others = (list(table["run_id"].unique()) for table in (responses, performance))
    if sorted(runs) != sorted(others):
        raise InputError(f"responses are of {', '.join(runs)} but performance is of {', '.join(others)}")
    layers = [*levels(responses["layer"]), CLASSIFIER_LAYER]
    order = [*functions, *names_of("performance")]
    parts = []
    for run_id in runs:
        of_run = responses[responses["run_id"] == run_id]
        cube = to_cube(of_run, ("value", "layer", "image", "time_ms"), ("mean",))
        response, time_ms = cube.data["mean"], cube.axes["time_ms"]
        samples = [
            (name, cube.axes["layer"], function(response, time_ms)) for name, function in functions.items()
        ]
        cube = to_cube(
            performance[performance["run_id"] == run_id],
            ("value", "image", "time_ms"),
            ("correct", "stimulus_on"),
        )
        outcome = (cube.data["correct"], cube.axes["time_ms"], cube.data["stimulus_on"][:, 0])
        for name in names_of("performance"):
            samples.append((name, np.array([CLASSIFIER_LAYER]), MEASURES[name].function(*outcome)[:, None]))
        table = pd.concat(_rows(cube.axes["value"], *sample, n_resamples, seed) for sample in samples)
        for name in ("parameter", "experiment", "run_id"):
            table.insert(0, name, str(of_run[name].iloc[0]))
        parts.append(table)
    measured = pd.concat(parts)
    measured["layer"] = pd.Categorical(measured["layer"], layers)
    measured["measure"] = pd.Categorical(measured["measure"], order)
    return measured.sort_values(["run_id", "value", "layer", "measure"], kind="stable", ignore_index=True)


def _rows(
    values: np.ndarray, measure: str, layers: np.ndarray, samples: np.ndarray, n_resamples: int, seed: int
) -> pd.DataFrame:
    """Rows of one measure from its samples (V, L, I)."""
    per_image = np.moveaxis(samples, -1, 0)
    low, high = bootstrap_interval(per_image, n_resamples=n_resamples, seed=seed)
    has_value = ~np.isnan(per_image)
    n_images = has_value.sum(axis=0)
    total = np.where(has_value, per_image, 0.0).sum(axis=0)
    mean = np.where(n_images > 0, total / np.maximum(n_images, 1), np.nan)
    return pd.DataFrame(
        {
            "value": np.repeat(values, len(layers)),
            "layer": np.tile(layers, len(values)),
            "measure": measure,
            "mean": mean.ravel(),
            "ci_low": low.ravel(),
            "ci_high": high.ravel(),
            "n_images": n_images.ravel(),
        }
    )
