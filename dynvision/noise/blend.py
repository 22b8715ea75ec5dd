"""An image and noise, by two definitions of the same number s, the signal fraction (SSNR).

    additive    x' = c x + n                         Var(n) = Var(x) / SNR,  SNR = s / (1 - s)
    mix         p' = 1/2 + s (p - 1/2) + (1 - s) n   sd(n) = sd of the configuration, p' clipped to 0..1

x: normalised image, p: its pixels in 0..1, n: noise with mean 0, c: contrast, Var: over the units of one image at full
contrast. s = 1 is the image alone by either definition. s = 0 is noise alone: about the mean grey with the variance of
the image (additive), or about mid-grey with sd (mix).

Source: mix: Jang, McCormack & Tong (2021), PLOS Biol 19:e3001418; additive: as DynVision 0.1 means it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import GetJsonSchemaHandler, field_validator, model_validator

from dynvision.config.section import Section, key
from dynvision.errors import InputError, unknown_name
from dynvision.noise.kind import NOISES, NoiseRequest, PixelScale

if TYPE_CHECKING:
    from torch import Tensor

NO_NOISE = "none"


class _KindOfNoise:
    """The JSON schema of a kind of noise: the registered ones."""

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": [NO_NOISE, *NOISES], "type": "string"}


class NoiseConfig(Section):
    """Noise on the image while it is on."""

    type: Annotated[str, _KindOfNoise()] = key(NO_NOISE, "kind of noise, or none")
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

    @field_validator("type")
    @classmethod
    def _a_known_kind(cls, value: str) -> str:
        if value != NO_NOISE and value not in NOISES:
            raise unknown_name("noise", value, (NO_NOISE, *NOISES), key="noise.type")
        return value

    @model_validator(mode="after")
    def _can_be_mixed(self) -> NoiseConfig:
        if self.definition == "mix" and self.type != NO_NOISE and NOISES[self.type].signal_dependent:
            mixable = [name for name, kind in NOISES.items() if not kind.signal_dependent]
            raise InputError(
                f"noise of type {self.type!r} depends on the image and cannot be mixed with it; "
                f"set noise.definition to additive, or noise.type to {', '.join(mixable[:-1])} or {mixable[-1]}"
            )
        return self


def blend(images: Tensor, contrast: float, noise: NoiseConfig, key: Tensor, scale: PixelScale) -> Tensor:
    """Return images with noise.

    Args:
        images: normalised, (B, C, H, W).
        contrast: of the image, not of the noise.
        noise: kind, definition and signal fraction.
        key: of the random numbers, (B,).
        scale: of the pixels.

    Returns:
        What is seen, normalised, (B, C, H, W).
    """
    s = noise.ssnr
    x = images * contrast
    if s == 1:
        return x
    if noise.definition == "mix":
        return _mix(images, x, noise, key, scale)
    if s == 0:
        x = images.new_zeros(images.shape)
    variance = images.flatten(1).var(dim=1, correction=0).view(-1, 1, 1, 1) * ((1 - s) / s if s else 1.0)
    carrier = x if NOISES[noise.type].signal_dependent else images
    return x + _draw(noise, carrier, variance, key, scale)


def _mix(images: Tensor, x: Tensor, noise: NoiseConfig, key: Tensor, scale: PixelScale) -> Tensor:
    s = noise.ssnr
    variance = images.new_full((len(images), 1, 1, 1), noise.sd**2)
    n = _draw(noise, scale.to_pixels(images) - 0.5, variance, key, scale)
    p = 0.5 + s * (scale.to_pixels(x) - 0.5) + (1 - s) * n
    return scale.from_pixels(p.clamp(0, 1))


def _draw(noise: NoiseConfig, x: Tensor, variance: Tensor, key: Tensor, scale: PixelScale) -> Tensor:
    return NOISES[noise.type](NoiseRequest(x, variance, key, scale, noise.correlation_px))


def mask_of(images: Tensor, kind: str, key: Tensor, scale: PixelScale) -> Tensor:
    """Return masks: noise about the mean grey with the variance of each image.

    Args:
        images: normalised, (B, C, H, W).
        kind: kind of noise.
        key: of the random numbers, (B,).
        scale: of the pixels.

    Returns:
        Normalised, (B, C, H, W).
    """
    return blend(images, 1.0, NoiseConfig(type=kind, ssnr=0.0), key, scale)
