"""A recurrent connection as an operation of its own, for layers that are built from plain modules.

    h = R(r(t - t_recurrence))      merges into the signal at the place where the operation stands in ``layer_operations``

Behind a layer's last convolution that is its drive (target output), before the layer its input. The module is a pure
function of its inputs: the engine keeps the activity.
"""

from __future__ import annotations

from torch import Tensor

from dynvision.functional.maps import find_merge, resize_to_target
from dynvision.model_components.clocked import Clocked
from dynvision.model_components.recurrence import build_operator, initialize_operator
from dynvision.units import ms_to_steps, steps_to_ms


class RecurrentConnection(Clocked):
    """A connection from a layer's own delayed activity.

    Args:
        in_channels: channels of the layer's activity.
        out_channels: channels of the signal that it merges into; by default the same.
        recurrence_type: see :mod:`dynvision.model_components.recurrence.operators`; not none.
        recurrence_merge: ``additive`` or ``multiplicative``.
        kernel_size: k of the operator.
        bias: bias of the operator.
        t_recurrence: delay in ms.
        dt: as of :class:`Clocked`.
        max_weight_init: weights start uniform in +- this.
        target_size: (H, W) of the target; needed only where the recurrent signal can arrive before any input.

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
        super().__init__(dt)
        self.recurrence_merge = recurrence_merge
        self.t_recurrence = float(t_recurrence)
        if dt is not None:
            self.check_dt(self.dt)
        self.merge = find_merge(recurrence_merge)
        self.target_size = target_size
        target = in_channels if out_channels is None else out_channels
        recurrence = build_operator(recurrence_type, in_channels, target, kernel_size, bias)
        assert recurrence is not None
        self.recurrence = recurrence
        initialize_operator(recurrence, max_weight_init)

    @property
    def delay_steps(self) -> int:
        """The delay in steps."""
        return ms_to_steps(self.t_recurrence, self.dt, "t_recurrence", minimum_ms=self.dt)

    @delay_steps.setter
    def delay_steps(self, steps: int) -> None:
        self.t_recurrence = steps_to_ms(steps, self.dt)

    def check_dt(self, dt: float) -> None:
        ms_to_steps(self.t_recurrence, dt, "t_recurrence", minimum_ms=dt)

    def recurrent_signal(self, r: Tensor) -> Tensor:
        """The operator applied to the layer's own delayed activity, (B, C, H, W) to (B, C', H, W)."""
        return self.recurrence(r)

    def forward(self, x: Tensor | None, r: Tensor | None = None) -> Tensor | None:
        """One step.

        Args:
            x: signal to merge into, (B, C', H', W'); None before it has started.
            r: the layer's own activity ``t_recurrence`` ago, (B, C, H, W); None before it has started.

        Returns:
            The merged signal, (B, C', H', W'); None if there is nothing yet.
        """
        if r is None:
            return x
        h = resize_to_target(self.recurrent_signal(r), x, self.target_size)
        return h if x is None else self.merge(x, h)
