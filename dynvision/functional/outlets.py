"""What other layers receive of the activity r of a scan, handed out beside r itself.

    pooled     max-pooling of r
    picked     every k-th row and column of r, as nearest-neighbour resizing picks them

The gradient at r is then gathered where the scan's backward pass needs it, in registers: no map of the size of r is
filled with zeros, written and added up for each of them. Only by kernels, on a GPU. Source: ours.

Axes: N = n B steps and images; (N, C, H, W), channels-last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MOST_WINDOWS = 2  # of a pooling, along a side, that hold a pixel, for the steps' kernel to gather from


@dataclass(frozen=True)
class Outlets:
    """What is handed out.

    Attributes:
        pool: kernel, stride and padding of a max-pooling, in pixels.
        every: every how many rows and columns are picked, which divide H and W.
    """

    pool: tuple[int, int, int] | None = None
    every: tuple[int, int] | None = None


@dataclass(frozen=True)
class Gradients:
    """Gradients at what was handed out; None where there is none.

    Attributes:
        pooled: (N, C, H', W').
        offsets: of the maxima, as of :mod:`dynvision.functional.max_pool_triton`.
        picked: (N, C, H / rows, W / columns).
    """

    outlets: Outlets
    pooled: Tensor | None
    offsets: Tensor | None
    picked: Tensor | None

    def of_rows(self, at: slice) -> Gradients:
        """Those of some steps."""
        parts = (None if x is None else x[at] for x in (self.pooled, self.offsets, self.picked))
        return Gradients(self.outlets, *parts)


def hand_out(
    outlets: Outlets, r: Tensor, keep: bool, rectified: bool
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The pooled map, the offsets of its maxima if they are to be kept, and what is picked, without autograd.

    Args:
        outlets: what is handed out.
        r: (N, C, H, W).
        keep: whether the offsets are kept.
        rectified: whether r is at least +0 everywhere.
    """
    pooled = offsets = picked = None
    if outlets.pool is not None or outlets.every is not None:
        from dynvision.functional.max_pool_triton import pool
    if outlets.pool is not None:
        pooled, offsets = pool(r, *outlets.pool, keep, rectified)
    if outlets.every is not None:
        rows, columns = outlets.every
        if rows == columns:  # the maxima of single pixels, by the faster kernel
            picked, _ = pool(r, 1, rows, 0, False, rectified)
        else:
            picked = r[..., ::rows, ::columns].contiguous(memory_format=torch.channels_last)
    return pooled, offsets, picked


def gradients(
    outlets: Outlets, r: Tensor, offsets: Tensor | None, at_r: Tensor | None, *others: Tensor | None
) -> tuple[Tensor | None, Gradients | None]:
    """The gradients as the kernel of the steps takes them: at r itself, and those that it gathers from.

    Args:
        outlets: what was handed out.
        r: (N, C, H, W).
        offsets: of the maxima.
        at_r: gradient at r, or None.
        others: gradients at the pooled map and at what was picked, or None.
    """
    pooled, picked = (None if x is None else x.contiguous(memory_format=torch.channels_last) for x in others)
    kernel, stride, _ = outlets.pool or (1, 1, 0)
    if pooled is not None and kernel > MOST_WINDOWS * stride:
        assert outlets.pool is not None and offsets is not None
        from dynvision.functional.max_pool_triton import spread

        dense = spread(pooled, offsets, r.shape, *outlets.pool)
        at_r, pooled = dense if at_r is None else dense.add_(at_r), None
    if pooled is None and picked is None:
        return at_r, None
    return at_r, Gradients(outlets, pooled, offsets, picked)


def whole_gradient(
    outlets: Outlets,
    r: Tensor,
    offsets: Tensor | None,
    at_r: Tensor | None,
    pooled: Tensor | None,
    picked: Tensor | None,
) -> Tensor:
    """The gradient at r in operations that autograd can differentiate; arguments as of :func:`gradients`."""
    whole = torch.zeros_like(r) if at_r is None else at_r
    if pooled is not None:
        from dynvision.functional.max_pool_triton import differentiable_spread

        whole = whole + differentiable_spread(pooled, offsets, (r.shape, *outlets.pool))  # type: ignore
    if picked is not None:
        rows, columns = outlets.every  # type: ignore[misc]
        between = torch.zeros_like(r)
        between[..., ::rows, ::columns] = picked
        whole = whole + between
    return whole
