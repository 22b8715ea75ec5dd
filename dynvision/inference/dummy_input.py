"""An input that a network of a known kind takes, to warm it up: told by its first layer with weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 64  # px, or steps of a sequence


def dummy_shape(network: nn.Module) -> tuple[int, ...]:
    """(1, C, 64, 64) for a convolution in two dimensions, (1, C, 64) in one, (1, F) for a linear layer, else an image."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return (1, module.in_channels, SIDE, SIDE)
        if isinstance(module, nn.Conv1d):
            return (1, module.in_channels, SIDE)
        if isinstance(module, nn.Linear):
            return (1, module.in_features)
    return (1, 3, SIDE, SIDE)


def floating_type(network: nn.Module) -> torch.dtype:
    """The type of the first floating-point weight; float32 where there is none."""
    of_weights: list[Tensor] = [p for p in network.parameters() if p.is_floating_point()]
    return of_weights[0].dtype if of_weights else torch.float32
