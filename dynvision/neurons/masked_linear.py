"""A linear map of which only some weights exist: y = (W M) x + b. A weight that is not there has no gradient."""

from __future__ import annotations

from torch import Tensor, nn


class MaskedLinear(nn.Linear):
    """torch.nn.Linear with a mask.

    Args:
        in_features, out_features: as of torch.nn.Linear.
        mask: (in, out), 1 where a weight is; None for everywhere.
    """

    mask: Tensor | None

    def __init__(self, in_features: int, out_features: int, mask: Tensor | None = None) -> None:
        super().__init__(in_features, out_features)
        self.register_buffer("mask", None if mask is None else mask.T.contiguous())

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight if self.mask is None else self.weight * self.mask
        return nn.functional.linear(input, weight, self.bias)
