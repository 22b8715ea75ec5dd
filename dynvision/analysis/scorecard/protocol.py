"""One protocol on one run, ready to be asked: mean responses of layers, or guesses, and resamples of the images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import SEED, percentile_interval, resampled_means, resampling_weights
from dynvision.analysis.decisions import RACE, Decisions, decide
from dynvision.analysis.metrics import MOST_LOST, response_cube
from dynvision.analysis.registry import MEASURES, TABLES, Measure
from dynvision.analysis.tables import Cube, to_cube
from dynvision.analysis.time_grid import after_onset, sample_interval
from dynvision.errors import InputError

N_DRAWS = 200


class Protocol:
    """The responses of one run in one experiment, measured when asked.

    Args:
        responses: table of responses of one run.
        n_draws: resamples of the images.
        seed: fixes them.

    Attributes:
        experiment: its name.
        layers: names of the layers, (L,).
        values: values of the parameter, ascending, (V,).
        dt: sampling interval in ms.
        n_images: images that were shown.
    """

    def __init__(self, responses: pd.DataFrame, n_draws: int = N_DRAWS, seed: int = SEED) -> None:
        self.experiment = str(responses["experiment"].iloc[0])
        cube = response_cube(responses)
        self.layers = [str(layer) for layer in cube.axes["layer"]]
        self.values = cube.axes["value"]
        self.dt = sample_interval(cube.axes["time_ms"])
        self.n_images = len(cube.axes["image"])
        by_image = np.moveaxis(cube.data["response"], 2, 0)
        draws = resampled_means(by_image, n_draws if self.n_images > 1 else 0, seed)
        self._cube = Cube(cube.axes, {**cube.data, "response": np.moveaxis(draws, 0, 1)})  # (V, 1 + N, L, T)
        self._measured: dict[object, np.ndarray | dict[str, np.ndarray]] = {}

    def measure(self, name: str) -> np.ndarray:
        """A measure of the mean response, first, and of its resamples.

        Returns:
            (1 + N, V, L), or (1 + N, L) for a measure of all values together; fits have fewer resamples.
        """
        measure: Measure = MEASURES[name]
        if measure.function not in self._measured:
            response = self._cube.data["response"]
            if measure.part:
                response = response[:, : 1 + measure.n_draws]
            data = {**self._cube.data, "response": response}
            self._measured[measure.function] = measure.function(
                **{need: data[need] for need in measure.needs}
            )
        result = self._measured[measure.function]
        values = result[measure.part] if isinstance(result, dict) else result
        return values if measure.scope == "experiment" else np.moveaxis(values, 1, 0)

    def reason(self, name: str, layer: str) -> str:
        """Why a measure of one layer has no value; empty where that is not known."""
        self.measure(name)
        result = self._measured[MEASURES[name].function]
        given = result.get("reason") if isinstance(result, dict) else None
        return MEASURES[name].absent if given is None else str(given[0, self.layers.index(layer)])

    def of_layer(self, name: str, layer: str) -> np.ndarray:
        """A measure of one layer, (1 + N, V) or (1 + N,)."""
        return self.measure(name)[..., self.layers.index(layer)]


class Guesses:
    """The guesses of one run in one experiment.

    Args:
        performance: table of guesses of one run.
        n_draws: resamples of the images.
        seed: fixes them.

    Attributes:
        experiment: its name.
        values: values of the parameter, ascending, (V,).
        time_ms: times in ms, (T,).
        n_images: images that were shown.
    """

    def __init__(self, performance: pd.DataFrame, n_draws: int = N_DRAWS, seed: int = SEED) -> None:
        self.experiment = str(performance["experiment"].iloc[0])
        columns = [name for name, of in TABLES.items() if of == "performance" and name in performance]
        cube = to_cube(performance, ("value", "image", "time_ms"), (*columns, "stimulus_on"))
        self.values, self.time_ms = cube.axes["value"], cube.axes["time_ms"]
        self.n_images = len(cube.axes["image"])
        self._data = {**cube.data, "stimulus_on": cube.data["stimulus_on"][:, 0]}
        self._weights = resampling_weights(self.n_images, n_draws if self.n_images > 1 else 0, seed)
        self._decisions: dict[float, Decisions] = {}

    def mean(self, x: np.ndarray) -> np.ndarray:
        """Return the mean over images of (V, I), without NaN, and that of each resample: (1 + N, V)."""
        known = ~np.isnan(x)
        total = self._weights @ np.where(known, x, 0.0).T
        part = self._weights @ known.T.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(part > 0, total / part, np.nan)

    def measure(self, name: str) -> np.ndarray:
        """A measure of guesses, as the mean over images, and of each resample: (1 + N, V).

        Raises:
            InputError: the table is of before, without a column that the measure needs.
        """
        data = {**self._data, "time_ms": self.time_ms, "value": self.values}
        measure = MEASURES[name]
        self._require(need for need in measure.needs if need in TABLES)
        return self.mean(np.asarray(measure.function(**{need: data[need] for need in measure.needs})))

    def peak_accuracy(self) -> np.ndarray:
        """Return the highest accuracy after onset at any one time, of all images and of each resample: (1 + N, V)."""
        recorded = self._data["correct"][..., after_onset(self.time_ms)].astype(np.float64)
        return np.stack([(self._weights @ of_value).max(axis=-1) for of_value in recorded], axis=1)

    def solved_ms(self) -> np.ndarray:
        """Return the time from which the guess is right until the image ends, (V, I); NaN where it is wrong at its end."""
        solved = np.full(self._data["correct"].shape[:2], np.nan)
        for v, on in enumerate(self._data["stimulus_on"]):
            shown = on & after_onset(self.time_ms)
            wrong = ~self._data["correct"][v][:, shown].astype(bool)
            if wrong.shape[1]:
                first = np.where(wrong.any(axis=1), wrong.shape[1] - wrong[:, ::-1].argmax(axis=1), 0)
                at = np.append(self.time_ms[shown], np.nan)
                solved[v] = at[first]
        return solved

    def decisions(self, bound_ms: float) -> Decisions:
        """Return what is decided at a bound of certainty.

        Raises:
            InputError: the table is of before, without the columns of the race.
        """
        self._require((*RACE, "evidence_guess"))
        if bound_ms not in self._decisions:
            self._decisions[bound_ms] = decide(self._data, self.time_ms, bound_ms)
        return self._decisions[bound_ms]

    def _require(self, columns: Iterable[str]) -> None:
        if missing := [name for name in columns if name not in self._data]:
            raise InputError(
                f"the guesses of {self.experiment} lack the columns {', '.join(missing)}; run the experiment again"
            )

    def choices(self, bound_ms: float) -> np.ndarray:
        """Return the class that wins the race to a bound, (V, I); where none reaches it, the leader at the end."""
        return self.decisions(bound_ms).choice


def with_interval(draws: np.ndarray) -> tuple[float, float, float]:
    """The value of a measure and its interval, from itself and its resamples (1 + N,).

    There is no interval where there is no value, or none of too many resamples.
    """
    if np.isnan(draws[0]) or np.isnan(draws[1:]).sum() > MOST_LOST * len(draws[1:]):
        return float(draws[0]), float("nan"), float("nan")
    low, high = percentile_interval(draws[1:, None])
    return float(draws[0]), float(low[0]), float(high[0])
