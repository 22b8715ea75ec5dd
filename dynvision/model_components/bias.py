"""Additive biases on a drive: one per unit, per feature or per layer. All start at 0."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dynvision.errors import unknown_name


class Bias(nn.Module):
    """``x + b`` with b of a shape that broadcasts to x, (B, C, H, W)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class SpatialBias(Bias):
    """One bias per unit, shape (C, H, W)."""

    def __init__(self, n_channels: int, height: int, width: int) -> None:
        super().__init__((n_channels, height, width))


class FeatureBias(Bias):
    """One bias per channel, shape (C, 1, 1)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__((n_channels, 1, 1))


class ScalarBias(Bias):
    """One bias for the whole layer."""

    def __init__(self) -> None:
        super().__init__((1,))


BIASES: dict[str, Callable[[int, int, int], Bias]] = {
    "spatial": SpatialBias,
    "feature": lambda c, h, w: FeatureBias(c),
    "scalar": lambda c, h, w: ScalarBias(),
}


def create_bias(kind: str, n_channels: int, height: int, width: int) -> Bias | None:
    """A bias by name.

    Args:
        kind: ``none``, ``spatial`` (of each unit), ``feature`` (of each channel) or ``scalar`` (one).
        n_channels, height, width: shape of the maps; height and width in px.

    Returns:
        The bias; None for ``none``.

    Raises:
        InputError: the name is not known.
    """
    if kind == "none":
        return None
    if kind not in BIASES:
        raise unknown_name("bias", kind, ["none", *BIASES], key="unit_bias")
    return BIASES[kind](n_channels, height, width)
