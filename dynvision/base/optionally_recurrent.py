"""Published feedforward networks as layers in time: stateless as published, or with a recurrence and a leak in each layer.

    recurrence_type none     r = Phi(z),   z the published network's, frame by frame
    any other                tau dr/dt = -r + z + R(r(t - t_recurrence)),   r = Phi(y)          (Phi after the step)

The parameters of the published network keep their names. Those of the recurrence are additional: 3 x 3 operators
``addrecurrence_<layer>``, and time constants ``tstep_<layer>`` where they are learned. Source of the variants: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynvision.base.base_model import BaseModel
from dynvision.config.model import TemporalArgs
from dynvision.config.optionally_recurrent import OptionallyRecurrentArgs
from dynvision.config.section import validate
from dynvision.model_components import RecurrentConnection, find_solver


class OptionallyRecurrent(BaseModel):
    """The base of such a network.

    A subclass builds its modules in ``_define_architecture``, names layers and ``module_paths``, and calls
    :meth:`add_dynamics`.

    Args:
        input_dims: (T, C, H, W).
        n_classes: number of classes.
        **kwargs: the keys of ``arguments`` (durations in ms) and of the base classes.

    Raises:
        InputError: an unknown argument, or a value or combination that is not possible.
    """

    arguments: type[OptionallyRecurrentArgs] = OptionallyRecurrentArgs
    optional_operations: Sequence[str] = ("addrecurrence", "tstep", "pool")

    def __init__(
        self, input_dims: Sequence[int] = (20, 3, 224, 224), n_classes: int = 1000, **kwargs: Any
    ) -> None:
        given = {name: kwargs.pop(name) for name in self.arguments.model_fields if name in kwargs}
        steps = input_dims[0] if len(input_dims) == 4 else TemporalArgs.model_fields["n_timesteps"].default
        self.args = args = validate(self.arguments, {"n_timesteps": steps, **given}, "")
        temporal = {name: getattr(args, name) for name in TemporalArgs.model_fields}
        super().__init__(input_dims=input_dims, n_classes=n_classes, tau=args.tau, **temporal, **kwargs)

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
        args = self.args
        if args.recurrence_type == "none":
            return
        recurrence = RecurrentConnection(
            channels,
            in_channels if args.recurrence_target == "input" else channels,
            args.recurrence_type,
            args.recurrence_merge,
            t_recurrence=args.t_recurrence,
            dt=args.dt,
            max_weight_init=args.max_weight_init,
        )
        self.add_module(f"addrecurrence_{layer}", recurrence)
        solver = find_solver(args.dynamics_solver)
        self.add_module(f"tstep_{layer}", solver(args.dt, args.tau, args.train_tau, channels))
