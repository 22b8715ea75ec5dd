"""What is on the screen, a block of steps at a time, so that no trial is ever in memory as a whole.

x(t) = null input               blank
x(t) = c image                  the image at contrast c about the mean grey
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dynvision.base import Frames
from dynvision.errors import InputError
from dynvision.experiments.protocol import Condition


@dataclass(frozen=True)
class Screen:
    """A batch of images that can be shown.

    Attributes:
        images: normalised, (B, C, H, W).
    """

    images: Tensor

    def to(self, device: torch.device) -> Screen:
        """The same on another device."""
        return replace(self, images=self.images.to(device))

    def frames(self, condition: Condition, null: Tensor) -> Iterator[Frames]:
        """What is shown in a condition, in turn; each begins at step 0 of its own clock.

        Args:
            condition: the condition.
            null: the null input, (B, C, H, W).
        """
        if condition.noise is not None or any(stretch.mask for stretch in condition.stretches):
            raise InputError("noise and masks cannot be shown yet")
        for stretch in condition.stretches:
            shown = null if stretch.contrast is None else self.images * stretch.contrast
            yield Frames(0, stretch.n_steps, shown, constant=True)
