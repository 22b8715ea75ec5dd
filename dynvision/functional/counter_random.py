"""Random numbers as a function of what they are for: no generator, no order of drawing, the same on every device.

    key(a, b, ...) = mix(... mix(mix(a g) + b g) ...)        i-th number: mix(key + (i + 1) g)        all modulo 2^64

mix: the finaliser of SplitMix64, g = 2^64 / golden ratio. A number depends on its key and its place alone, so that a batch
may be cut anywhere.

Source: Steele, Lea & Flood (2014), OOPSLA, fig. 15, with the constants of Stafford's variant 13; Box & Muller (1958) for
normals.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # as signed 64-bit integers, which wrap around
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def random_key(*parts: int | Tensor) -> Tensor:
    """Keys of streams of random numbers.

    Args:
        parts: whole numbers (int64) that the stream belongs to, in order; tensors broadcast.

    Returns:
        int64, with the shape of the parts.
    """
    key = torch.zeros((), dtype=torch.int64)
    for part in parts:
        value = torch.as_tensor(part, dtype=torch.int64)
        if key.dim() and value.dim():  # a single number on a CPU joins those of a GPU without a copy
            key = key.to(value.device)
        key = _mix(key + value * _GOLDEN + _GOLDEN)
    return key


def random_uniform(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Numbers uniform in the open interval from 0 to 1.

    Args:
        key: (B,), from :func:`random_key`.
        shape: of the numbers of each key.

    Returns:
        float32, (B, *shape).
    """
    high = _shift(_bits(key, math.prod(shape)), 41)
    return ((high + 0.5) * 2.0**-23).unflatten(1, shape)


def random_normal(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Numbers of the standard normal distribution, float32, (B, *shape); see :func:`random_uniform`."""
    n = math.prod(shape)
    bits = _bits(key, -(-n // 2))
    radius = ((_shift(bits, 32) + 0.5) * 2.0**-32).log_().mul_(-2).sqrt_()
    angle = (bits & 0xFFFFFFFF) * (2 * math.pi * 2.0**-32)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :n].unflatten(1, shape)


def _bits(key: Tensor, n: int) -> Tensor:
    """n numbers of 64 bits for each key, (B, n)."""
    place = torch.arange(1, n + 1, device=key.device) * _GOLDEN
    return _mix(key[:, None] + place)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _FIRST
    z = (z ^ _shift(z, 27)) * _SECOND
    return z ^ _shift(z, 31)


def _shift(z: Tensor, by: int) -> Tensor:
    """Shift to the right, filling with zeros; torch's own fills with the sign."""
    return (z >> by) & ((1 << (64 - by)) - 1)
