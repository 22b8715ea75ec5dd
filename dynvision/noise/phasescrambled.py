"""Noise with the amplitude spectrum of the image itself and random phases.

    N(f) = |X(f)| W(f) / |W(f)|,  N(0) = 0        w ~ N(0, 1) in every pixel, the same for all channels

The result is scaled to the variance v. A flat image has no spectrum to give and no noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynvision.noise.kind import NoiseRequest, register

if TYPE_CHECKING:
    from torch import Tensor


@register("phasescrambled", "the amplitude spectrum of the image with random phases")
def phasescrambled(request: NoiseRequest) -> Tensor:
    """Return the image with random phases."""
    import torch

    from dynvision.functional.counter_random import random_normal

    white = random_normal(request.key, (1, *request.x.shape[-2:]))
    phase = torch.fft.fft2(white).sgn()
    amplitude = torch.fft.fft2(request.x).abs()
    amplitude[..., 0, 0] = 0
    noise = torch.fft.ifft2(amplitude * phase).real
    power = noise.flatten(1).square().mean(dim=1).view(-1, 1, 1, 1)
    return noise * torch.where(power > 0, request.variance / power.clamp(min=1e-30), 0).sqrt()
