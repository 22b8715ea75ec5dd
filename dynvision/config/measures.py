"""The measures that an experiment can list, by name, and what the scorecard compares with cortex.

`dynvision.analysis` computes them. The scorecard needs an experiment for each protocol, and an area for each layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import field_validator

from dynvision.config.section import Section, key
from dynvision.errors import unknown_name
from dynvision.registry import Registry

MEASURES: dict[str, str] = {
    "time_to_peak_ms": "time of the maximum of a response that falls again while the image is on",
    "peak": "maximum response",
    "summed_response": "response summed over time, in units of response times ms",
    "onset_latency_ms": "time at which the response leaves its baseline",
    "rise_time_ms": "time until the response reaches nine tenths of its peak",
    "fwhm_ms": "time around the peak in which the response is above half of its height",
    "sustained_ratio": "response at stimulus offset over the peak",
    "sustained_share": "share of the summed response to the longest image that grows with the duration",
    "peak_ratio": "later over earlier of the two highest peaks",
    "summed_normalized": "summed response over that at the highest value of the parameter",
    "r_double": "summed response to a duration over twice that to half of it",
    "summation_exponent": "slope of log summed response on log duration",
    "summation_r_squared": "explained variance of this slope; given with it",
    "recovery": "response to a second pulse over that to the first, by gap",
    "mean_recovery": "recovery averaged over gaps",
    "c50": "contrast of half the peak at the highest contrast",
    "naka_rushton_rmax": "Rmax of the Naka-Rushton fit",
    "naka_rushton_c50": "c50 of the Naka-Rushton fit",
    "naka_rushton_n": "exponent of the Naka-Rushton fit",
    "naka_rushton_r_squared": "explained variance of the Naka-Rushton fit; given with each of the three",
    "dn_tau1_ms": "tau1 of the delayed-normalisation fit",
    "dn_tau2_ms": "tau2 of the delayed-normalisation fit",
    "dn_n": "exponent of the delayed-normalisation fit",
    "dn_sigma": "sigma of the delayed-normalisation fit",
    "dn_latency_ms": "latency of the delayed-normalisation fit",
    "dn_r_squared": "explained variance of the delayed-normalisation fit; given with each of the others",
    "f1": "amplitude of the response at the frequency of a flicker",
    "f2": "amplitude of the response at twice the frequency of a flicker",
    "reaction_time_confidence_ms": "time at which the probability of one class reaches one half",
    "reaction_time_entropy_ms": "time at which the entropy of the classes falls to that of two",
    "reaction_time_accumulation_ms": "time at which the accumulated probability of one class reaches a bound",
    "reaction_time_uncertainty_ms": "area under the evidential uncertainty of the classes",
    "accuracy_accumulation": "accuracy of the class that reaches this bound first",
    "speed_accuracy_range": "accuracy when the stimulus ends, less that at its onset",
}
# The experiments in which a measure is defined: the parameter that must vary, and how many of its values must be above 0.
DEFINED_FOR: dict[str, tuple[str, int]] = {
    "c50": ("contrast", 2),
    **dict.fromkeys((name for name in MEASURES if name.startswith("naka_rushton_")), ("contrast", 3)),
    "r_double": ("duration_ms", 2),
    "summation_exponent": ("duration_ms", 2),
    "summation_r_squared": ("duration_ms", 2),
    "sustained_share": ("duration_ms", 2),
    "f1": ("frequency_hz", 1),
    "f2": ("frequency_hz", 1),
}
# Measures of the classifier's outputs and of all values together, which draw nothing for a layer at a value.
NOT_OF_A_LAYER = {
    "reaction_time_confidence_ms",
    "reaction_time_entropy_ms",
    "reaction_time_accumulation_ms",
    "reaction_time_uncertainty_ms",
    "accuracy_accumulation",
    "speed_accuracy_range",
    "summation_exponent",
    "summation_r_squared",
    "sustained_share",
    "mean_recovery",
    "c50",
    *(name for name in MEASURES if name.startswith(("naka_rushton_", "dn_"))),
}
# Tables of cortex of one's own, beside those that ship.
TARGET_TABLES: Registry[Path] = Registry("table of targets")
OUTSIDE: dict[str, str] = {}  # the plugin that a measure is from, by its name
DEFAULT_MEASURES = ("rise_time_ms", "peak", "summed_response")


# The parameter that varies in each protocol, and what it is.
PROTOCOLS: dict[str, tuple[str, str]] = {
    "contrast": ("contrast", "one pulse of about 500 ms whose contrast varies"),
    "duration": ("duration_ms", "one pulse whose duration varies"),
    "interval": ("gap_ms", "two pulses whose gap varies"),
    "long": ("duration_ms", "one pulse of 300 to 1500 ms whose duration varies"),
    "rate": ("n_in_row", "one image, or a row of images that follow each other"),
    "flicker": ("frequency_hz", "a flicker whose frequency varies"),
    "noise": ("ssnr", "an image in noise whose signal fraction varies"),
    "decision": ("ssnr", "an image that lasts, in noise of a few signal fractions"),
    "repeats": ("seed", "the same, in noise drawn anew"),
    "rsvp": ("duration_ms", "a row of images whose duration varies"),
    "masking": ("soa_ms", "an image and a mask, whose distance in time varies"),
    "occlusion": ("occluded", "an image of which a varying part is hidden"),
    "clutter": ("n_flankers", "an image among a varying number of others"),
    "adapter": ("same_noise", "noise, then an image in another or in the same noise"),
    "challenge": ("feedforward_only", "an image in noise, shown to the network and to its feedforward twin"),
}
Areas = dict[str, tuple[str, ...]]


class ScorecardConfig(Section):
    """What a network is compared with."""

    experiments: dict[str, str] = key(
        {}, "the experiment that is each protocol, by its name; null leaves a protocol out"
    )
    areas: Areas = key(
        {}, "areas of cortex that each layer is compared with; layers that are not listed are left out"
    )
    models: dict[str, Areas] = key(
        {}, "the same for models with other layers, by model; * stands for anything"
    )

    @field_validator("experiments", mode="before")
    @classmethod
    def _protocols_are_known(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        for protocol in value:
            if protocol not in PROTOCOLS:
                raise unknown_name("protocol", protocol, PROTOCOLS, key="scorecard.experiments")
        return {protocol: name for protocol, name in value.items() if name is not None}

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
