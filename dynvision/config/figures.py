"""The figures that are drawn, by name. `dynvision.visualization` draws them."""

from __future__ import annotations

from typing import Any

from dynvision.registry import Registry

# Of an experiment; a visualization's `figures` says which experiment gets which.
EXPERIMENT_FIGURES: dict[str, str] = {
    "dynamics": "the layers, one layer at every value, and its main measure",
    "responses": "responses of the layers over time",
    "measures": "every measure against the parameter",
    "performance": "accuracy over time",
    "robustness": "peak accuracy, its time and confidence, with the feedforward-only twin",
    "classifier": "guesses over time, by class shown",
    "confusion": "which classes are taken for which",
}
# What draws them, from the tables of an experiment, a comparison of runs and the style; imported when it is looked up.
FIGURES: Registry[Any] = Registry("figure", key="visualization.figures")
for _name in (*EXPERIMENT_FIGURES, "overview"):
    FIGURES.add(_name, f"dynvision.visualization.experiment_figures:draw_{_name}")
# Of an experiment on runs that differ in more than their seed.
SWEEP_FIGURES: dict[str, str] = {"overview": "what each parameter of the model does to the measures"}
# Of the runs themselves, in the folder `training`.
RUN_FIGURES: dict[str, str] = {
    "training": "loss and accuracy over epochs",
    "weights": "distributions of weights by layer and connection",
}
# Of the dynamics of runs, in the folder `dynamics`; unrollings are drawn on request, since not every network has two times.
DYNAMICS_FIGURES: dict[str, str] = {
    "spectrum": "leading eigenvalues of each layer",
    "timescales": "time constants from layer to layer",
    "trajectories": "principal components in time",
    "unrolling": "engineering and biological time",
}
ON_REQUEST = ("unrolling",)
DEFAULT = "default"  # the experiments that are not listed
DEFAULT_FIGURES = ("dynamics", "responses", "measures", "performance", "confusion")
