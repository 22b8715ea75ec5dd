"""Zero channels beside those of a map, so that a GPU's matrix units get widths that they are fast at.

    W' = [[W, 0], [0, 0]],  b' = [b, 0]       then  W' * [x, 0] + b' = [W * x + b, 0]

A channel of zeros stays zero through leaky steps, rectification, supralinearity, adaptation, suppression, depression,
max-pooling, resizing and additive connections, so the result is that of the network as it is. Parameters, checkpoints,
observers and outputs see the true channels only.

Channels that are no multiple of 8 make cuDNN pad every map by itself and choose poor kernels. Measured on an H200 (bf16,
3 x 3, forward and backward): 36 channels 49 TFLOP/s, padded to 40 119; 121 188, to 128 500; 529 270, to 576 540.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.base.frames import Frames
from dynvision.base.operations import Operation
from dynvision.base.plan import LayerPlan, Plan
from dynvision.base.scans import plain_recurrence, scan_of, steps_of
from dynvision.functional.convolution import add_pointwise, conv2d, is_narrow_module
from dynvision.functional.leaky_steps import has_kernel
from dynvision.functional.maps import is_transformed
from dynvision.functional.recurrent_scan import Recurrence
from dynvision.model_components.adaptation import InputAdaptation, SynapticDepression
from dynvision.model_components.connection import PointwiseConnection
from dynvision.model_components.elementwise import SupraLinearity
from dynvision.model_components.recurrence import RecurrentConnectedConv2d
from dynvision.model_components.solvers import RungeKuttaStep, Solver

# Operations on single channels that turn zeros into zeros, beside the steps.
KEEP_ZEROS = (
    nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Identity, SupraLinearity, InputAdaptation, SynapticDepression,
)  # fmt: skip
NARROW = 64  # maps below it are bound by memory, and are padded no further than necessary


def padded_width(channels: int) -> int:
    """Channels with which a map of so many is computed on a GPU in 16 bits."""
    if channels % 8 == 0:
        return channels
    step = 8 if channels < NARROW else 64
    return -(-channels // step) * step


class PaddedChannels:
    """Convolutions on maps with zero channels; weights are padded once for a stretch of time."""

    def __init__(self) -> None:
        self._weights: dict[tuple[int, int], tuple[Tensor, Tensor | None, int]] = {}
        self.late: list[nn.Conv2d] = []  # convolutions whose biases are left to the steps

    def leave(self, convs: Sequence[nn.Conv2d]) -> None:
        """Leave biases to the steps, but those that kernels of ours add, and whose gradients they sum, on their way."""
        self.late = [conv for conv in convs if not _is_narrow(conv)]

    def convolve(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        """``conv(x)`` on padded maps; without the bias of a late one."""
        if has_kernel(x) and padded_width(x.shape[1]) != x.shape[1] and _is_narrow(conv):
            x = _widened_image(x)
        weight, bias, groups = self._padded(conv.weight, conv.bias, conv.groups, x.shape[1])
        return conv2d(conv, x, weight, None if self.is_late(conv) else bias, groups)

    def is_late(self, conv: nn.Conv2d) -> bool:
        """Whether a convolution leaves its bias to the steps."""
        return any(conv is other for other in self.late)

    def added(self, module: Any, x: Frames | None, h: Frames | None) -> Frames | None:
        """``x`` and what a connection with a late bias makes of ``h``, in the memory of ``x``; None where that cannot be.

        A late bias means that ``x`` is the output of the layer's own convolution, which nothing else holds.
        """
        if x is None or h is None or module.conv is None or not self.is_late(module.conv):
            return None
        y, source = x.values, h.values
        alike = x.first == h.first and not x.constant and not h.constant and y.shape[2:] == source.shape[2:]
        if not alike or not y.is_contiguous(memory_format=torch.channels_last):
            return None
        weight, _, _ = self._padded(module.conv.weight, module.conv.bias, 1, source.shape[1])
        return Frames(x.first, x.n, add_pointwise(y, source, weight))

    def late_bias(self, channels: int) -> Tensor | None:
        """The sum of the biases that are left to the steps, on maps of so many channels, (C,); None without any."""
        biases = [conv.bias for conv in self.late if conv.bias is not None]
        if not biases:
            return None
        whole = sum(biases[1:], biases[0])
        return F.pad(whole, (0, channels - len(whole)))

    def recurrence(self, recurrence: Recurrence) -> Recurrence:
        """The recurrent convolution of a scan on padded maps."""
        weight, bias, groups = self._padded(
            recurrence.weight, recurrence.bias, recurrence.groups, padded_width(recurrence.weight.shape[0])
        )
        return Recurrence(weight, bias, recurrence.padding, groups, recurrence.delay)

    def _padded(
        self, weight: Tensor, bias: Tensor | None, groups: int, in_width: int
    ) -> tuple[Tensor, Tensor | None, int]:
        key = (id(weight), in_width)
        if key not in self._weights:
            out_channels, in_channels = weight.shape[:2]
            more = padded_width(out_channels) - out_channels
            more_in = 0 if groups > 1 else in_width - in_channels
            padded = F.pad(weight, (0, 0, 0, 0, 0, more_in, 0, more)) if more or more_in else weight
            if bias is not None and more:
                bias = F.pad(bias, (0, more))
            self._weights[key] = (padded, bias, in_width if groups > 1 else 1)
        return self._weights[key]


def _is_narrow(conv: nn.Conv2d) -> bool:
    """Whether kernels of ours convolve its padded maps."""
    return is_narrow_module(conv, padded_width(conv.out_channels), padded_width(conv.in_channels))


def _widened_image(x: Tensor) -> Tensor:
    """An image in 16 bits with channels of zeros, (B, C, H, W), as these kernels take it."""
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else x.dtype
    wide = F.pad(x.to(dtype), (0, 0, 0, 0, 0, padded_width(x.shape[1]) - x.shape[1]))
    return wide.contiguous(memory_format=torch.channels_last)


def true_channels(layer: LayerPlan) -> int | None:
    """Channels of a layer's activity; None where they do not follow from its operations."""
    for operation in layer.block:
        if isinstance(operation.module, RecurrentConnectedConv2d):
            return operation.module.out_channels
    return None


