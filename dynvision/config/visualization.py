"""Names, order and colours of what figures show, and which figures an experiment gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from dynvision.config.figures import DEFAULT, DEFAULT_FIGURES, EXPERIMENT_FIGURES
from dynvision.config.measures import MEASURES
from dynvision.config.section import Section, key
from dynvision.errors import InputError, unknown_name


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
