"""Convolution where a map of one pixel meets the middle of the kernel alone.

The rest of the kernel sees padding there, and the bfloat16 weight gradient of oneDNN leaves its entries undefined.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.errors import InputError


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """``conv(x)`` for a square convolution with padding k // 2: (B, C_in, H, W) to (B, C_out, H', W')."""
    alone = _sees_only_padding(conv, x) and not (
        conv._forward_hooks or conv._forward_pre_hooks or conv._backward_hooks or conv._backward_pre_hooks
    )
    return _convolve_pixel(conv, x) if alone else conv(x)


def check_kernel(kernel_size: object, name: str = "kernel_size", odd: bool = False) -> None:
    """Check the side of a square kernel.

    Raises:
        InputError: it is not one number above 0, or has no middle where it needs one.
    """
    whole = isinstance(kernel_size, int) and not isinstance(kernel_size, bool) and kernel_size > 0
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
