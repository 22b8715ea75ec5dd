"""Convolutions: square and safe on maps of one pixel, with normalised weights, and those of the retina."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import register_parametrization

from dynvision.errors import InputError

Convolve = Callable[[nn.Conv2d, Tensor], Tensor]  # what applies a convolution to maps


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """``conv(x)`` for a square convolution with padding k // 2: (B, C_in, H, W) to (B, C_out, H', W').

    A map of one pixel meets the middle of the kernel alone. The rest of the kernel sees padding there, and the bfloat16
    weight gradient of oneDNN leaves its entries undefined.
    """
    alone = _sees_only_padding(conv, x) and not (
        conv._forward_hooks or conv._forward_pre_hooks or conv._backward_hooks or conv._backward_pre_hooks
    )
    return _convolve_pixel(conv, x) if alone else conv(x)


def check_kernel(kernel_size: object, name: str = "kernel_size", odd: bool = False) -> None:
    """Check the side of a square kernel.

    Raises:
        InputError: it is not one number above 0, or has no middle where it needs one.
    """
    whole = isinstance(kernel_size, Integral) and not isinstance(kernel_size, bool) and int(kernel_size) > 0
    if not whole or (odd and kernel_size % 2 == 0):  # type: ignore[operator]
        raise InputError(
            f"{name}={kernel_size} must be one {'odd ' if odd else ''}number above 0: kernels are square"
            f"{' and keep the size of the maps' if odd else ''}"
        )


class Conv2d(nn.Conv2d):
    """A square convolution with padding k // 2, safe on maps of one pixel.

    Raises:
        InputError: a kernel that is not square.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, bias: bool = True
    ) -> None:
        check_kernel(kernel_size)
        super().__init__(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        return _convolve_pixel(self, input) if _sees_only_padding(self, input) else super().forward(input)


def _sees_only_padding(conv: nn.Conv2d, x: Tensor) -> bool:
    return x.shape[-2:] == (1, 1) and conv.kernel_size[0] % 2 == 1


def _convolve_pixel(conv: nn.Conv2d, x: Tensor) -> Tensor:
    k = conv.kernel_size[0] // 2
    return F.conv2d(x, conv.weight[..., k : k + 1, k : k + 1], conv.bias)


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
    """``nn.Conv2d`` with normalised weights, magnitude and direction learned apart; the arguments are the same.

        W[c] = g[c] v[c] / |v[c]|                          c output channel, |.| over all other axes

    A module under `torch.nn.utils.parametrizations.weight_norm`, with its names (``parametrizations.weight.original0`` is
    g, ``original1`` is v), that can be pickled. Source: Salimans & Kingma (2016), NeurIPS, eq. 2.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arguments = (args, kwargs)
        weight_norm(self)
        register_parametrization(self, "weight", _ChannelsLast())


class WeightNormLinear(_Picklable, nn.Linear):
    """``nn.Linear`` with normalised weights, as :class:`WeightNormConv2d`; the arguments are the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arguments = (args, kwargs)
        weight_norm(self)


class Retina(nn.Module):
    """The retinal bottleneck: two convolutions with few output channels before the cortex.

    k x k convolution to ``mid_channels``, rectification, k x k convolution to ``out_channels`` (linear), same size.

    Args:
        in_channels: channels of the image.
        mid_channels, out_channels: of the two convolutions.
        kernel_size: k, odd.

    Source: Lindsey, Ocko, Ganguli & Deny (2019), ICLR, section 2.1.
    """

    def __init__(
        self, in_channels: int = 3, mid_channels: int = 36, out_channels: int = 18, kernel_size: int = 9
    ) -> None:
        super().__init__()
        check_kernel(kernel_size, odd=True)
        self.out_channels = out_channels
        self.conv = nn.Conv2d(in_channels, mid_channels, kernel_size, padding=kernel_size // 2)
        self.nonlin = nn.ReLU()
        self.conv2 = nn.Conv2d(mid_channels, out_channels, kernel_size, padding=kernel_size // 2)
        for conv in (self.conv, self.conv2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (B, in_channels, H, W). Returns: (B, out_channels, H, W)."""
        return self.conv2(self.nonlin(self.conv(x)))
