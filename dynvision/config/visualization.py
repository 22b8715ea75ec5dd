"""The figures that can be drawn, by name, which of them an experiment gets, and names, order and colours of what they show.

A figure NAME is drawn by ``draw_NAME`` in ``dynvision/visualization/NAME.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from dynvision.config.measures import MEASURES
from dynvision.config.section import Section, key
from dynvision.errors import InputError, unknown_name
from dynvision.registry import Registry

# Of an experiment; a visualization's `figures` states which experiment gets which.
EXPERIMENT_FIGURES: dict[str, str] = {
    "dynamics": "the layers, one layer at every value, and its main measure",
    "responses": "responses of the layers over time",
    "measures": "every measure against the parameter",
    "performance": "accuracy over time",
    "robustness": "peak accuracy, its time and confidence, with the feedforward-only twin",
    "classifier": "guesses over time, by class shown",
    "confusion": "which classes are taken for which",
}
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
HEX_CODE = re.compile("#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
DEFAULT = "default"  # the experiments that are not listed
DEFAULT_FIGURES = ("dynamics", "responses", "measures", "performance", "confusion")
# What draws them, imported when it is looked up. A figure of an experiment is drawn from its tables, a comparison of runs
# and the style; one of runs or of their dynamics from the paths of results, the configurations, a comparison and the style.
FIGURES: Registry[Any] = Registry("figure", key="visualization.figures")
for _name in (*EXPERIMENT_FIGURES, *SWEEP_FIGURES, *RUN_FIGURES, *DYNAMICS_FIGURES):
    FIGURES.add(_name, f"dynvision.visualization.{_name}:draw_{_name}")


class VisualizationConfig(Section):
    """How figures look. Changing it redraws figures and repeats nothing else."""

    palette: dict[str, str] = key({}, "colour of a layer, a recurrence type or a model, as a hex code")
    names: dict[str, str] = key({}, "label to show instead of a name")
    order: tuple[str, ...] = key((), "names in the order in which they appear; others follow alphabetically")
    figures: dict[str, tuple[str, ...]] = key(
        {DEFAULT: DEFAULT_FIGURES},
        "figures of each experiment by its name; default: of all others; known: "
        + ", ".join(EXPERIMENT_FIGURES),
    )
    focus_measure: dict[str, str] = key(
        {}, "the measure that sums up an experiment, by its name; otherwise the first that it has"
    )
    dpi: int = key(150, "resolution of PNG files", "dots per inch", ge=50, le=1200)

    @field_validator("figures", mode="before")
    @classmethod
    def _figures_are_known(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise InputError(f"figures must map experiments to lists of figures, not {value!r}")
        lists = {name: [given] if isinstance(given, str) else given or [] for name, given in value.items()}
        for experiment, given in lists.items():
            if not isinstance(given, (list, tuple)):
                raise InputError(f"figures.{experiment} must be a list of figures, not {given!r}")
            for name in given:
                if not isinstance(name, str) or name not in EXPERIMENT_FIGURES:
                    raise unknown_name("figure", name, EXPERIMENT_FIGURES, key=f"figures.{experiment}")
        return {DEFAULT: DEFAULT_FIGURES, **lists}

    @field_validator("palette")
    @classmethod
    def _colours_are_hex_codes(cls, value: dict[str, str]) -> dict[str, str]:
        for name, colour in value.items():
            if not HEX_CODE.fullmatch(colour):
                raise InputError(
                    f"palette.{name}={colour!r} is no colour; give a hex code in quotes, e.g. '#1f77b4'"
                )
        return value

    @field_validator("focus_measure")
    @classmethod
    def _measures_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        for experiment, measure in value.items():
            if measure not in MEASURES:
                raise unknown_name("measure", measure, MEASURES, key=f"focus_measure.{experiment}")
        return value

    def figures_of(self, experiment: str) -> tuple[str, ...]:
        """The figures of an experiment."""
        return self.figures.get(experiment, self.figures[DEFAULT])
