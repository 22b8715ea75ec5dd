"""From pixels to the network's input.

    x = (p / 255 - mean) / sd        p: pixel 0..255; mean, sd: of the training pixels in 0..1, per channel

A channel that never changes has sd = 0 and is divided by 1 instead, so that it is 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def normalize(pixels: Tensor, mean: Sequence[float], sd: Sequence[float]) -> Tensor:
    """Normalised images in memory of their own.

    Args:
        pixels: uint8, (B, H, W, C).
        mean: per channel, pixels in 0..1.
        sd: per channel, pixels in 0..1.

    Returns:
        float32, contiguous, (B, C, H, W).
    """
    x = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    return (
        x.div_(255).sub_(_per_channel(mean)).div_(_per_channel([value if value > 0 else 1.0 for value in sd]))
    )


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float32).view(1, -1, 1, 1)
