"""Pixels that are black or white instead of what they should be.

    n = (black or white) - x with probability q, else 0        q = v / D,  D = mean over units of E[(black or white - x)^2]

A pixel is replaced in all channels alike. q is 1 at most: then nothing is left of the image, and the variance is D.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynvision.experiments.noise.kind import NoiseRequest, register
from dynvision.functional.counter_random import random_uniform


@register("saltpepper")
def saltpepper(asked: NoiseRequest) -> Tensor:
    """Black and white pixels."""
    x, scale = asked.x, asked.scale
    black = scale.from_pixels(torch.zeros_like(scale.mean))
    white = scale.from_pixels(torch.ones_like(scale.mean))
    distance = ((black - x).square() + (white - x).square()).flatten(1).mean(dim=1).view(-1, 1, 1, 1) / 2
    q = (asked.variance / distance).clamp(max=1)
    u = random_uniform(asked.key, (1, *x.shape[-2:]))
    return torch.where(u < q / 2, black - x, torch.where(u < q, white - x, 0.0))
