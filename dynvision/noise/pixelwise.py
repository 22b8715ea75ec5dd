"""Noise that does not depend on the image: independent in every pixel, or smooth in space.

    gaussian        n ~ N(0, v)
    uniform         n ~ U(-sqrt(3 v), sqrt(3 v))
    gaussiancorr    n = sqrt(v) g * w / |g|        w ~ N(0, 1) in every pixel,  g: Gaussian of sd sigma px

The spatial autocorrelation of gaussiancorr is exp(-d^2 / (4 sigma^2)) at the distance d. The convolution is circular, so
that all pixels have the variance v. Channels are independent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dynvision.noise.kind import NoiseRequest, register

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@register("gaussian", "independent in every pixel and channel")
def gaussian(request: NoiseRequest) -> Tensor:
    """Return independent Gaussian noise."""
    from dynvision.functional.counter_random import random_normal

    return random_normal(request.key, tuple(request.x.shape[1:])) * request.variance.sqrt()


@register("uniform", "independent in every pixel and channel, evenly distributed")
def uniform(request: NoiseRequest) -> Tensor:
    """Return independent uniform noise."""
    from dynvision.functional.counter_random import random_uniform

    return (random_uniform(request.key, tuple(request.x.shape[1:])) - 0.5) * (12 * request.variance).sqrt()


@register("gaussiancorr", "Gaussian and smooth in space")
def gaussiancorr(request: NoiseRequest) -> Tensor:
    """Return spatially correlated Gaussian noise."""
    import torch

    from dynvision.functional.counter_random import random_normal

    height, width = request.x.shape[-2:]
    white = random_normal(request.key, tuple(request.x.shape[1:]))
    gain = gaussian_gain(height, width, request.correlation_px, request.x.device)
    spectrum = torch.fft.fft2(white) * gain
    return torch.fft.ifft2(spectrum).real * (request.variance / gain.square().mean()).sqrt()


def gaussian_gain(height: int, width: int, sigma_px: float, device: torch.device) -> Tensor:
    """Return the Fourier transform of a Gaussian of sd ``sigma_px``, (H, W), 1 at frequency 0: exp(-2 pi^2 sigma^2 f^2)."""
    import torch

    fy = torch.fft.fftfreq(height, device=device)[:, None]
    fx = torch.fft.fftfreq(width, device=device)[None, :]
    return torch.exp(-2 * (math.pi * sigma_px) ** 2 * (fy**2 + fx**2))
