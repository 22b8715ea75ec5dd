"""The supralinear response function.

f(x) = k sign(x) |x|^n        n exponent, k gain; finite in value and slope for every finite x
"""

from __future__ import annotations

from torch import Tensor


def supralinear(x: Tensor, n: float, k: float, largest: float = 1e6, smallest: float = 1e-6) -> Tensor:
    """Apply ``k sign(x) |x|^n`` elementwise.

    Args:
        x: activity, any shape.
        n: exponent, > 0.
        k: gain.
        largest, smallest: bounds on |x|, which keep value and slope finite.

    Returns:
        The shape of `x`.
    """
    return k * x.sign() * x.abs().clamp(smallest, largest) ** n
