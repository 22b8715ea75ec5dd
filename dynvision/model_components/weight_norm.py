"""Convolution and linear map with normalised weights: magnitude and direction are learned apart.

    W[c] = g[c] v[c] / |v[c]|                          c output channel, |.| over all other axes

They are modules under `torch.nn.utils.parametrizations.weight_norm`, with its names (``parametrizations.weight.original0``
is g, ``original1`` is v), and unlike those they can be pickled.
Source: Salimans & Kingma (2016), NeurIPS, eq. 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import register_parametrization

HOOKS = "_load_state_dict_pre_hooks"  # torch hangs a function of its own there, in every module that it normalises


class _Picklable(nn.Module):
    """Pickled as what it is made of: torch refuses the class that it makes for a parametrization."""

    arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __reduce__(self) -> tuple[Any, ...]:
        made = type(self)  # by torch, from the class that was written
        args, kwargs = self.arguments
        state = {name: value for name, value in self.__dict__.items() if name != HOOKS}
        return _rebuild, (made.__mro__[1], args, kwargs), state


def _rebuild(cls: type[nn.Module], args: tuple[Any, ...], kwargs: dict[str, Any]) -> nn.Module:
    return cls(*args, **kwargs)


class _ChannelsLast(nn.Module):
    """The same weight in the layout that convolutions of channels-last maps want, which normalising it loses."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.contiguous(memory_format=torch.channels_last)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


class WeightNormConv2d(_Picklable, nn.Conv2d):
    """``nn.Conv2d`` with normalised weights; the arguments are the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arguments = (args, kwargs)
        weight_norm(self)
        register_parametrization(self, "weight", _ChannelsLast())


class WeightNormLinear(_Picklable, nn.Linear):
    """``nn.Linear`` with normalised weights; the arguments are the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arguments = (args, kwargs)
        weight_norm(self)
