"""Nearest-neighbour resizing to a known size."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def resize_nearest(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize the spatial axes by nearest neighbour: pixel i of n takes pixel floor(i m / n) of m.

    Args:
        x: maps, (B, C, H, W).
        size: the new (H, W).

    Returns:
        (B, C, *size); ``x`` itself where the size is right already.
    """
    height, width = x.shape[-2:]
    if (height, width) == tuple(size):
        return x
    if height % size[0] == 0 and width % size[1] == 0:
        return _EveryKth.apply(x, height // size[0], width // size[1])  # type: ignore[no-any-return]
    return F.interpolate(x, size=size, mode="nearest")


class _EveryKth(torch.autograd.Function):
    """Every k-th pixel: what nearest-neighbour resizing is for whole ratios, with a backward pass that only copies.

    The gradient keeps the memory layout of ``x``, so that adding it to another gradient there is fast.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: int, columns: int) -> Tensor:  # type: ignore[override]
        ctx.shape, ctx.stride = x.shape, (rows, columns)
        ctx.channels_last = x.is_contiguous(memory_format=torch.channels_last)
        kept = x[..., ::rows, ::columns]
        layout = torch.channels_last if ctx.channels_last else torch.contiguous_format
        return kept.contiguous(memory_format=layout)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        layout = torch.channels_last if ctx.channels_last else torch.contiguous_format
        grad_x = torch.empty(ctx.shape, dtype=grad.dtype, device=grad.device, memory_format=layout).zero_()
        grad_x[..., :: ctx.stride[0], :: ctx.stride[1]] = grad
        return grad_x, None, None
