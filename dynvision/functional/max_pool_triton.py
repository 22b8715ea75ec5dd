"""Max-pooling of channels-last maps on a GPU, with one byte of memory for each output instead of torch's eight.

    y(i, j) = max over a, b of x(i s - p + a, j s - p + b),     a, b = 0 .. k - 1, inside the map

For the backward pass the offset a k + b of the maximum is kept. The first maximum in that order is taken, and a NaN is
larger than any number, as in torch. Numbers of 16 bits that are at least 0 are ordered as their bits are: with those in
the upper half of a word and 255 less the offset in the lower, one comparison finds value and offset.

Backward, s x s inputs, which the same windows contain, gather from the outputs of these, so nothing is added by atomic
operations and the result is the same in every run.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

BLOCK = 1024
LARGEST_KERNEL = 15  # whose offsets fit into a byte


@triton.jit
def _max_pool(
    x, y, offsets, H, W, OH, OW, C: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
    KEEP: tl.constexpr, BITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)  # image and row of the output
    image, i = row // OH, row % OH
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < OW * C
    j, c = at // C, at % C
    largest = tl.full((BLOCK,), float("-inf"), tl.float32)
    where = tl.zeros((BLOCK,), tl.int32)
    for a in tl.static_range(K):
        u = i * S - P + a
        for b in tl.static_range(K):
            v = j * S - P + b
            here = inside & (u >= 0) & (u < H) & (v >= 0) & (v < W)
            there = x + (image * H + u) * W * C + (v * C + c)
            if BITS:
                bits = tl.load(there, mask=here, other=-32768).to(tl.int32)
                where = tl.maximum(where, (bits << 16) | (255 - (a * K + b)))
            else:
                value = tl.load(there, mask=here, other=float("-inf")).to(tl.float32)
                better = here & ((value > largest) | (value != value))
                largest = tl.where(better, value, largest)
                where = tl.where(better, a * K + b, where)
    if BITS:
        tl.store(y + row * OW * C + at, (where >> 16).to(tl.int16), mask=inside)
        where = 255 - (where & 255)
    else:
        tl.store(y + row * OW * C + at, largest, mask=inside)
    if KEEP:
        tl.store(offsets + row * OW * C + at, where.to(tl.uint8), mask=inside)


@triton.jit
def _max_pool_backward(
    grad, offsets, out, H, W, OH, OW, GH, C: tl.constexpr, K: tl.constexpr, S: tl.constexpr, P: tl.constexpr,
    BACK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    group = tl.program_id(0).to(tl.int64)  # image, and S rows of the input that the same windows contain
    image, i = group // GH, group % GH
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    j, c = at // C, at % C  # S columns likewise, and the channel
    found = ()  # no annotation: Triton would look its name up
    values = ()
    for back_i in tl.static_range(BACK):
        for back_j in tl.static_range(BACK):
            here = (i >= back_i) & (i - back_i < OH) & (j >= back_j) & (j - back_j < OW)
            line, place = (image * OH + i - back_i) * OW * C, (j - back_j) * C + c
            found = found + (tl.load(offsets + line + place, mask=here, other=255).to(tl.int32),)  # type: ignore[assignment]
            values = values + (tl.load(grad + line + place, mask=here, other=0.0).to(tl.float32),)  # type: ignore[assignment]
    for du in tl.static_range(S):
        u = i * S + du - P
        for dv in tl.static_range(S):
            v = j * S + dv - P
            total = tl.zeros((BLOCK,), tl.float32)
            for back_i in tl.static_range(BACK):
                for back_j in tl.static_range(BACK):
                    if (du + back_i * S < K) & (dv + back_j * S < K):
                        is_here = found[back_i * BACK + back_j] == (du + back_i * S) * K + dv + back_j * S
                        total += tl.where(is_here, values[back_i * BACK + back_j], 0.0)
            inside = (u >= 0) & (u < H) & (v >= 0) & (v < W)
            tl.store(out + (image * H + u) * W * C + (v * C + c), total, mask=inside)


def _block(units: int) -> int:
    """Units of a program: as many as divide a row, if there is such a number."""
    return max(128, min(BLOCK, units & -units))


def can_pool(module: nn.MaxPool2d, x: Tensor) -> bool:
    """Whether :func:`max_pool` computes this module on these maps."""
    sizes = (module.kernel_size, module.stride, module.padding)
    return (
        x.is_cuda
        and x.dim() == 4
        and x.dtype in (torch.float32, torch.bfloat16, torch.float16)
        and all(isinstance(size, int) for size in sizes)
        and module.kernel_size <= LARGEST_KERNEL  # type: ignore[operator]
        and module.dilation == 1
        and not module.ceil_mode
        and not module.return_indices
        and x.shape[1] > 1
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def max_pool(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Max-pooling.

    Args:
        x: (B, C, H, W) on a GPU, in channels-last layout.
        kernel, stride, padding: k, s and p in pixels.

    Returns:
        (B, C, H', W'), in channels-last layout.
    """
    return _MaxPool.apply(x, kernel, stride, padding)  # type: ignore[no-any-return]


