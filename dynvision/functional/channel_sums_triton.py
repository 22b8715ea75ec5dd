"""The GPU kernel of :mod:`dynvision.functional.channel_sums`: each program sums a part of the pixels, in a fixed order."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 64  # pixels that are read at once
PROGRAMS = 1056  # eight for each multiprocessor of a large GPU


@triton.jit
def _partial(x, out, n_rows, channels, per_program, ROWS: tl.constexpr, WIDTH: tl.constexpr):
    first = tl.program_id(0).to(tl.int64) * per_program
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    total = tl.zeros((WIDTH,), tl.float32)
    for start in range(0, per_program, ROWS):
        row = first + start + tl.arange(0, ROWS)
        here = (row < n_rows)[:, None] & (row < first + per_program)[:, None] & (c < channels)[None, :]
        total += tl.sum(
            tl.load(x + row[:, None] * channels + c[None, :], mask=here, other=0.0).to(tl.float32), 0
        )
    tl.store(out + tl.program_id(0) * channels + c, total, mask=c < channels)


def channel_sums(x: Tensor) -> Tensor:
    """Sum of each channel of channels-last maps, (B, C, H, W) to (C,)."""
    channels = x.shape[1]
    n_rows = x.numel() // channels
    per_program = ROWS * triton.cdiv(n_rows, ROWS * PROGRAMS)
    n_programs = triton.cdiv(n_rows, per_program)
    width = min(64, triton.next_power_of_2(channels))
    partial = torch.empty((n_programs, channels), device=x.device, dtype=torch.float32)
    with torch.cuda.device(x.device):
        _partial[(n_programs, triton.cdiv(channels, width))](
            x, partial, n_rows, channels, per_program, ROWS, width
        )
    return partial.sum(0).to(x.dtype)
