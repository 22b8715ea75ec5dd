"""Recurrence: the operators from a layer's own delayed activity (C channels) to its target (C' channels), and a connection.

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

Source: Gutzen & Lindsay (2025), bioRxiv 10.1101/2025.08.11.669756; depthwise and pointwise: ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.config.model import KEEPS_CHANNELS
from dynvision.errors import InputError, unknown_name
from dynvision.functional.maps import find_merge, from_sheet, resize_to_target, sheet_side, to_sheet
from dynvision.model_components.convolution import check_kernel
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
    """What applies an operator to its layer's own delayed activity, and where the result merges into a signal.

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

    def recurrent_signal(self, r: Tensor) -> Tensor:
        """The operator applied to the layer's own delayed activity, (B, C, H, W) to (B, C', H, W)."""
        assert self.recurrence is not None
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
        recurrence_type: see :mod:`dynvision.model_components.recurrence`; not none.
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
