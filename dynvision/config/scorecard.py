"""The scorecard: which experiment is which protocol, and which layer stands beside which area of cortex."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from dynvision.config.section import Section, key
from dynvision.errors import unknown_name

PROTOCOLS: dict[str, str] = {
    "contrast": "one pulse of about 500 ms whose contrast varies",
    "duration": "one pulse whose duration varies",
    "interval": "two pulses whose gap varies",
}


class ScorecardConfig(Section):
    """What a network is compared with."""

    experiments: dict[str, str] = key({}, "the experiment that is each protocol, by its name")
    areas: dict[str, tuple[str, ...]] = key(
        {}, "areas of cortex that each layer is compared with; layers that are not listed are left out"
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
        if not isinstance(value, Mapping):
            return value
        return {
            layer: areas if isinstance(areas, (list, tuple)) else (areas,) for layer, areas in value.items()
        }
