"""Supralinearity as a module: ``k sign(x) |x|^n`` with fixed k and n."""

from __future__ import annotations

from torch import Tensor, nn

from dynvision.functional.maps import supralinear


class SupraLinearity(nn.Module):
    """Args: n exponent, k gain."""

    def __init__(self, n: float = 1.8, k: float = 0.8) -> None:
        super().__init__()
        self.n, self.k = n, k

    def forward(self, x: Tensor) -> Tensor:
        return supralinear(x, self.n, self.k)
