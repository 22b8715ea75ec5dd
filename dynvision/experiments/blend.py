"""An image and noise, by two definitions of the signal fraction s.

    additive    x' = c x + n                         Var(n) = Var(x) / SNR,  SNR = s / (1 - s)
    mix         p' = 1/2 + s (p - 1/2) + (1 - s) n   sd(n) = sd of the configuration, p' clipped to 0..1

x: normalised image, p: its pixels, c: contrast, Var: over the units of one image at full contrast. s = 1 is the image
alone. s = 0 is noise alone about the mean grey, with the variance of the image (additive), or about mid-grey with sd (mix).
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynvision.config.noise import SIGNAL_DEPENDENT, NoiseConfig
from dynvision.experiments.noise.kind import NOISES, NoiseRequest, PixelScale


def blend(images: Tensor, contrast: float, noise: NoiseConfig, key: Tensor, scale: PixelScale) -> Tensor:
    """Images with noise.

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
        x = torch.zeros_like(images)
    variance = images.flatten(1).var(dim=1, correction=0).view(-1, 1, 1, 1) * ((1 - s) / s if s else 1.0)
    return x + _draw(noise, x if noise.type in SIGNAL_DEPENDENT else images, variance, key, scale)


def _mix(images: Tensor, x: Tensor, noise: NoiseConfig, key: Tensor, scale: PixelScale) -> Tensor:
    s = noise.ssnr
    variance = images.new_full((len(images), 1, 1, 1), noise.sd**2)
    n = _draw(noise, scale.to_pixels(images) - 0.5, variance, key, scale)
    p = 0.5 + s * (scale.to_pixels(x) - 0.5) + (1 - s) * n
    return scale.from_pixels(p.clamp(0, 1))


def _draw(noise: NoiseConfig, x: Tensor, variance: Tensor, key: Tensor, scale: PixelScale) -> Tensor:
    return NOISES[noise.type](NoiseRequest(x, variance, key, scale, noise.correlation_px))


def mask_of(images: Tensor, kind: str, key: Tensor, scale: PixelScale) -> Tensor:
    """Masks: noise about the mean grey with the variance of each image.

    Args:
        images: normalised, (B, C, H, W).
        kind: kind of noise.
        key: of the random numbers, (B,).
        scale: of the pixels.

    Returns:
        Normalised, (B, C, H, W).
    """
    return blend(images, 1.0, NoiseConfig(type=kind, ssnr=0.0), key, scale)  # type: ignore[arg-type]
