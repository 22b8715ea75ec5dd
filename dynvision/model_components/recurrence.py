"""Recurrence: operators from a layer's own delayed activity (C channels) to a target (C' channels), and what applies them.

| name            | operator                              | parameters (bias on)          |
|-----------------|---------------------------------------|-------------------------------|
| self            | one scalar per layer                  | 1 + 1                         |
| depthwise       | k x k per channel                     | C k^2 + C                     |
| pointwise       | 1 x 1                                 | C C' + C'                     |
| full            | dense k x k                           | C C' k^2 + C'                 |
| depthpointwise  | depthwise k x k, then 1 x 1           | C k^2 + C + C C' + C'         |
| pointdepthwise  | 1 x 1, then depthwise k x k           | C C' + C' + C' k^2 + C'       |
| local           | one convolution on the cortical sheet | k_s^2 + 1                     |
| localdepthwise  | local, then depthwise k x k           | k_s^2 + 1 + C k^2 + C         |

An operator is a connection of its own, or part of a convolution, whose layer then also receives its own delayed activity:

    one stage    z = W * x + b
    two stages   z = W_b * Phi(norm(W_a * x + b_a)) + b_b
    recurrence   h = R(r(t - t_recurrence)) merges into x (target input), into the signal between the stages (middle)
                 or into z (output); nearest-neighbour resizing maps h to the resolution of its target

Source: Gutzen & Lindsay (2025), bioRxiv 10.1101/2025.08.11.669756; depthwise and pointwise: ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.config.model import KEEPS_CHANNELS
from dynvision.errors import InputError, unknown_name
from dynvision.functional.maps import find_merge, from_sheet, resize_to_target, sheet_side, to_sheet
from dynvision.model_components.convolution import Convolve, check_kernel, convolve
from dynvision.model_components.timing import Delayed


class SelfConnection(nn.Module):
    """``h = w s + b`` with one learnable scalar for the whole layer."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(())) if bias else None

    def forward(self, s: Tensor) -> Tensor:
        """Args: s (B, C, H, W). Returns: (B, C, H, W)."""
        h = s * self.weight
        return h if self.bias is None else h + self.bias


class LocalLateralConnection(nn.Module):
    """One convolution on the topographic sheet, kernel ``max(3, odd(f // 4))``, reflect padding."""

    def __init__(self, n_channels: int, bias: bool = True) -> None:
        super().__init__()
        side = sheet_side(n_channels) // 4
        self.kernel_size = max(3, side if side % 2 == 1 else side + 1)
        self.conv = nn.Conv2d(1, 1, self.kernel_size, bias=bias)

    def forward(self, s: Tensor) -> Tensor:
        """Args: s (B, C, H, W) with C = f f. Returns: (B, C, H, W)."""
        pad = self.kernel_size // 2
        sheet = F.pad(to_sheet(s), (pad, pad, pad, pad), mode="reflect")
        return from_sheet(self.conv(sheet), s.shape[1])


