"""One protocol on one run, ready to be measured: the mean response and its bootstrap over images, for each layer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dynvision.analysis.bootstrap import SEED, percentile_interval, resampled_means
from dynvision.analysis.metrics import MOST_LOST, response_cube
from dynvision.analysis.registry import MEASURES, Measure
from dynvision.analysis.tables import Cube
from dynvision.analysis.time_grid import sample_interval

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


def with_interval(draws: np.ndarray) -> tuple[float, float, float]:
    """The value of a measure and its interval, from itself and its resamples (1 + N,).

    There is no interval where there is no value, or none of too many resamples.
    """
    if np.isnan(draws[0]) or np.isnan(draws[1:]).sum() > MOST_LOST * len(draws[1:]):
        return float(draws[0]), float("nan"), float("nan")
    low, high = percentile_interval(draws[1:, None])
    return float(draws[0]), float(low[0]), float(high[0])