def without_padding(frames: Frames, channels: int | None) -> Frames:
    """The true channels of padded maps."""
    if channels is None or frames.values.shape[1] == channels:
        return frames
    return Frames(frames.first, frames.n, frames.values[:, :channels], frames.constant)


def can_pad(plan: Plan) -> bool:
    """Whether a plan has a width to gain from, and nothing but operations that keep a channel of zeros at zero."""
    if plan.hooked:
        return False
    widths = [true_channels(layer) for layer in plan.layers]
    if not any(width is not None and padded_width(width) != width for width in widths):
        return False
    return all(width is not None for width in widths) and all(map(_keeps_zeros, plan.layers))


def pads_here(x: Tensor) -> bool:
    """Whether padding pays for this input: on a GPU, computing in 16 bits."""
    if not x.is_cuda or is_transformed():
        return False
    computes_in = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else x.dtype
    return computes_in in (torch.bfloat16, torch.float16)


def _keeps_zeros(layer: LayerPlan) -> bool:
    if not all(map(_operation_keeps_zeros, (*layer.block, *layer.lateral, *layer.after, *layer.output))):
        return False
    if not layer.step:
        return not layer.lateral
    at_once = scan_of(layer) or steps_of(layer)
    if at_once is None:
        return False
    solver: Solver = at_once.solver
    same_drive = type(solver).effective_drive is Solver.effective_drive
    if not (same_drive or (type(solver) is RungeKuttaStep and not solver.train_tau)):
        return False
    return all(len(number) == true_channels(layer) for number in solver.learned_numbers())


def _operation_keeps_zeros(operation: Operation) -> bool:
    module: Any = operation.module
    if operation.kind == "record":
        return True
    if operation.kind in ("first_stage", "second_stage"):
        return (
            type(module) is RecurrentConnectedConv2d
            and module.mid_modules is None
            and all(conv is None or type(conv) is nn.Conv2d for conv in (module.conv, module.conv2))
        )
    if operation.kind == "recur":
        recurrence = plain_recurrence(operation)
        return recurrence is not None and recurrence.groups in (1, recurrence.weight.shape[0])
    if operation.kind == "connect":
        return (
            isinstance(module, PointwiseConnection)
            and type(module).transform is PointwiseConnection.transform
            and module.merge_name == "additive"
        )
    return operation.kind in ("apply", "stateful") and type(module) in KEEP_ZEROS
