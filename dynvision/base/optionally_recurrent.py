"""Published feedforward networks as layers in time: stateless as published, or with a recurrence and a leak in each layer.

    recurrence_type none     r = Phi(z),   z the published network's, frame by frame
    any other                tau dr/dt = -r + z + R(r(t - t_recurrence)),   r = Phi(y)          (Phi after the step)

The parameters of the published network keep their names. Those of the recurrence are additional: 3 x 3 operators
``addrecurrence_<layer>``, and time constants ``tstep_<layer>`` where they are learned. Source of the variants: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dynvision.base.configured_model import ConfiguredModel
from dynvision.config.model import TemporalArgs
from dynvision.config.optionally_recurrent import OptionallyRecurrentArgs
from dynvision.model_components import RecurrentConnection, find_solver


class OptionallyRecurrent(ConfiguredModel):
    """The base of such a network.

    A subclass builds its modules in ``_define_architecture``, names layers and ``module_paths``, and calls
    :meth:`add_dynamics`. The arguments are those of :class:`ConfiguredModel`.
    """

    schema: ClassVar[type[TemporalArgs]] = OptionallyRecurrentArgs
    optional_operations: Sequence[str] = ("addrecurrence", "tstep", "pool")

    def operations(self, first_stage: Sequence[str], second_stage: Sequence[str] = ()) -> tuple[str, ...]:
        """The operations of every layer, with the recurrence at its target.

        Args:
            first_stage: operations from the layer's input up to the target `middle`.
            second_stage: operations from there to the drive.
        """
        target = self.args.recurrence_target
        merge = {name: ("addrecurrence",) if name == target else () for name in ("input", "middle", "output")}
        drive = (*merge["input"], *first_stage, *merge["middle"], *second_stage, *merge["output"])
        step = ("tstep", "nonlin") if self.args.nonlinearity_position == "state" else ("nonlin", "tstep")
        return (*drive, *step, "record", "delay", "pool")

    def add_dynamics(self, layer: str, in_channels: int, channels: int) -> None:
        """Give a layer its recurrence and its leak, if the network has them.

        Args:
            layer: its name.
            in_channels: channels of its input.
            channels: channels of its activity, and of the signal between its two stages.
        """
        args, own = self.args, self.numbers_of_layer(layer)
        if own["recurrence_type"] == "none":
            return
        recurrence = RecurrentConnection(
            channels,
            in_channels if args.recurrence_target == "input" else channels,
            own["recurrence_type"],
            args.recurrence_merge,
            t_recurrence=own["t_recurrence"],
            dt=args.dt,
            max_weight_init=args.max_weight_init,
        )
        self.add_module(f"addrecurrence_{layer}", recurrence)
        solver = find_solver(args.dynamics_solver)
        self.add_module(f"tstep_{layer}", solver(args.dt, own["tau"], args.train_tau, channels))
