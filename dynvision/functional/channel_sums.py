"""Sums over images and space, as the gradient of a bias needs them: s(c) = sum over b, h, w of x(b, c, h, w)."""

from __future__ import annotations

import torch
from torch import Tensor

from dynvision.functional.leaky_steps import has_kernel


def channel_sums(x: Tensor) -> Tensor:
    """Return the sum of each channel, (B, C, H, W) to (C,); on a GPU in single precision whatever the type of ``x``."""
    if has_kernel(x) and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        from dynvision.functional.channel_sums_triton import channel_sums as kernel

        return kernel(x)
    return x.sum(dim=(0, 2, 3))