def _depthwise(c: int, k: int, bias: bool) -> nn.Module:
    return nn.Conv2d(c, c, k, padding=k // 2, groups=c, bias=bias)


def _pointwise(c: int, c_out: int, bias: bool) -> nn.Module:
    return nn.Conv2d(c, c_out, 1, bias=bias)


# name -> builder(C, C', k, bias)
OPERATORS: dict[str, Callable[[int, int, int, bool], nn.Module]] = {
    "self": lambda c, c_out, k, bias: SelfConnection(bias),
    "depthwise": lambda c, c_out, k, bias: _depthwise(c, k, bias),
    "pointwise": lambda c, c_out, k, bias: _pointwise(c, c_out, bias),
    "full": lambda c, c_out, k, bias: nn.Conv2d(c, c_out, k, padding=k // 2, bias=bias),
    "depthpointwise": lambda c, c_out, k, bias: nn.Sequential(
        _depthwise(c, k, bias), _pointwise(c, c_out, bias)
    ),
    "pointdepthwise": lambda c, c_out, k, bias: nn.Sequential(
        _pointwise(c, c_out, bias), _depthwise(c_out, k, bias)
    ),
    "local": lambda c, c_out, k, bias: LocalLateralConnection(c, bias),
    "localdepthwise": lambda c, c_out, k, bias: nn.Sequential(
        LocalLateralConnection(c, bias), _depthwise(c, k, bias)
    ),
}
WITHOUT_KERNEL = frozenset({"self", "pointwise", "local"})


def build_operator(
    recurrence_type: str, in_channels: int, out_channels: int, kernel_size: int, bias: bool = True
) -> nn.Module | None:
    """The operator of a recurrence type, or None for ``none``.

    Args:
        recurrence_type: a name of the table above, or ``none``.
        in_channels: C, channels of the layer's own activity.
        out_channels: C', channels of the target.
        kernel_size: k, odd.
        bias: whether the operator has biases.

    Raises:
        InputError: an unknown type, one that cannot change channels where it would have to, or a kernel that has no middle.
    """
    if recurrence_type == "none":
        return None
    if recurrence_type not in OPERATORS:
        raise unknown_name("recurrence_type", recurrence_type, ["none", *OPERATORS])
    if recurrence_type in KEEPS_CHANNELS and in_channels != out_channels:
        raise InputError(
            f"recurrence_type {recurrence_type} keeps the number of channels and cannot map {in_channels} to "
            f"{out_channels}; change recurrence_type, or set recurrence_target: output"
        )
    if recurrence_type not in WITHOUT_KERNEL:
        check_kernel(kernel_size, "recurrence_kernel_size", odd=True)
    return OPERATORS[recurrence_type](in_channels, out_channels, kernel_size, bias)


def initialize_operator(operator: nn.Module, max_weight_init: float) -> None:
    """Weights uniform in +- ``max_weight_init``, biases 0."""
    for name, parameter in operator.named_parameters():
        if name.rpartition(".")[2] == "bias":
            nn.init.zeros_(parameter)
        else:
            nn.init.uniform_(parameter, -max_weight_init, max_weight_init)


class Recurrent(Delayed):
    """The base of modules that apply an operator to their layer's own delayed activity, and merge the result into a signal.

    A pure function of its inputs: the engine keeps the activity. A subclass sets ``recurrence``, the operator.

    Args:
        t_recurrence: delay in ms, at least dt.
        dt: as of :class:`Clocked`.
        recurrence_merge: ``additive`` or ``multiplicative``.
        target_size: (H, W) of the target; needed only where the recurrent signal can arrive before any input.
    """

    delay_name = "t_recurrence"
    shortest_delay_is_dt = True
    recurrence: nn.Module | None

    def __init__(
        self,
        t_recurrence: float,
        dt: float | None,
        recurrence_merge: str,
        target_size: tuple[int, int] | None,
    ) -> None:
        super().__init__(t_recurrence, dt)
        self.recurrence_merge = recurrence_merge
        self.merge = find_merge(recurrence_merge)
        self.target_size = target_size

    def recurrent_signal(self, r: Tensor, convolve: Convolve | None = None) -> Tensor:
        """The operator applied to the layer's own delayed activity, (B, C, H, W) to (B, C', H, W)."""
        assert self.recurrence is not None
        if convolve is not None:
            assert isinstance(self.recurrence, nn.Conv2d)
            return convolve(self.recurrence, r)
        return self.recurrence(r)  # type: ignore[no-any-return]

    def merge_at_target(self, x: Tensor | None, h: Tensor) -> Tensor:
        """Merge a recurrent signal into its target, at the target's resolution; an absent target is replaced by it.

        Args:
            x: the target, (B, C, H, W); None before it has started.
            h: the recurrent signal, (B, C, H', W').

        Returns:
            (B, C, H, W).
        """
        h = resize_to_target(h, x, self.target_size)
        return h if x is None else self.merge(x, h)


class RecurrentConnection(Recurrent):
    """A recurrent connection as an operation of its own, for layers that are built from plain modules.

        h = R(r(t - t_recurrence))      merges into the signal at the place where it stands in ``layer_operations``

    After a layer's last convolution that is its drive (target output), before the layer its input.

    Args:
        in_channels: channels of the layer's activity.
        out_channels: channels of the signal that it merges into; by default the same.
        recurrence_type: a name of the table above.
        kernel_size: k of the operator.
        bias: bias of the operator.
        max_weight_init: weights start uniform in +- this.
        t_recurrence, dt, recurrence_merge, target_size: as of :class:`Recurrent`.

    Raises:
        InputError: a type that is not known, or that cannot change channels where it would have to.
    """

    recurrence_target = "output"  # of what stands before it

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        recurrence_type: str = "full",
        recurrence_merge: str = "additive",
        kernel_size: int = 3,
        bias: bool = True,
        t_recurrence: float = 6.0,
        dt: float | None = None,
        max_weight_init: float = 0.001,
        target_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(t_recurrence, dt, recurrence_merge, target_size)
        if dt is not None:
            self.check_dt(self.dt)
        target = in_channels if out_channels is None else out_channels
        recurrence = build_operator(recurrence_type, in_channels, target, kernel_size, bias)
        assert recurrence is not None
        self.recurrence = recurrence
        initialize_operator(recurrence, max_weight_init)

    def forward(self, x: Tensor | None, r: Tensor | None = None) -> Tensor | None:
        """One step.

        Args:
            x: signal to merge into, (B, C', H', W'); None before it has started.
            r: the layer's own activity ``t_recurrence`` ago, (B, C, H, W); None before it has started.

        Returns:
            The merged signal, (B, C', H', W'); None if there is nothing yet.
        """
        return x if r is None else self.merge_at_target(x, self.recurrent_signal(r))


TARGETS = ("output", "middle", "input")


class RecurrentConnectedConv2d(Recurrent):
    """Convolution in one or two stages with a recurrent connection.

    Args:
        in_channels, out_channels: channels of the input and of the output.
        kernel_size, stride: one number, or a pair for two stages.
        mid_channels: channels between the stages; None for one stage.
        bias: biases of the convolutions; a pair for two stages.
        mid_modules: what acts between the first convolution and its rectification, e.g. a normalisation.
        recurrence_type: a name of the table above, or ``none``.
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
        self.out_channels, self.recurrence_target = out_channels, recurrence_target
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

    def first_stage(self, x: Tensor, convolve: Convolve = convolve) -> Tensor:
        """Up to the signal between the stages: (B, C_in, H, W) to (B, C_mid, H', W')."""
        x = convolve(self.conv, x)
        if self.mid_modules is not None:
            x = self.mid_modules(x)
        return x if self.mid_nonlin is None else self.mid_nonlin(x)

    def second_stage(self, x: Tensor, convolve: Convolve = convolve) -> Tensor:
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
