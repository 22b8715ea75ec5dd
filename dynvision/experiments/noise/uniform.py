"""Independent uniform noise in every pixel and channel: n ~ U(-sqrt(3 v), sqrt(3 v))."""

from __future__ import annotations

from torch import Tensor

from dynvision.experiments.noise.kind import NoiseRequest, register
from dynvision.functional.counter_random import random_uniform


@register("uniform")
def uniform(asked: NoiseRequest) -> Tensor:
    """Independent uniform noise."""
    return (random_uniform(asked.key, tuple(asked.x.shape[1:])) - 0.5) * (12 * asked.variance).sqrt()
