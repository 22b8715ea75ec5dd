"""A network before it runs: its arguments, layers, delays and plan, and the names of published weights."""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dynvision.base.hooks import check_hooks, hooked_modules
from dynvision.base.inputs import Origin, check_width, linear_outputs, unknown_classes
from dynvision.base.lesion import lesion_gain
from dynvision.base.operations import check_operations
from dynvision.base.own_methods import OWN_FORWARD, check_own_forward, own_forward
from dynvision.base.plan import Plan, frame_plan, make_plan
from dynvision.base.versions import ModelVersion, ModelVersions
from dynvision.config.section import resolve_by_layer
from dynvision.errors import InputError
from dynvision.functional.maps import is_transformed
from dynvision.model_components.timing import Clocked, Delayed, FeedforwardDelay
from dynvision.units import ms_to_steps

DEFAULT_OPERATIONS = (
    "layer",
    "addext",
    "addskip",
    "addfeedback",
    "tstep",
    "nonlin",
    "supralin",
    "record",
    "delay",
    "pool",
)


def constructor_arguments(owner: type) -> set[str]:
    """Names of all arguments that the constructor of a class or of one of its bases takes."""
    known: set[str] = set()
    for base in owner.__mro__:
        if "__init__" in base.__dict__ and base is not object:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            known |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return known - {"self"}


