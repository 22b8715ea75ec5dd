"""Models whose arguments are the keys of a schema in ``dynvision.config``.

Published feedforward networks become layers in time: stateless as published, or with a recurrence and a leak in each layer.

    recurrence_type none     r = Phi(z),   z the published network's, frame by frame
    any other                tau dr/dt = -r + z + R(r(t - t_recurrence)),   r = Phi(y)          (Phi after the step)

The parameters of the published network keep their names. Those of the recurrence are additional: 3 x 3 operators
``addrecurrence_<layer>``, and time constants ``tstep_<layer>`` where they are learned. Source of the variants: ours.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from dynvision.base.base_model import BaseModel
from dynvision.config.model import TemporalArgs, check_grid
from dynvision.config.models import pairs_of
from dynvision.config.published_models import OptionallyRecurrentArgs
from dynvision.config.section import is_by_layer, resolve_by_layer, validate
from dynvision.errors import unknown_name
from dynvision.model_components import FeedforwardDelay, RecurrentConnection, find_solver
from dynvision.model_components.recurrence import Recurrent
from dynvision.model_components.timing import Delayed


class ConfiguredModel(BaseModel):
    """The base of models with a schema; a subclass names it and implements ``_define_architecture`` from ``self.args``.

    ``skips`` and ``feedbacks`` are its connections as (source, target) pairs, by which their delays can be given.

    Args:
        input_dims: (T, C, H, W), or (C, H, W) for the schema's number of steps.
        n_classes: number of classes, needed by every shipped model.
        **kwargs: the keys of ``schema`` (durations in ms) and of the base classes.

    Raises:
        InputError: an unknown argument, or a value or combination that is not possible.
    """

    schema: ClassVar[type[TemporalArgs]]
    skips: Sequence[tuple[str, str]] = ()
    feedbacks: Sequence[tuple[str, str]] = ()

    def __init__(
        self, input_dims: Sequence[int] = (3, 224, 224), n_classes: int | None = None, **kwargs: Any
    ) -> None:
        if "tau" in kwargs and "tau" not in self.schema.model_fields:  # of the base, and no unit here leaks
            raise unknown_name("argument", "tau", self.schema.model_fields)
        given = {name: kwargs.pop(name) for name in self.schema.model_fields if name in kwargs}
        if len(input_dims) == 4:
            given = {"n_timesteps": input_dims[0], **given}
        self.args: Any = validate(self.schema, given, "")
        shared = (*TemporalArgs.model_fields, *({"tau", "without_skip"} & self.schema.model_fields.keys()))
        self._by_layer: dict[str, dict[str, Any]] = {}
        common = {name: getattr(self.args, name) for name in shared}
        super().__init__(input_dims=input_dims, n_classes=n_classes, **common, **kwargs)

    @classmethod
    def known_arguments(cls) -> set[str]:
        return super().known_arguments() | set(cls.schema.model_fields)

    def numbers_of_layer(self, layer: str) -> dict[str, Any]:
        """Return every argument that can differ between layers, as it is for one of them.

        Raises:
            InputError: an argument names a layer that the model does not have, or a rule has a delay that is off the grid.
        """
        if not self._by_layer:
            self._by_layer = {
                name: resolve_by_layer(
                    getattr(self.args, name),
                    self.chain,
                    field.default,
                    name,
                    pairs_of(name, self.skips, self.feedbacks),
                )
                for name, field in self.schema.model_fields.items()
                if is_by_layer(field) or name == "recurrence_type"
            }
            for name, numbers in self._by_layer.items():
                check_grid(name, numbers, getattr(self.args, name), self.args.dt)
        return {name: values[layer] for name, values in self._by_layer.items()}

    @property
    def learned(self) -> Collection[str]:
        """The numbers that are learned, by the names of the schema; none of a schema without ``train``."""
        of_schema = {
            name: getattr(self.args, name)
            for name in ("train", "train_tau")
            if name in self.schema.model_fields
        }
        return (*of_schema.get("train", ()), *(("tau",) if of_schema.get("train_tau") else ()))

    @property
    def learned_tau(self) -> bool | str:
        """Whether time constants are learned, ``channel`` for one a channel, as solvers take it."""
        return "channel" if "tau.channel" in self.learned else "tau" in self.learned

    def _initialise(self) -> None:
        for module in self.modules():
            absent = isinstance(module, Recurrent) and module.recurrence is None
            if isinstance(module, Delayed) and module.delay_name in self.learned and not absent:
                module.learn_delay()
        super()._initialise()

    def _scaled(self, channels: int) -> int:
        """A published number of channels times ``width``, where the schema has it."""
        return max(1, round(channels * self.args.width))


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
        if "t_feedforward" in args.train:
            self.add_module(f"delay_{layer}", FeedforwardDelay(own["t_feedforward"], args.dt))
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
        self.add_module(f"tstep_{layer}", solver(args.dt, own["tau"], self.learned_tau, channels))
