"""Mean and sd over the units of a map, of |r|, on a GPU: one pass over memory, in the order in which maps lie there.

    m = 1/U sum_u |r_u|          s^2 = 1/U sum_u (|r_u| - m)^2

Each lane of a program keeps count, mean and squared deviations of what it meets, a_k the k-th of it,

    m_k = m_{k-1} + (a_k - m_{k-1}) / k          q_k = q_{k-1} + (a_k - m_{k-1}) (a_k - m_k)

and at the end m = sum n m_l / U and q = sum q_l + sum n (m_l - m)^2 of all lanes, so that no small difference of
large sums is ever taken. In float32, whatever the type of the maps.

Source: Welford (1962), Technometrics 4, 419; Chan, Golub & LeVeque (1983), The American Statistician 37, 242.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 2048  # units that a program reads at once


@triton.jit
def _mean_sd(
    r, out, N, map_stride, row_stride, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0)
    i, j = tl.arange(0, BLOCK_R)[:, None], tl.arange(0, BLOCK_C)[None, :]
    base = r + n.to(tl.int64) * map_stride
    mean = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
    squares = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
    k = 0.0
    for row in range(0, ROWS, BLOCK_R):
        for column in range(0, COLUMNS, BLOCK_C):
            inside = (row + i < ROWS) & (column + j < COLUMNS)
            a = tl.load(base + (row + i) * row_stride + (column + j), mask=inside, other=0.0)
            a = tl.abs(a.to(tl.float32))
            k += 1.0
            apart = tl.where(inside, a - mean, 0.0)
            mean += apart * (1.0 / k)
            squares += tl.where(inside, apart * (a - mean), 0.0)
    # Each lane is inside of its first tiles and of none after them, so that k was its own count there.
    rows, columns = (ROWS - i + BLOCK_R - 1) // BLOCK_R, (COLUMNS - j + BLOCK_C - 1) // BLOCK_C
    count = (tl.maximum(rows, 0) * tl.maximum(columns, 0)).to(tl.float32)
    whole = tl.sum(tl.sum(count * mean, axis=1), axis=0) / (ROWS * COLUMNS)
    apart = mean - whole
    spread = tl.sum(tl.sum(squares + tl.where(count > 0, count * apart * apart, 0.0), axis=1), axis=0)
    tl.store(out + n, whole)
    tl.store(out + N + n, tl.sqrt(spread / (ROWS * COLUMNS)))


def mean_sd(maps: Tensor) -> Tensor:
    """Return mean and sd over the units of each map, of |r|.

    Args:
        maps: (N, ...) on a GPU, of any floating type; read where they lie if each of them is dense in memory in any order
            of its axes, or the first channels of channels-last ones.

    Returns:
        (2, N), float32.
    """
    rows, columns, row_stride = _lie(maps)
    if not rows:
        maps = maps.contiguous()
        rows, columns, row_stride = _lie(maps)
    # Either there is one row, or one tile is as wide as a row.
    block_c = triton.next_power_of_2(columns)
    block_c = min(block_c, BLOCK) if rows == 1 else block_c
    block_r = min(triton.next_power_of_2(rows), max(1, BLOCK // block_c))
    out = torch.empty((2, len(maps)), dtype=torch.float32, device=maps.device)
    with torch.cuda.device_of(maps):
        _mean_sd[(len(maps),)](
            maps, out, len(maps), maps.stride(0), row_stride, rows, columns, block_r, block_c,
            num_warps=max(1, min(8, block_r * block_c // 512)),
        )  # fmt: skip
    return out


def _lie(maps: Tensor) -> tuple[int, int, int]:
    """How a map lies in memory: rows, units of each, and units from one row to the next; no rows if otherwise."""
    units = maps[0].numel()
    length = 1
    for stride, size in sorted(zip(maps.stride()[1:], maps.shape[1:], strict=True)):
        if size > 1 and stride == length:
            length *= size
    if length == units:
        return 1, units, units
    if maps.dim() == 4:
        _, channels, height, width = maps.shape
        pitch = maps.stride(3)
        if maps.stride(1) == 1 and pitch >= channels and maps.stride(2) == width * pitch:
            return height * width, channels, pitch
    return 0, 0, 0
