"""Gaussian noise that is smooth in space.

    n = sqrt(v) g * w / |g|        w ~ N(0, 1) in every pixel,  g: Gaussian of sd sigma px

Its spatial autocorrelation is exp(-d^2 / (4 sigma^2)) at the distance d. The convolution is circular, so that all pixels
have the variance v. Channels are independent.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dynvision.experiments.noise.kind import NoiseRequest, register
from dynvision.functional.counter_random import random_normal


@register("gaussiancorr")
def gaussiancorr(asked: NoiseRequest) -> Tensor:
    """Spatially correlated Gaussian noise."""
    height, width = asked.x.shape[-2:]
    white = random_normal(asked.key, tuple(asked.x.shape[1:]))
    gain = gaussian_gain(height, width, asked.correlation_px, asked.x.device)
    spectrum = torch.fft.fft2(white) * gain
    return torch.fft.ifft2(spectrum).real * (asked.variance / gain.square().mean()).sqrt()


def gaussian_gain(height: int, width: int, sigma_px: float, device: torch.device) -> Tensor:
    """Fourier transform of a Gaussian of sd ``sigma_px``, (H, W), 1 at frequency 0: exp(-2 pi^2 sigma^2 f^2)."""
    fy = torch.fft.fftfreq(height, device=device)[:, None]
    fx = torch.fft.fftfreq(width, device=device)[None, :]
    return torch.exp(-2 * (math.pi * sigma_px) ** 2 * (fy**2 + fx**2))
