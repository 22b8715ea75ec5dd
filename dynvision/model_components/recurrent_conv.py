"""A convolution whose layer also receives its own delayed activity.

    one stage    z = W * x + b
    two stages   z = W_b * Phi(norm(W_a * x + b_a)) + b_b
    recurrence   h = R(r(t - t_recurrence)) merges into x (target input), into the signal between the stages (middle)
                 or into z (output); nearest-neighbour resizing maps h to the resolution of its target

The engine of :class:`dynvision.base.TemporalBase` keeps the activity.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dynvision.errors import InputError, unknown_name
from dynvision.model_components.convolution import check_kernel, convolve
from dynvision.model_components.recurrence import Recurrent, build_operator, initialize_operator

TARGETS = ("output", "middle", "input")


class RecurrentConnectedConv2d(Recurrent):
    """Convolution in one or two stages with a recurrent connection.

    Args:
        in_channels, out_channels: channels of the input and of the output.
        kernel_size, stride: one number, or a pair for two stages.
        mid_channels: channels between the stages; None for one stage.
        bias: biases of the convolutions; a pair for two stages.
        mid_modules: what acts between the first convolution and its rectification, e.g. a normalisation.
        recurrence_type: see :mod:`dynvision.model_components.recurrence`.
        recurrence_target: ``output``, ``middle`` (two stages) or ``input``.
        recurrence_kernel_size: k of the operator; by default that of the (first) convolution.
        recurrence_bias: bias of the operator; by default that of the last convolution.
        max_weight_init: recurrent weights start uniform in +- this.
        t_recurrence, dt, recurrence_merge, target_size: as of :class:`Recurrent`.

    Raises:
        InputError: a combination that is not possible; the message names the two keys.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        mid_channels: int | None = None,
        bias: bool | tuple[bool, bool] = True,
        mid_modules: nn.Module | None = None,
        recurrence_type: str = "full",
        recurrence_target: str = "output",
        recurrence_merge: str = "additive",
        recurrence_kernel_size: int | None = None,
        recurrence_bias: bool | None = None,
        t_recurrence: float = 6.0,
        dt: float | None = None,
        max_weight_init: float = 0.001,
        target_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(t_recurrence, dt, recurrence_merge, target_size)
        if recurrence_target not in TARGETS:
            raise unknown_name("recurrence_target", recurrence_target, TARGETS)
        if recurrence_target == "middle" and mid_channels is None and recurrence_type != "none":
            raise InputError(
                "recurrence_target middle needs layers of two stages (mid_channels, as in DyRCNNx8); "
                "set recurrence_target: output or input"
            )
        stages = 1 if mid_channels is None else 2
        kernels, strides = (
            _of_stages(kernel_size, "kernel_size", stages),
            _of_stages(stride, "stride", stages),
        )
        biases = _of_stages(bias, "bias", stages)
        for kernel in kernels:
            check_kernel(kernel)
        self.in_channels, self.out_channels, self.mid_channels = in_channels, out_channels, mid_channels
        self.recurrence_type, self.recurrence_target = recurrence_type, recurrence_target
        first_out = out_channels if mid_channels is None else mid_channels
        self.conv = nn.Conv2d(in_channels, first_out, kernels[0], strides[0], kernels[0] // 2, bias=biases[0])
        self.mid_modules = mid_modules
        self.mid_nonlin: nn.Module | None = None
        self.conv2: nn.Conv2d | None = None
        if mid_channels is not None:
            self.mid_nonlin = nn.ReLU()
            self.conv2 = nn.Conv2d(
                mid_channels, out_channels, kernels[1], strides[1], kernels[1] // 2, bias=biases[1]
            )
        target_channels = {"output": out_channels, "middle": mid_channels or 0, "input": in_channels}
        self.recurrence = build_operator(
            recurrence_type,
            out_channels,
            target_channels[recurrence_target],
            recurrence_kernel_size or kernels[0],
            biases[-1] if recurrence_bias is None else recurrence_bias,
        )
        if dt is not None:
            self.check_dt(self.dt)
        self.max_weight_init = max_weight_init
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-normal convolutions, recurrent weights uniform in +- ``max_weight_init``, biases 0."""
        for conv in (self.conv, self.conv2):
            if conv is not None:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
        if self.recurrence is not None:
            initialize_operator(self.recurrence, self.max_weight_init)

    def first_stage(self, x: Tensor) -> Tensor:
        """Up to the signal between the stages: (B, C_in, H, W) to (B, C_mid, H', W')."""
        x = convolve(self.conv, x)
        if self.mid_modules is not None:
            x = self.mid_modules(x)
        return x if self.mid_nonlin is None else self.mid_nonlin(x)

    def second_stage(self, x: Tensor) -> Tensor:
        """From the signal between the stages to the drive, (B, C_out, H', W'); the identity for one stage."""
        return x if self.conv2 is None else convolve(self.conv2, x)

    def feedforward(self, x: Tensor) -> Tensor:
        """The drive without recurrence, (B, C_out, H', W')."""
        return self.second_stage(self.first_stage(x))

    def check_dt(self, dt: float) -> None:
        if self.recurrence is not None:
            super().check_dt(dt)

    def forward(self, x: Tensor | None, r: Tensor | None = None) -> Tensor | None:
        """One step.

        Args:
            x: input, (B, C_in, H, W); None before it has started.
            r: the layer's own activity ``t_recurrence`` ago, (B, C_out, H', W'); None before it has started.

        Returns:
            The drive z, (B, C_out, H', W'); None if there is nothing yet.
        """
        h = None if r is None or self.recurrence is None else self.recurrent_signal(r)
        if h is not None and self.recurrence_target == "input":
            x = self.merge_at_target(x, h)
        x = None if x is None else self.first_stage(x)
        if h is not None and self.recurrence_target == "middle":
            x = self.merge_at_target(x, h)
        x = None if x is None else self.second_stage(x)
        if h is not None and self.recurrence_target == "output":
            x = self.merge_at_target(x, h)
        return x


def _of_stages(value: Any, name: str, stages: int) -> tuple[Any, Any]:
    """The value of each of two stages; a pair is one value for each of them, and never height and width.

    Raises:
        InputError: a pair for one stage, or a row of another length.
    """
    if not isinstance(value, (tuple, list)):
        return value, value
    if stages != len(value):
        raise InputError(
            f"{name}={tuple(value)} is one value for each of {len(value)} stages, and this layer has {stages}; give one "
            f"{name} (kernels and strides are square){'' if stages == 2 else ', or mid_channels for a second stage'}"
        )
    return (value[0], value[1]) if stages == 2 else (value[0], value[0])


RConv2d = RecurrentConnectedConv2d
