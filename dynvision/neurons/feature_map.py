"""A gain and an offset of its own for every feature.

    affine  y = w x + b          linear  y = w x          none  y = x

Source: as in the authors' package of LTC cells, ncps 1.0.1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynvision.errors import unknown_name
from dynvision.neurons.module import Module, Parameter

MAPPINGS = ("affine", "linear", "none")


class FeatureMap(Module):
    """Elementwise map, the identity before training.

    Args:
        mapping: a name of :data:`MAPPINGS`; None is ``none``.
        n_features: F.
        key: the argument to name in an error.

    Raises:
        InputError: the mapping is not known.
    """

    def __init__(self, mapping: str | None, n_features: int, key: str) -> None:
        super().__init__()
        self.mapping = mapping or "none"
        if self.mapping not in MAPPINGS:
            raise unknown_name("mapping", mapping, MAPPINGS, key=key)
        self.w = Parameter(torch.ones(n_features)) if self.mapping in ("affine", "linear") else None
        self.b = Parameter(torch.zeros(n_features)) if self.mapping == "affine" else None

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., F) in, (..., F) out."""
        if self.w is not None:
            x = x * self.w
        return x if self.b is None else x + self.b

    def extra_repr(self) -> str:
        return self.mapping
