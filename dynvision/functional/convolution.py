"""Convolutions: torch's, or on a GPU kernels of ours where they are faster (:mod:`.narrow_conv_triton`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.functional.leaky_steps import HAS_TRITON, channel_sums, has_kernel

ONE = (1, 1)


def is_narrow(
    weight: Tensor, x: Tensor, padding: tuple[int, ...], groups: int, stride: tuple[int, ...] = ONE
) -> bool:
    """Whether our kernels convolve ``x`` with a weight, without dilation."""
    if not (HAS_TRITON and x.is_cuda) or groups != 1 or tuple(padding) != ONE or tuple(stride) != ONE:
        return False
    from dynvision.functional import narrow_conv_triton

    return narrow_conv_triton.is_narrow(weight, x)


def is_narrow_module(conv: nn.Conv2d, out_channels: int, channels: int) -> bool:
    """Whether our kernels do what a module does, on maps of so many channels in 16 bits on a GPU."""
    plain = HAS_TRITON and (conv.groups, conv.dilation, conv.stride, conv.padding) == (1, ONE, ONE, ONE)
    if not plain:
        return False
    from dynvision.functional.narrow_conv_triton import fits

    return fits(out_channels, channels, conv.kernel_size)


def convolution(
    weight: Tensor, bias: Tensor | None, padding: tuple[int, ...], groups: int, like: Tensor
) -> Callable[[Tensor], Tensor]:
    """Return the convolution of maps like ``like``, (B, C, H, W), without autograd; what is done once is done here."""
    if is_narrow(weight, like, padding, groups):
        from dynvision.functional.narrow_conv_triton import convolve, rows_of_kernel

        rows = rows_of_kernel(weight)
        return lambda x: convolve(x, rows, weight.shape[0], bias)
    return lambda x: torch.conv2d(x, weight, bias, 1, padding, 1, groups)  # type: ignore[arg-type]


def gradient_at_input(
    weight: Tensor, padding: tuple[int, ...], groups: int, like: Tensor, stride: tuple[int, ...] = ONE
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function from the gradient at the output, and the input, to the gradient at the input.

    Args:
        weight: (O, C / groups, k, k).
        padding, groups, stride: of the convolution.
        like: a map as the input is, (B, C, H, W).
    """
    if weight.shape[0] == weight.shape[1] and is_narrow(weight, like, padding, groups, stride):
        from dynvision.functional.narrow_conv_triton import convolve, rows_of_kernel, turned

        rows = rows_of_kernel(turned(weight))
        return lambda grad, source: convolve(grad, rows, weight.shape[1])
    mask = (True, False, False)
    return lambda grad, source: backward(grad, source, weight, padding, groups, mask, stride)[0]


def gradients_of_weights(
    grad: Tensor,
    source: Tensor,
    weight: Tensor,
    padding: tuple[int, ...],
    groups: int,
    has_bias: bool,
    stride: tuple[int, ...] = ONE,
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of weight and bias, from that at the output and the input."""
    if is_narrow(weight, source, padding, groups, stride):
        from dynvision.functional.narrow_conv_triton import weight_gradients

        at_weight, at_bias = weight_gradients(source, grad)
        return at_weight, at_bias if has_bias else None
    own_sums = has_kernel(source)
    mask = (False, True, has_bias and not own_sums)
    _, at_weight, at_bias = backward(grad, source, weight, padding, groups, mask, stride)
    return at_weight, channel_sums(grad) if has_bias and own_sums else at_bias


def backward(
    grad: Tensor,
    source: Tensor,
    weight: Tensor,
    padding: tuple[int, ...],
    groups: int,
    mask: tuple[bool, bool, bool],
    stride: tuple[int, ...] = ONE,
) -> Any:
    """Gradients at input, weight and bias by torch, those of ``mask``; differentiable themselves."""
    return torch.ops.aten.convolution_backward(
        grad,
        source,
        weight,
        [len(weight)],
        list(stride),
        list(padding),
        [1, 1],
        False,
        [0, 0],
        groups,
        list(mask),
    )


class _Convolution(torch.autograd.Function):
    """A convolution of 16-bit maps on a GPU, whose bias is added and its gradient summed by kernels of ours."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: Any, padding: Any, groups: int) -> Tensor:  # type: ignore[override] # fmt: skip
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, padding, groups
        if is_narrow(weight, x, padding, groups, stride):
            return convolution(weight, bias, padding, groups, x)(x)
        y = torch.conv2d(x, weight, None, stride, padding, 1, groups)
        if not y.is_contiguous(memory_format=torch.channels_last):
            return y.add_(bias[:, None, None])
        from dynvision.functional.leaky_steps_triton import add_to_channels

        return add_to_channels(y, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        stride, padding, groups = ctx.geometry
        mask = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # the gradient is to be differentiated, too
            return *backward(grad, x, weight, padding, groups, mask, stride), None, None, None
        at_x = at_weight = at_bias = None
        if mask[0]:
            at_x = gradient_at_input(weight, padding, groups, x, stride)(grad, x)
        if mask[1] or mask[2]:
            at_weight, at_bias = gradients_of_weights(grad, x, weight, padding, groups, mask[2], stride)
        return at_x, at_weight, at_bias, None, None, None


def conv2d(conv: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """What a module does with another weight, bias and number of groups; maps of 16 bits on a GPU by kernels of ours."""
    sixteen = x.dtype in (torch.bfloat16, torch.float16)
    if (
        bias is None
        or not (has_kernel(x) and sixteen)
        or conv.dilation != ONE
        or isinstance(conv.padding, str)
    ):
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, groups)
    return _Convolution.apply(x, weight.to(x.dtype), bias, conv.stride, conv.padding, groups)  # type: ignore[no-any-return]


class _AddedPointwise(torch.autograd.Function):
    """``y + W x``, a 1 x 1 convolution, in the memory of y, without a map in between."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, weight: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, weight)
        ctx.mark_dirty(y)
        rows, given = (maps.permute(0, 2, 3, 1).flatten(0, 2) for maps in (y, x))
        rows.addmm_(given, weight.flatten(1).t())
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        mask = (*ctx.needs_input_grad[1:], False)
        return grad, *backward(grad, x, weight, (0, 0), 1, mask)[:2]


def add_pointwise(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Add a 1 x 1 convolution to a map, in place.

    Args:
        y: (B, O, H, W), channels-last.
        x: (B, C, H, W).
        weight: (O, C, 1, 1).

    Returns:
        ``y``.
    """
    with torch.autocast(y.device.type, enabled=False):
        return _AddedPointwise.apply(y, x.to(y.dtype), weight.to(y.dtype))  # type: ignore[no-any-return]
