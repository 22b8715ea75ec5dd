"""Nonlinearities of cells, by name.

    lecun_tanh(x) = 1.7159 tanh(0.666 x)        so that its gain is near 1 for inputs of unit variance

Source: LeCun, Bottou, Orr & Mueller (1998), Efficient BackProp, section 4.4, with 0.666 for 2/3 as in the published code of
CfC (ncps 1.0.1).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dynvision.errors import unknown_name

Activation = Callable[[Tensor], Tensor]


def lecun_tanh(x: Tensor) -> Tensor:
    """1.7159 tanh(0.666 x), of the shape of `x`."""
    return 1.7159 * torch.tanh(0.666 * x)


def identity(x: Tensor) -> Tensor:
    """`x`: no nonlinearity."""
    return x


ACTIVATIONS: dict[str, Activation] = {
    "gelu": F.gelu,
    "identity": identity,
    "lecun_tanh": lecun_tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "tanh": torch.tanh,
}


def find_activation(name: str) -> Activation:
    """A nonlinearity by name.

    Raises:
        InputError: the name is not known.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS, key="activation")
    return ACTIVATIONS[name]