def pool(
    x: Tensor, k: int, s: int, p: int, keep: bool, rectified: bool = False
) -> tuple[Tensor, Tensor | None]:
    """The maxima and, if they are to be kept, their offsets, without autograd.

    Args:
        x, k, s, p: as of :func:`max_pool`.
        keep: whether the offsets are kept.
        rectified: whether every x is at least +0, or the NaN that a GPU's conversions to 16 bits give, which has no sign.
    """
    batch, channels, height, width = x.shape
    rows, columns = (height + 2 * p - k) // s + 1, (width + 2 * p - k) // s + 1
    shape = (batch, channels, rows, columns)
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    offsets = torch.empty_like(y, dtype=torch.uint8) if keep else None
    block = _block(columns * channels)
    bits = rectified and x.element_size() == 2
    given, found = (maps.view(torch.int16) if bits else maps for maps in (x, y))
    grid = (batch * rows, triton.cdiv(columns * channels, block))
    with torch.cuda.device(x.device):
        _max_pool[grid](
            given, found, found if offsets is None else offsets, height, width, rows, columns, channels, k, s, p,
            keep, bits, block, num_warps=max(1, block // 256),
        )  # fmt: skip
    return y, offsets


def spread(grad: Tensor, offsets: Tensor, shape: torch.Size, k: int, s: int, p: int) -> Tensor:
    """The gradient at the input, of the given shape, from that at the output, without autograd."""
    batch, channels, height, width = shape
    grad = grad.contiguous(memory_format=torch.channels_last)
    out = torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=torch.channels_last)
    rows, units = triton.cdiv(height + p, s), triton.cdiv(width + p, s) * channels
    with torch.cuda.device(grad.device):
        _max_pool_backward[(batch * rows, triton.cdiv(units, 256))](
            grad, offsets, out, height, width, grad.shape[2], grad.shape[3], rows, channels, k, s, p,
            triton.cdiv(k, s), 256, num_warps=1,
        )  # fmt: skip
    return out


def differentiable_spread(grad: Tensor, offsets: Tensor, geometry: Any) -> Tensor:
    """:func:`spread`, with autograd; ``geometry`` is the shape of the input, k, s and p."""
    return _MaxPoolBackward.apply(grad, offsets, geometry)  # type: ignore[no-any-return]


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int, s: int, p: int) -> Tensor:  # type: ignore[override]
        keep = ctx.needs_input_grad[0]
        y, offsets = pool(x, k, s, p, keep)
        if keep:
            ctx.save_for_backward(offsets)
        ctx.geometry = (x.shape, k, s, p)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
        (offsets,) = ctx.saved_tensors
        return differentiable_spread(grad, offsets, ctx.geometry), None, None, None


class _MaxPoolBackward(torch.autograd.Function):
    """The gradient, itself differentiable: it is linear in the incoming one, and picks it up where the maxima are."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, offsets: Tensor, geometry: Any) -> Tensor:  # type: ignore[override]
        ctx.geometry = geometry
        ctx.save_for_backward(offsets)
        return spread(grad, offsets, *geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
        (offsets,) = ctx.saved_tensors
        (_, _, height, width), k, s, p = ctx.geometry
        rows, columns = offsets.shape[2:]
        a, b = offsets.long() // k, offsets.long() % k
        u = torch.arange(rows, device=grad.device)[:, None] * s - p + a
        v = torch.arange(columns, device=grad.device) * s - p + b
        picked = grad.flatten(2).gather(2, (u * width + v).flatten(2)).view(offsets.shape)
        return picked.contiguous(memory_format=torch.channels_last), None, None
