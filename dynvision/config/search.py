"""What a search for parameters varies, and what it looks for.

search:
  parameters:
    training.learning_rate: {low: 0.0001, high: 0.1, log: true}    a number between two, drawn evenly in its logarithm
    trc: {low: 2, high: 12, step: 2}                               whole numbers, since all three are
    rctype: [full, self, depthpointwise]                           one of several
  objective: val_accuracy
  trials: 30
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import field_validator, model_validator

from dynvision.config.section import Section, key, validate
from dynvision.config.sweep import long_name
from dynvision.config.yaml_text import one_line
from dynvision.errors import InputError, unknown_name

SCORECARD = "scorecard"
# Which of two values is the better one, where that is no question.
DIRECTIONS: dict[str, Literal["minimize", "maximize"]] = {
    "val_loss": "minimize",
    "val_accuracy": "maximize",
    "test_accuracy": "maximize",
    "test_accuracy_over_time": "maximize",
    f"{SCORECARD}.signs": "maximize",
    f"{SCORECARD}.distance": "minimize",
}


class Range(Section):
    """Numbers between two bounds; whole ones where the bounds, and the step if there is one, are whole numbers."""

    low: int | float = key(..., "smallest value")
    high: int | float = key(..., "largest value")
    step: int | float | None = key(
        None, "distance of the values from each other; absent for any number", gt=0
    )
    log: bool = key(False, "draw evenly in the logarithm")

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Range:
        if self.low >= self.high:
            raise InputError(f"low={self.low} must be below high={self.high}")
        if self.log and self.low <= 0:
            raise InputError(f"low={self.low} has no logarithm; give a bound above 0, or leave out log")
        if self.log and self.step is not None:
            raise InputError("log and step exclude each other; leave one of them out")
        if self.step is not None:
            n = (self.high - self.low) / self.step
            if abs(n - round(n)) > 1e-9 * max(n, 1):
                ends = [self.low + self.step * k for k in (int(n), int(n) + 1)]
                raise InputError(
                    f"high={self.high} is not a whole number of steps of {self.step} above low={self.low}; give "
                    f"{' or '.join(f'{end:g}' for end in ends if end > self.low)}"
                )
        return self

    @property
    def is_whole(self) -> bool:
        """Whether values are whole numbers."""
        return all(isinstance(bound, int) for bound in (self.low, self.high, self.step or 1))

    @property
    def spacing(self) -> float | None:
        """Distance of the values from each other; None where any number can be drawn."""
        return 1 if self.step is None and self.is_whole else self.step


class SearchConfig(Section):
    """A search for parameters with ``dynvision search``. It is no part of what a run is."""

    parameters: dict[str, Range | tuple[Any, ...]] = key(
        {}, "what is searched: parameter: [choices], or parameter: {low, high, step, log}"
    )
    objective: str = key(
        "val_accuracy",
        "what is looked for: a column of training.csv at its best epoch, a number of test.json, "
        "<experiment>.<measure>, scorecard.signs (share of signs as in cortex), scorecard.distance (median distance), or "
        "scorecard.<name> (the network's value)",
        min_length=1,
    )
    where: dict[str, Any] = key(
        {},
        "rows that count, by column, of a measure or of the scorecard, e.g. {layer: V1}; their mean is taken",
    )
    direction: Literal["", "minimize", "maximize"] = key(
        "", "which values are better; empty where that is no question, as of losses and accuracies"
    )
    trials: int = key(30, "number of trials, those that are pruned or fail among them", ge=1)
    sampler: Literal["tpe", "random"] = key(
        "tpe", "how values are drawn: by those that did well, or at random"
    )
    pruner: Literal["median", "halving", "none"] = key(
        "median",
        "stop a training whose validation is worse than the median of others in the same epoch, by successive halving, or "
        "none",
    )
    startup_trials: int = key(5, "trials that are drawn at random and not pruned", ge=0)
    seed: int = key(1, "of what is drawn", ge=0)

    @field_validator("parameters", mode="before")
    @classmethod
    def _parameters_have_values(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise InputError(f"search.parameters must map parameters to their values, not {value!r}")
        found: dict[str, Any] = {}
        for parameter, given in value.items():
            name = long_name(str(parameter), given, "search.parameters")
            if name in found:
                raise InputError(f"search.parameters has {parameter!r} twice; remove one of them")
            found[name] = _values(given, f"search.parameters.{parameter}")
        return found

    @model_validator(mode="after")
    def _direction_is_known(self) -> SearchConfig:
        if self.objective not in DIRECTIONS and difflib.get_close_matches(
            self.objective, DIRECTIONS, cutoff=0.8
        ):
            raise unknown_name("objective", self.objective, DIRECTIONS, key="search.objective")
        if not self.direction and self.objective not in DIRECTIONS:
            raise InputError(
                f"search.direction must be minimize or maximize for the objective {self.objective!r}; without it known: "
                f"{', '.join(DIRECTIONS)}"
            )
        if self.direction and DIRECTIONS.get(self.objective, self.direction) != self.direction:
            raise InputError(
                f"search.direction={self.direction} looks for the worst {self.objective}; remove the key"
            )
        return self

    @property
    def better(self) -> Literal["minimize", "maximize"]:
        """Return which values are better."""
        return self.direction or DIRECTIONS[self.objective]


def _values(given: Any, where: str) -> Range | tuple[Any, ...]:
    if isinstance(given, Range):
        return given
    if isinstance(given, Mapping) and {"low", "high"} & set(given):
        return validate(Range, given, where)
    if isinstance(given, (list, tuple)) and len(given) > 1:
        if len({one_line(choice) for choice in given}) < len(given):
            raise InputError(f"{where} has a value twice; remove one of them")
        return tuple(given)
    raise InputError(
        f"{where} must be a list of at least two choices, or {{low: ..., high: ...}} with step or log, not {given!r}"
    )
