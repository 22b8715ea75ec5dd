"""Gaussian noise on the drive, ``z'(t) = z(t) + sd xi(t)``, xi independent over units and steps.

Each layer draws from a generator of its own, seeded from torch's at the start of a trial: the noise follows the run's
seed and does not depend on how the engine cuts time into blocks. Source: ours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynvision.model_components.stateful import StatefulOperation


class DriveNoise(StatefulOperation):
    """Additive Gaussian noise.

    Args:
        sd: standard deviation, in units of the drive.
    """

    def __init__(self, sd: float) -> None:
        super().__init__()
        self.sd = sd

    def start(self) -> int:
        return int(torch.randint(2**62, ()))

    def step(self, x: Tensor, state: int, r: Tensor | None) -> tuple[Tensor, int]:
        generator = torch.Generator(x.device).manual_seed(state)
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return x + self.sd * noise, (state * 6364136223846793005 + 1442695040888963407) % 2**62
