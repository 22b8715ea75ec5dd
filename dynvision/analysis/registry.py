"""The measures by name. A measure turns what happened in time into numbers.

A measure's function asks for what it needs by the names of its arguments:

| argument                         | shape             | content                                                         |
|----------------------------------|-------------------|-----------------------------------------------------------------|
| response                         | (V, ..., T)       | responses in the model's own unit                               |
| correct                          | (V, I, T)         | whether the guess was the label                                 |
| confidence, entropy_bits         | (V, I, T)         | probability of the guess; entropy of all probabilities          |
| label, evidence_ms, ...          | (V, I, T)         | further columns of the table of guesses, by name (`TABLES`)     |
| time_ms                          | (T,)              | ms from stimulus onset                                          |
| stimulus_on                      | (V, T)            | whether the stimulus was on                                     |
| amplitude                        | (V, T)            | contrast of the stimulus at each time, 0 where it is off        |
| value                            | (V,)              | values of the parameter that varies                             |

V values of the parameter, I images, T times. What a measure is of decides how it is averaged:

    trace       one trial alone:       one number an image and value, then the mean over images; of times the median, since
                                       the mean of an early and a late peak is a time at which no image peaks
    condition   one value beside others (r_double, recovery):     a number a value, of the mean response over images
    experiment  all values together (an exponent, a fit):         a single number, of the mean response over images

A function of several measures returns a dictionary of arrays, and under ``reason`` why a fit has no numbers. Ratios and
fits are of the mean response, since those of single images are noisy, and as those of cortex are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dynvision.errors import unknown_name
from dynvision.registry import Registry

MeasureFunction = Callable[..., Any]
Source = Literal["responses", "performance"]
Scope = Literal["trace", "condition", "experiment"]
Average = Literal["mean", "median"]
TABLES: dict[str, Source] = {
    "response": "responses",
    "correct": "performance",
    "confidence": "performance",
    "entropy_bits": "performance",
    "label": "performance",
    "uncertainty": "performance",
    "evidence_ms": "performance",
    "evidence_lead_ms": "performance",
    "evidence_guess": "performance",
}
SHARED = ("time_ms", "stimulus_on", "amplitude", "value")


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: the name in configurations and tables.
        label: what a figure's axis states, without the unit.
        unit: unit of the result; ``"a.u."`` is the model's own unit of activity.
        definition: what exactly is computed, as the end of a sentence.
        function: computes it from what its arguments name; returns (V, ...), or (...) for an ``experiment``.
        needs: the names of its arguments.
        scope: what one number is of.
        part: which entry of a function that returns several measures by name; empty where it returns one.
        n_draws: resamples of the images for the interval, where the measure is of the mean response.
        on_request: whether it is computed only where an experiment lists it.
        average: what is taken over images, of a measure of single trials.
        goodness: the measure that states how well a fit fits, which is always given with it; empty where nothing is fitted.
        absent: why there may be no number, for a measure of all values whose function gives no ``reason``.
    """

    name: str
    label: str
    unit: str
    definition: str
    function: MeasureFunction
    needs: tuple[str, ...]
    scope: Scope = "trace"
    part: str = ""
    n_draws: int = 200
    on_request: bool = True
    average: Average = "mean"
    goodness: str = ""
    absent: str = ""

    @property
    def of(self) -> Source:
        """The table that it is computed from."""
        return next(TABLES[name] for name in self.needs if name in TABLES)

    def compute(self, data: Mapping[str, np.ndarray]) -> Any:
        """Return what the function makes of arrays by the names of its arguments."""
        return self.function(**{name: data[name] for name in self.needs})


# Every file of the package registers its measures where it defines them.
MEASURES: Registry[Measure] = Registry("measure", key="measures", package="dynvision.analysis")


def register(
    name: str, label: str, unit: str, definition: str, scope: Scope = "trace", **facts: Any
) -> Callable[[MeasureFunction], MeasureFunction]:
    """Make a function known as a measure; a function that returns several is registered once for each ``part``.

    The arguments are the attributes of :class:`Measure`.

    Raises:
        InputError: the name is taken, or the function asks for something that does not exist.
    """

    def add(function: MeasureFunction) -> MeasureFunction:
        given = inspect.signature(function).parameters.values()
        known = [*TABLES, *SHARED]
        needs = tuple(one.name for one in given if one.default is one.empty or one.name in known)
        for argument in needs:
            if argument not in known:
                raise unknown_name(f"argument of the measure {name}", argument, known)
        MEASURES.add(name, Measure(name, label, unit, definition, function, needs, scope, **facts))
        return function

    return add


def register_fit(
    what: str, n_draws: int, goodness: tuple[str, str], **parameters: tuple[str, str, str, str]
) -> Callable[[MeasureFunction], MeasureFunction]:
    """Make a function known as the measures that a fit has: its parameters, and the explained variance after them.

    Args:
        what: what is fitted to what, to follow "tau1" in definitions.
        n_draws: resamples of the images.
        goodness: name and label of the explained variance, which the function returns as ``r_squared``.
        parameters: name of the measure = (what the function calls it, label, unit, what it is).
    """

    def add(function: MeasureFunction) -> MeasureFunction:
        for name, (part, label, unit, definition) in parameters.items():
            add_part = register(
                name, label, unit, f"{definition} {what}", "experiment",
                part=part, n_draws=n_draws, goodness=goodness[0],
            )  # fmt: skip
            add_part(function)
        definition = f"explained variance {what}"
        add_goodness = register(
            *goodness, "fraction", definition, "experiment", part="r_squared", n_draws=n_draws
        )
        return add_goodness(function)

    return add


def find_measure(name: str) -> Measure:
    """Return a measure by name, as an experiment's key ``measures`` lists them.

    Raises:
        InputError: the name is not known.
    """
    known = [measure.name for measure in MEASURES.values() if measure.on_request]
    if name not in known:
        raise unknown_name("measure", name, known, key="measures")
    return MEASURES[name]
