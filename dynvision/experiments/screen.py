"""What is on the screen, a block of steps at a time, so that no trial is ever in memory as a whole.

    x(t) = null input                         blank
    x(t) = c x                                the image at contrast c about the mean grey
    x(t) = blend(c x, noise of draw k(t))     k(t) = floor((t - onset) / refresh), or 0 for static noise
    x(t) = c m                                a mask m, the same in every condition

Random numbers depend on (seed, image, value, draw) alone, not on the batch.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dynvision.base import Frames
from dynvision.experiments.protocol import Condition, Stretch, TimedNoise
from dynvision.functional.counter_random import random_key
from dynvision.noise import PixelScale
from dynvision.noise.blend import blend, mask_of

BLOCK_BYTES = 64 * 2**20  # of the frames of dynamic noise that exist at once
MASK_STREAM = 0x6D61736B


@dataclass(frozen=True)
class Screen:
    """A batch of images that can be shown.

    Attributes:
        images: normalised, (B, C, H, W).
        indices: which images they are, int64, (B,).
        scale: of their pixels.
    """

    images: Tensor
    indices: Tensor
    scale: PixelScale

    @classmethod
    def of(cls, images: Tensor, device: torch.device) -> Screen:
        """Images that are known by their place in the batch, with pixels that need no scale."""
        one = torch.ones((1, images.shape[1], 1, 1), device=device)
        return cls(images.to(device), torch.arange(len(images), device=device), PixelScale(0 * one, one))

    def frames(self, condition: Condition, null: Tensor) -> Iterator[Frames]:
        """What is shown in a condition, in turn; each begins at step 0 of a clock of its own.

        Args:
            condition: the condition.
            null: the null input, (B, C, H, W).
        """
        step = 0
        for stretch in condition.stretches:
            if stretch.contrast is None:
                yield Frames(0, stretch.n_steps, null, constant=True)
            elif stretch.mask:
                key = random_key(MASK_STREAM, self.indices)
                mask = mask_of(self.images, stretch.mask, key, self.scale) * stretch.contrast
                yield Frames(0, stretch.n_steps, mask, constant=True)
            elif condition.noise is None:
                yield Frames(0, stretch.n_steps, self.images * stretch.contrast, constant=True)
            else:
                yield from self._noisy(stretch, step, condition.value, condition.noise)
            step += stretch.n_steps

    def _noisy(self, stretch: Stretch, step: int, value: float, noise: TimedNoise) -> Iterator[Frames]:
        assert stretch.contrast is not None
        if not noise.refresh_steps or noise.config.ssnr == 1:
            image = self._with_draws(stretch.contrast, value, noise, torch.zeros(1, dtype=torch.int64))
            yield Frames(0, stretch.n_steps, image, constant=True)
            return
        longest = max(1, BLOCK_BYTES // (self.images.nbytes or 1))
        for first in range(step, step + stretch.n_steps, longest):
            steps = torch.arange(first, min(first + longest, step + stretch.n_steps))
            draws, repeats = torch.unique_consecutive(
                (steps - noise.onset_step) // noise.refresh_steps, return_counts=True
            )
            images = self._with_draws(stretch.contrast, value, noise, draws)
            by_step = images.unflatten(0, (len(draws), -1)).repeat_interleave(
                repeats.to(images.device), dim=0
            )
            yield Frames(0, len(steps), by_step.flatten(0, 1))

    def _with_draws(self, contrast: float, value: float, noise: TimedNoise, draws: Tensor) -> Tensor:
        """The images with several draws of noise, (n B, C, H, W), draw by draw."""
        device = self.images.device
        key = random_key(noise.config.seed, self.indices, _bits(value), draws.to(device)[:, None]).flatten()
        images = self.images.repeat(len(draws), 1, 1, 1)
        return blend(images, contrast, noise.config, key, self.scale)


def _bits(value: float) -> int:
    """A number's 64 bits as a whole number, so that each value has noise of its own, wherever it is in a list."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])
