"""The topographic sheet: C = f x f features of every location, laid side by side on a plane.

    (B, f f, H, W)  <->  (B, 1, f H, f W)

Location (y, x) becomes a tile of f x f features at (f y, f x). Tiles in odd rows are mirrored up-down and tiles in odd
columns left-right, so that equal features of neighbouring locations touch. Source: Gutzen & Lindsay (2025), local
recurrence of DynVision.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dynvision.errors import InputError


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
