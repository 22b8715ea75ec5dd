"""The scorecard: which experiment is which protocol, and which layer stands beside which area of cortex."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from pydantic import field_validator

from dynvision.config.section import Section, key
from dynvision.errors import unknown_name

PROTOCOLS: dict[str, str] = {
    "contrast": "one pulse of about 500 ms whose contrast varies",
    "duration": "one pulse whose duration varies",
    "interval": "two pulses whose gap varies",
}

Areas = dict[str, tuple[str, ...]]


class ScorecardConfig(Section):
    """What a network is compared with."""

    experiments: dict[str, str] = key({}, "the experiment that is each protocol, by its name")
    areas: Areas = key(
        {}, "areas of cortex that each layer is compared with; layers that are not listed are left out"
    )
    models: dict[str, Areas] = key(
        {}, "the same for models with other layers, by model; * stands for anything"
    )

    @field_validator("experiments")
    @classmethod
    def _protocols_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        for protocol in value:
            if protocol not in PROTOCOLS:
                raise unknown_name("protocol", protocol, PROTOCOLS, key="scorecard.experiments")
        return value

    @field_validator("areas", mode="before")
    @classmethod
    def _one_area_is_a_list(cls, value: Any) -> Any:
        return _listed(value)

    @field_validator("models", mode="before")
    @classmethod
    def _one_area_of_a_model_is_a_list(cls, value: Any) -> Any:
        return (
            {name: _listed(areas) for name, areas in value.items()} if isinstance(value, Mapping) else value
        )

    def protocol_of(self, experiment: str) -> str:
        """The protocol that an experiment is, by its name; empty where it is none."""
        return next((protocol for protocol, name in self.experiments.items() if name == experiment), "")

    def areas_of(self, model: str) -> Areas:
        """The areas of each layer of a model: of the longest name in ``models`` that fits, else ``areas``."""
        fitting = [pattern for pattern in self.models if fnmatchcase(model, pattern)]
        return self.models[max(fitting, key=len)] if fitting else self.areas


def _listed(areas: Any) -> Any:
    if not isinstance(areas, Mapping):
        return areas
    return {layer: given if isinstance(given, (list, tuple)) else (given,) for layer, given in areas.items()}
