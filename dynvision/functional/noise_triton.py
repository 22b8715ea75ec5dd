"""Gaussian noise added on a GPU: one kernel for several steps, whose seed is read from the GPU's memory.

    y(t) = x(t) + sd xi(t),      xi(t)_i the i-th number of the stream (seed + t)

so that a captured CUDA graph draws other numbers whenever its seed is another. Numbers are Triton's Philox 4x32.

Source: Salmon, Moraes, Dror & Shaw (2011), SC11 (Philox); Box & Muller (1958).
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit
def _add_noise(x, y, seed, sd, units, BLOCK: tl.constexpr):
    step = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < units
    noise = tl.randn(tl.load(seed) + step, at)
    here = step * units + at
    tl.store(y + here, tl.load(x + here, mask=inside) + sd * noise, mask=inside)


class AddNoise(torch.autograd.Function):
    """x, n steps (n B, C, H, W), with noise; ``seed`` is an int64 of no axis on the same device."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int, seed: Tensor, sd: float) -> Tensor:  # type: ignore[override]
        # One layout, since the i-th number is that of the i-th unit in memory.
        x = x.contiguous(memory_format=torch.channels_last)
        y, units = torch.empty_like(x), x.numel() // n
        with torch.cuda.device_of(x):
            _add_noise[(triton.cdiv(units, BLOCK), n)](x, y, seed, sd, units, BLOCK)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        return grad, None, None, None
