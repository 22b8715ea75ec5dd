"""Independent Gaussian noise in every pixel and channel: n ~ N(0, v)."""

from __future__ import annotations

from torch import Tensor

from dynvision.experiments.noise.kind import NoiseRequest, register
from dynvision.functional.counter_random import random_normal


@register("gaussian")
def gaussian(asked: NoiseRequest) -> Tensor:
    """Independent Gaussian noise."""
    return random_normal(asked.key, tuple(asked.x.shape[1:])) * asked.variance.sqrt()
