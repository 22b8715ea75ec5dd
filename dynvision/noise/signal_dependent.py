"""Noise whose effect on a pixel depends on the pixel.

    poisson      n = (k / K - p) / sd,  k ~ Poisson(K p)
                 p: pixel in 0..1, K: photons at p = 1, sd: of the pixels, per channel
    saltpepper   n = (black or white) - x with probability q, else 0
                 q = v / D,  D = mean over units of E[(black or white - x)^2]

K is chosen so that the variance p / (K sd^2), averaged over the image, is v. A black image has no photons and no noise.
A pixel of saltpepper is replaced in all channels alike. q is 1 at most: then nothing is left of the image, and the
variance is D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynvision.noise.kind import NoiseRequest, register

if TYPE_CHECKING:
    from torch import Tensor


@register("poisson", "photon noise, variance proportional to the pixel", signal_dependent=True)
def poisson(request: NoiseRequest) -> Tensor:
    """Return photon noise."""
    import torch

    p = request.scale.to_pixels(request.x).clamp(min=0)
    mean = (p / request.scale.sd.square()).flatten(1).mean(dim=1).view(-1, 1, 1, 1)
    photons = mean / request.variance
    rate = (photons * p).cpu()
    counts = torch.stack(
        [
            torch.poisson(of_image, torch.Generator().manual_seed(key))
            for of_image, key in zip(rate, request.key.tolist(), strict=True)
        ]
    )
    noise = (counts.to(p.device) / photons - p) / request.scale.sd
    return torch.where(mean > 0, noise, 0.0)


@register("saltpepper", "black and white pixels", signal_dependent=True)
def saltpepper(request: NoiseRequest) -> Tensor:
    """Return black and white pixels, less the image."""
    import torch

    from dynvision.functional.counter_random import random_uniform

    x, scale = request.x, request.scale
    black = scale.from_pixels(torch.zeros_like(scale.mean))
    white = scale.from_pixels(torch.ones_like(scale.mean))
    distance = ((black - x).square() + (white - x).square()).flatten(1).mean(dim=1).view(-1, 1, 1, 1) / 2
    q = (request.variance / distance).clamp(max=1)
    u = random_uniform(request.key, (1, *x.shape[-2:]))
    return torch.where(u < q / 2, black - x, torch.where(u < q, white - x, 0.0))
