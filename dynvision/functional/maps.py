"""Functions of maps (B, C, H, W): merging, resizing, sizes after a window, supralinearity, max-pooling, and the sheet.

additive         x + h
multiplicative   x (1 + tanh h)
supralinear      k sign(x) |x|^n                n exponent, k gain; finite in value and slope for every finite x

A signal that has not started is absent (None), which is not zero: the other one passes as it is.

The topographic sheet lays the C = f x f features of every location side by side on a plane,

    (B, f f, H, W)  <->  (B, 1, f H, f W)

Location (y, x) becomes a tile of f x f features at (f y, f x). Tiles in odd rows are mirrored up-down and tiles in odd
columns left-right, so that equal features of neighbouring locations touch. Source: Gutzen & Lindsay (2025), local
recurrence of DynVision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from dynvision.errors import InputError, unknown_name
from dynvision.functional.leaky_steps import HAS_TRITON


def is_under_torch_func() -> bool:
    """Return whether torch.func transforms what is computed: vmap, grad, jvp and the like."""
    return torch._C._are_functorch_transforms_active()


def is_transformed() -> bool:
    """Return whether torch compiles or transforms what is computed: torch.compile, torch.export, torch.func, forward mode.

    These take torch's own operations only, so that autograd functions and kernels of ours give way to them.
    """
    return torch.compiler.is_compiling() or is_under_torch_func() or forward_ad._current_level >= 0


def additive(x: Tensor, h: Tensor) -> Tensor:
    """``x + h``, each (B, C, H, W) or of shapes that broadcast to it."""
    return x + h


def multiplicative(x: Tensor, h: Tensor) -> Tensor:
    """``x (1 + tanh h)``, each (B, C, H, W) or of shapes that broadcast to it."""
    return x * (1.0 + h.tanh())


MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "additive": additive,
    "multiplicative": multiplicative,
}


def find_merge(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A merge by name.

    Raises:
        InputError: the name is not known.
    """
    if name not in MERGES:
        raise unknown_name("merge", name, MERGES)
    return MERGES[name]


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
        if is_transformed():
            return x[..., :: height // size[0], :: width // size[1]]
        return _EveryKth.apply(x, height // size[0], width // size[1])  # type: ignore[no-any-return]
    return F.interpolate(x, size=size, mode="nearest")


def resize_to_target(h: Tensor, x: Tensor | None, size: tuple[int, int] | None) -> Tensor:
    """Resize a signal to the target that it merges into.

    Args:
        h: the signal, (B, C, H, W).
        x: the target; None before it has started.
        size: (H, W) of the target where it has not started; None keeps that of ``h``.

    Returns:
        (B, C, H', W').
    """
    if x is not None:
        size = (x.shape[-2], x.shape[-1])
    return h if size is None else resize_nearest(h, size)


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
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        layout = torch.channels_last if ctx.channels_last else torch.contiguous_format
        grad_x = torch.empty(ctx.shape, dtype=grad.dtype, device=grad.device, memory_format=layout).zero_()
        grad_x[..., :: ctx.stride[0], :: ctx.stride[1]] = grad
        return grad_x, None, None


def size_after(size: tuple[int, int], kernel: int, stride: int = 1, padding: int = 0) -> tuple[int, int]:
    """(H, W) after a window of ``kernel`` px moved by ``stride`` px over (H, W) with ``padding`` px around it."""
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in size)
    return height, width


def supralinear(x: Tensor, n: float, k: float, largest: float = 1e6, smallest: float = 1e-6) -> Tensor:
    """Apply ``k sign(x) |x|^n`` elementwise.

    Args:
        x: activity, any shape.
        n: exponent, > 0.
        k: gain.
        largest, smallest: bounds on |x|, which keep value and slope finite.

    Returns:
        The shape of `x`.
    """
    return k * x.sign() * x.abs().clamp(smallest, largest) ** n


def max_pool(module: nn.MaxPool2d, x: Tensor) -> Tensor:
    """``module(x)``, (B, C, H, W) to (B, C, H', W'); by a kernel of ours on a GPU where that applies."""
    if HAS_TRITON and x.is_cuda and not is_transformed():
        from dynvision.functional import max_pool_triton

        if max_pool_triton.can_pool(module, x):
            sizes = module.kernel_size, module.stride, module.padding
            return max_pool_triton.max_pool(x, *sizes)  # type: ignore[arg-type]
    return module(x)  # type: ignore[no-any-return]


def sheet_side(n_channels: int) -> int:
    """Side f of a tile for C = f x f channels.

    Raises:
        InputError: the number of channels is not a square.
    """
    side = math.isqrt(n_channels)
    if side * side != n_channels:
        raise InputError(
            f"recurrence_type local needs a square number of channels, not {n_channels}; "
            f"nearest: {side * side} and {(side + 1) ** 2}"
        )
    return side


def to_sheet(x: Tensor) -> Tensor:
    """Lay the features of every location on the sheet.

    Args:
        x: maps, (B, f f, H, W).

    Returns:
        The sheet, (B, 1, f H, f W).
    """
    batch, channels, height, width = x.shape
    f = sheet_side(channels)
    tiles = _mirror_odd(x.reshape(batch, f, f, height, width))
    return tiles.permute(0, 3, 1, 4, 2).reshape(batch, 1, height * f, width * f)


def from_sheet(sheet: Tensor, n_channels: int) -> Tensor:
    """The inverse of :func:`to_sheet`.

    Args:
        sheet: (B, 1, f H, f W).
        n_channels: C = f f.

    Returns:
        Maps, (B, f f, H, W).
    """
    f = sheet_side(n_channels)
    batch, _, rows, columns = sheet.shape
    tiles = sheet.reshape(batch, rows // f, f, columns // f, f).permute(0, 2, 4, 1, 3)
    return _mirror_odd(tiles).reshape(batch, n_channels, rows // f, columns // f)


def _mirror_odd(tiles: Tensor) -> Tensor:
    """Mirror the tiles (B, f, f, H, W) of odd rows up-down and of odd columns left-right; its own inverse."""
    height, width = tiles.shape[-2:]
    odd_row = (torch.arange(height, device=tiles.device) % 2 == 1).view(1, 1, 1, height, 1)
    odd_column = (torch.arange(width, device=tiles.device) % 2 == 1).view(1, 1, 1, 1, width)
    tiles = torch.where(odd_row, tiles.flip(1), tiles)
    return torch.where(odd_column, tiles.flip(2), tiles)
