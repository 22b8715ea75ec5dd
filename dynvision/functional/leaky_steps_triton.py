"""The GPU kernels of :mod:`dynvision.functional.leaky_steps`: one launch for all steps, state kept in registers.

Each program takes a block of units of the flattened (B, C, H, W) and walks through the steps. All tensors share one
memory layout, so that element i of a step is the same unit in each of them.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from dynvision.functional.leaky_steps import Rectified

BLOCK = 1024


@triton.jit
def _forward(
    z,
    h,
    start,
    r,
    active,
    units,
    n,
    z_stride,
    gain,
    LATERAL: tl.constexpr,
    RECTIFIED: tl.constexpr,
    ACTIVE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # noqa: E501
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < units
    state = tl.load(start + at, mask=inside).to(tl.float32)
    for k in range(n):
        here = k * units + at
        drive = tl.load(z + k * z_stride + at, mask=inside).to(tl.float32)
        if LATERAL:
            drive += tl.load(h + here, mask=inside).to(tl.float32)
        if ACTIVE:
            tl.store(active + here, drive > 0, mask=inside)
        if RECTIFIED == "drive":
            drive = tl.maximum(drive, 0.0)
        state += gain * (drive - state)
        if RECTIFIED == "state":
            state = tl.maximum(state, 0.0)
        tl.store(r + here, state, mask=inside)


@triton.jit
def _backward(
    grad_r,
    r,
    active,
    carried,
    grad_z,
    grad_start,
    units,
    n,
    gain,
    CARRIED: tl.constexpr,
    RECTIFIED: tl.constexpr,
    BLOCK: tl.constexpr,
):  # noqa: E501
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < units
    carry = tl.zeros((BLOCK,), tl.float32)
    if CARRIED:
        carry = tl.load(carried + at, mask=inside).to(tl.float32)
    for step in range(n):
        here = (n - 1 - step) * units + at
        grad = carry + tl.load(grad_r + here, mask=inside).to(tl.float32)
        if RECTIFIED == "state":
            grad = tl.where(tl.load(r + here, mask=inside) > 0, grad, 0.0)
        heard = gain * grad
        if RECTIFIED == "drive":
            heard = tl.where(tl.load(active + here, mask=inside) != 0, heard, 0.0)
        tl.store(grad_z + here, heard, mask=inside)
        carry = (1.0 - gain) * grad
    tl.store(grad_start + at, carry, mask=inside)


def forward(
    z: Tensor,
    h: Tensor | None,
    start: Tensor,
    r: Tensor,
    batch: int,
    gain: float,
    rectified: Rectified,
    active: Tensor | None,
) -> None:
    """See :func:`dynvision.functional.leaky_steps.forward`."""
    n = r.shape[0] // batch
    units = r.numel() // n
    z, start = _like(z, r), _like(start, r)
    lateral = r if h is None else _like(h, r)
    above = r if active is None else active.view(torch.uint8)
    z_stride = 0 if z.shape[0] == batch else units
    grid = (triton.cdiv(units, BLOCK),)
    with torch.cuda.device(r.device):
        _forward[grid](
            z,
            lateral,
            start,
            r,
            above,
            units,
            n,
            z_stride,
            gain,
            h is not None,
            rectified,
            active is not None,
            BLOCK,
        )


def backward(
    grad_r: Tensor,
    r: Tensor,
    carried: Tensor | None,
    grad_z: Tensor,
    batch: int,
    gain: float,
    rectified: Rectified,
    active: Tensor | None,
) -> Tensor:
    """See :func:`dynvision.functional.leaky_steps.backward`."""
    n = r.shape[0] // batch
    units = r.numel() // n
    grad_r = _like(grad_r, r)
    grad_start = torch.empty_like(r[:batch])
    before = grad_start if carried is None else _like(carried, r)
    above = r if active is None else active.view(torch.uint8)
    grid = (triton.cdiv(units, BLOCK),)
    with torch.cuda.device(r.device):
        _backward[grid](
            grad_r,
            r,
            above,
            before,
            grad_z,
            grad_start,
            units,
            n,
            gain,
            carried is not None,
            rectified,
            BLOCK,
        )
    return grad_start


def _like(x: Tensor, r: Tensor) -> Tensor:
    """``x`` in the memory layout of ``r``."""
    if r.dim() == 4 and r.is_contiguous(memory_format=torch.channels_last):
        return x.contiguous(memory_format=torch.channels_last)
    return x.contiguous()
