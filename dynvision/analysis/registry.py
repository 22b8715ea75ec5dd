"""The measures by name. A measure turns what happened in time into one number an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dynvision.errors import InputError, unknown_name

MeasureFunction = Callable[..., np.ndarray]
Source = Literal["responses", "performance"]


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: the name in configurations and tables.
        label: what a figure's axis says, without the unit.
        unit: unit of the result; ``"a.u."`` is the model's own unit of activity.
        definition: what exactly is computed, as the end of a sentence.
        function: of ``"responses"``: ``(response (..., T), time_ms (T,)) -> (...)``; of ``"performance"``:
            ``(correct (V, I, T), time_ms (T,), stimulus_on (V, T)) -> (V, I)``. Time 0 is stimulus onset.
        of: the table that it is computed from.
    """

    name: str
    label: str
    unit: str
    definition: str
    function: MeasureFunction
    of: Source


MEASURES: dict[str, Measure] = {}


def register(
    name: str, label: str, unit: str, definition: str, of: Source = "responses"
) -> Callable[[MeasureFunction], MeasureFunction]:
    """Make a function known as a measure.

    Raises:
        InputError: the name is taken.
    """
    if name in MEASURES:
        raise InputError(f"the measure name {name!r} is taken; choose another")

    def add(function: MeasureFunction) -> MeasureFunction:
        MEASURES[name] = Measure(name, label, unit, definition, function, of)
        return function

    return add


def find_measure(name: str) -> Measure:
    """A measure of responses by name, as an experiment's key ``measures`` lists them.

    Raises:
        InputError: the name is not known.
    """
    known = names_of("responses")
    if name not in known:
        raise unknown_name("measure", name, known, key="measures")
    return MEASURES[name]


def names_of(source: Source) -> tuple[str, ...]:
    """The names of the measures that are computed from one table, in the order of registration."""
    return tuple(measure.name for measure in MEASURES.values() if measure.of == source)
