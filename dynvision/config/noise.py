"""Noise on the image, by two definitions of the same number s, the signal fraction (SSNR).

    additive    x' = x + n              Var(n) = Var(x) / SNR,  SNR = s / (1 - s)        the image keeps its amplitude
    mix         p' = 1/2 + s (p - 1/2) + (1 - s) n,   sd(n) = sd, p' clipped to 0..1     Jang et al. 2021

x: normalised image, p: its pixels in 0..1, n: noise with mean 0. s = 1 is the image alone by either definition. s = 0 is
noise alone: with the variance of the image if additive, with sd if mixed.

Source: mix: Jang, McCormack & Tong (2021), PLOS Biol 19:e3001418; additive: as DynVision 0.1 means it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from dynvision.config.section import Section, key
from dynvision.errors import InputError

NoiseKind = Literal["none", "gaussian", "gaussiancorr", "uniform", "poisson", "saltpepper", "phasescrambled"]
SIGNAL_DEPENDENT = ("poisson", "saltpepper")  # what they do to a pixel depends on it


class NoiseConfig(Section):
    """Noise on the image while it is on."""

    type: NoiseKind = key("none", "kind of noise")
    ssnr: float = key(0.5, "signal fraction s: 0 is noise alone, 1 is the image alone", ge=0, le=1)
    definition: Literal["additive", "mix"] = key(
        "additive", "additive: the image keeps its amplitude; mix: s image + (1 - s) noise about mid-grey"
    )
    refresh_ms: float = key(
        2.0, "a new draw this often, counted from stimulus onset (dynamic); 0 draws once (static)", "ms", ge=0
    )
    seed: int = key(0, "fixes the noise, with the image, the value and the draw", ge=0, le=2**31 - 1)
    correlation_px: float = key(1.2, "sd of the Gaussian that smoothes gaussiancorr", "px", gt=0)
    sd: float = key(1 / 6, "standard deviation of mixed noise, as part of the range of pixels", gt=0, le=1)

    @model_validator(mode="after")
    def _can_be_mixed(self) -> NoiseConfig:
        if self.definition == "mix" and self.type in SIGNAL_DEPENDENT:
            raise InputError(
                f"noise of type {self.type!r} depends on the image and cannot be mixed with it; "
                "set noise.definition to additive, or noise.type to gaussian, gaussiancorr, uniform or phasescrambled"
            )
        return self