def whole_number(name: str, value: Any, at_least: int) -> int:
    """Return an argument that is a whole number.

    Raises:
        InputError: it is none, or below the smallest that is allowed.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = at_least - 1
    if isinstance(value, bool) or number < at_least:
        raise InputError(f"{name}={value!r} must be a whole number, at least {at_least}")
    return number


def parse_input_dims(input_dims: Sequence[int]) -> tuple[int, int, int, int]:
    """(T, C, H, W) from itself or from (C, H, W).

    Raises:
        InputError: anything else.
    """
    if len(input_dims) not in (3, 4):
        raise InputError(f"input_dims={tuple(input_dims)} must be (T, C, H, W) or (C, H, W)")
    names = ("T", "C", "H", "W")[-len(input_dims) :]
    dims = tuple(
        whole_number(f"input_dims={tuple(input_dims)}: {name}", size, 1)
        for name, size in zip(names, input_dims, strict=True)
    )
    dims = dims if len(dims) == 4 else (1, *dims)
    return dims  # type: ignore[return-value]


class Architecture(nn.Module):
    """Named layers, their operations and their delays: what :class:`dynvision.base.TemporalBase` runs in time.

    A class of a published network states in ``published_names`` how its weights were laid out: pairs of a regular
    expression for a whole published name and its replacement, the first that matches counting. What matches none keeps its
    name, so that a strict load refuses it if the model does not know it.
    """

    published_names: ClassVar[Sequence[tuple[str, str]]] = ()
    optional_operations: Sequence[str] = ()
    module_paths: Mapping[str, Sequence[str]] = {}
    layer_names: Sequence[str]
    layer_operations: Sequence[str]
    classifier_name: str
    dt: float
    t_feedforward: float | Mapping[str, float]
    feedforward_only: bool
    without_skip: bool
    lesion: str
    lesion_gain: float
    t_lesion_start: float | None
    t_lesion_end: float | None
    onset_steps: int
    idle_steps: int
    n_channels: int
    height: int
    width: int
    _versions: ModelVersions
    _n_classes: int | None
    _residual_override: int | None

    @property
    def n_classes(self) -> int:
        """Number of classes, K: as given, else the outputs of a linear classifier.

        Raises:
            InputError: neither has it.
        """
        if self._n_classes is not None:
            return self._n_classes
        outputs = linear_outputs(self._modules.get(self.classifier_name))
        if outputs is None:
            raise unknown_classes(type(self).__name__)
        return outputs

    @n_classes.setter
    def n_classes(self, n_classes: int) -> None:
        self._n_classes = whole_number("n_classes", n_classes, 1)

    def _initialise(self) -> None:
        """Check what ``_define_architecture`` has built, let its components follow dt, and initialise what they learn."""
        check_own_forward(self)
        for name, module in self.named_modules():
            if isinstance(module, Clocked):
                module.follow(self.dt, name)
        check_width(linear_outputs(self._modules.get(self.classifier_name)), self._n_classes)
        self._init_parameters()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _define_architecture(self) -> None:
        """Set ``layer_names`` and ``layer_operations`` and build the modules that they name.

        What it has built is initialised after every call that is not one of a subclass to its base.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement _define_architecture()")

    def _init_parameters(self) -> None:
        """Initialise parameters; the modules' own initialisation unless a subclass does otherwise."""

    def reset(self) -> None:
        """Nothing to do: state lives for one call of ``forward``, or in the hands of the caller of ``step``.

        The same input gives the same output, bit for bit, before and after.
        """

    def plan(self, feedforward_only: bool | None = None) -> Plan:
        """Return the plan of the engine, from the names and modules as they are now.

        It is made once for each version of the model, unless delays are learned, whose values it follows.

        Raises:
            InputError: a name that resolves to nothing.
        """
        passing = torch.compiler.is_compiling() or is_transformed()
        return self._plan_of(None if passing else self._version_now(), feedforward_only)

    def _version_now(self) -> ModelVersion:
        """The version of the model as it is now."""
        return self._versions.of(self)

    def _hooked(self) -> frozenset[int] | None:
        """Ids of the modules that have hooks; None where torch compiles."""
        if torch.compiler.is_compiling():
            return None
        return hooked_modules(self) if is_transformed() else self._version_now().hooked

    def _plan_of(self, version: ModelVersion | None, feedforward_only: bool | None = None) -> Plan:
        """The plan of a version; of none that is remembered, a plan that is not, either."""
        without = self.feedforward_only if feedforward_only is None else bool(feedforward_only)
        if version is None:
            return self._make_plan(without, tuple(self.modules()))
        plan = version.plans.get(without)
        if plan is None:
            plan = self._make_plan(without, version.parts)
            if not any(isinstance(m, Delayed) and m.learned_delay is not None for m in version.parts):
                plan = version.plans[without] = replace(plan, token=object())
        return plan

    def _make_plan(self, without_recurrence: bool, parts: tuple[nn.Module, ...]) -> Plan:
        gain = lesion_gain(self) if self.lesion else None
        for module in parts:
            if isinstance(module, Delayed):
                module.keep_in_range()
        if not self.chain:
            raise InputError(
                f"{type(self).__name__}.layer_names is empty; name the layers in _define_architecture(), or write a "
                "forward(self, x) of images"
            )
        if own_forward(self) is not None:
            made = frame_plan(self, OWN_FORWARD, self.feedforward_delay_steps(OWN_FORWARD))
        else:
            check_operations(self, self._may_be_absent())
            made = make_plan(self, without_recurrence, gain, parts)
        if made.hooked:
            run = [operation.module for layer in made.layers for operation in layer.operations]
            check_hooks(self, run)
        held = [parameter for part in parts for parameter in part._parameters.values()]
        shapes = {id(parameter): tuple(parameter.shape) for parameter in held if parameter is not None}
        origin = Origin(
            self.dt,
            self.image,
            tuple((layer.name, layer.start) for layer in made.layers),
            tuple(sorted(shapes.values())),
            made.horizon,
        )
        return replace(made, owner=id(self), origin=origin)

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W) of the input."""
        return self.n_channels, self.height, self.width

    @property
    def chain(self) -> tuple[str, ...]:
        """The layers that run in time: ``layer_names`` without the classifier, which reads out the last of them.

        A model with a ``forward`` of its own has one, ``forward`` (:mod:`dynvision.base.own_methods`).
        """
        layers = tuple(layer for layer in self.layer_names if layer != self.classifier_name)
        return layers or ((OWN_FORWARD,) if own_forward(self) is not None else ())

    def _may_be_absent(self) -> tuple[str, ...]:
        """Operations that may resolve to nothing: those that the class declares, and those that no class has chosen."""
        own = tuple(type(self).optional_operations)
        return (*own, *DEFAULT_OPERATIONS[1:]) if tuple(self.layer_operations) == DEFAULT_OPERATIONS else own

    def feedforward_delay_steps(self, layer: str) -> int:
        """Delay from a layer to the next in steps, rounded where it is learned."""
        learned = self.learned_delay(layer)
        if learned is not None:
            return learned.nearest_steps
        if not isinstance(self.t_feedforward, Mapping):
            return ms_to_steps(float(self.t_feedforward), self.dt, "t_feedforward")
        delay = resolve_by_layer(self.t_feedforward, self.chain, 0.0, "t_feedforward")[layer]
        return ms_to_steps(float(delay), self.dt, f"t_feedforward.{layer}")

    def learned_delay(self, layer: str) -> FeedforwardDelay | None:
        """The learned delay from a layer to the next; None where it is given."""
        module = self._modules.get(f"delay_{layer}")
        return module if isinstance(module, FeedforwardDelay) else None

    @property
    def n_residual_timesteps(self) -> int:
        """R: steps after a frame until the classifier has received of it along the whole chain of layers."""
        if self._residual_override is not None:
            return self._residual_override
        return sum(self.feedforward_delay_steps(layer) for layer in self.chain)

    def set_residual_timesteps(self, n_timesteps: int | None = None, max_timesteps: int = 100) -> None:
        """Set the residual steps, or with None let them follow from the delays.

        Raises:
            InputError: a number below 0 or above ``max_timesteps``.
        """
        self._residual_override = None
        steps = self.n_residual_timesteps if n_timesteps is None else int(n_timesteps)
        if not 0 <= steps <= max_timesteps:
            raise InputError(
                f"n_timesteps={steps} residual steps are not between 0 and max_timesteps={max_timesteps}"
            )
        self._residual_override = None if n_timesteps is None else steps

    @classmethod
    def translate_pretrained_layer_names(cls, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The published weights by the names of this class, values unchanged.

        Batch normalisation did not always count its batches; as in torch, a count that is missing is 0.

        Args:
            state_dict: tensors by published name, without the prefix ``module.`` of data-parallel training.

        Returns:
            Tensors by the names of ``state_dict()`` of a model of this class; the names as they are for a class without
            a published layout.
        """
        own = {cls._own_name(name): tensor for name, tensor in state_dict.items()}
        for name in [name for name in own if name.endswith(".running_mean")]:
            own.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
        return own

    @classmethod
    def published_arguments(cls, state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
        """The arguments of a model that these weights fit, as far as they follow from their names and shapes.

        Args:
            state_dict: as for :meth:`translate_pretrained_layer_names`.
        """
        return {}

    @classmethod
    def _own_name(cls, published: str) -> str:
        for pattern, replacement in cls.published_names:
            match = re.fullmatch(pattern, published)
            if match:
                return match.expand(replacement)
        return published
