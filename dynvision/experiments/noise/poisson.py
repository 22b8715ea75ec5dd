"""Photon noise: its variance grows with the intensity of the pixel.

    n = (k / K - p) / sd,  k ~ Poisson(K p)        p: pixel in 0..1, K: photons at p = 1, sd: of the pixels, per channel

K is chosen so that the variance p / (K sd^2), averaged over the image, is v. A black image has no photons and no noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynvision.experiments.noise.kind import NoiseRequest, register


@register("poisson")
def poisson(asked: NoiseRequest) -> Tensor:
    """Photon noise."""
    p = asked.scale.to_pixels(asked.x).clamp(min=0)
    mean = (p / asked.scale.sd.square()).flatten(1).mean(dim=1).view(-1, 1, 1, 1)
    photons = mean / asked.variance
    rate = (photons * p).cpu()
    counts = torch.stack(
        [
            torch.poisson(of_image, _generator(key))
            for of_image, key in zip(rate, asked.key.tolist(), strict=True)
        ]
    )
    noise = (counts.to(p.device) / photons - p) / asked.scale.sd
    return torch.where(mean > 0, noise, 0.0)


def _generator(key: int) -> torch.Generator:
    return torch.Generator().manual_seed(key)
