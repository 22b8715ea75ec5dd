"""Sizes of maps after a convolution or a pooling."""

from __future__ import annotations


def size_after(size: tuple[int, int], kernel: int, stride: int = 1, padding: int = 0) -> tuple[int, int]:
    """(H, W) after a window of ``kernel`` px moved by ``stride`` px over (H, W) with ``padding`` px around it."""
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in size)
    return height, width
