"""Methods that a subclass of a model may write itself; training and tests run them alike.

    _define_architecture   may be called again: what it has built is then initialised again
    reset                  may walk over all modules, the model among them, without calling itself for ever
    forward                of images: a stateless network of one layer, `forward`, which the engine runs frame by frame

    forward(self, x)       x images (N, C, H, W), N = n B frames of a block;  returns outputs (N, n_classes)

A model with such a ``forward`` has the same trial as all models: time axis, presentation, residual steps, videos, storage,
experiments. It cannot call the engine in turn, and has no layers beside it. What is done to images before a network of
layers belongs into an operation before the first of them, or into the transforms of the data.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from dynvision.base.operations import temporal_parts
from dynvision.errors import InputError

OWN_FORWARD = "forward"  # the name of the layer
OF_THE_ENGINE = (
    "__call__",
    "advance",
    "initial_state",
    "step",
)  # what training and tests call one or the other of
ELSEWHERE = (
    "what it does to images belongs into an operation before the first layer (layer_operations) or into the transforms of "
    "the data, what it does to outputs into read_out"
)


def adopt_methods(cls: type, base: type) -> None:
    """Let the methods that a class, or a mixin of it, has written in place of the base's go together with the engine."""
    for name, adopt in (("_define_architecture", _and_initialise), ("reset", _not_within_itself)):
        method = getattr(cls, name)
        if method is not getattr(base, name) and not hasattr(method, "adopted"):
            setattr(cls, name, _marked(adopt(method), method))
    cls.replaced = tuple(name for name in OF_THE_ENGINE if getattr(cls, name) is not getattr(base, name))  # type: ignore[attr-defined]
    method = cls.forward  # type: ignore[attr-defined]
    trial = base.forward  # type: ignore[attr-defined]
    if method is not trial and not hasattr(method, "adopted"):
        adopted = _marked(_frame_by_frame(method, trial), method)
        adopted.__signature__ = inspect.signature(trial)  # type: ignore[attr-defined]
        cls.forward = adopted  # type: ignore[attr-defined]


def own_forward(model: nn.Module) -> Callable[..., Any] | None:
    """The ``forward`` of images that a model's class has written; None where the engine's trial is its forward."""
    return getattr(type(model).forward, "adopted", None)


def check_own_forward(model: Any) -> None:
    """Check that the engine can run a model with the methods that its class has written.

    Raises:
        InputError: a method of the engine is replaced; or there is a ``forward`` beside layers or components that need
            time, or one that wants more than images.
    """
    name = type(model).__name__
    for method in model.replaced:
        raise InputError(
            f"{name}.{method} replaces a method of the engine, which not everything that runs a model calls; leave it out: "
            f"{ELSEWHERE}"
        )
    own = own_forward(model)
    if own is None:
        return
    try:
        inspect.signature(own).bind(model, None)
    except TypeError:
        raise InputError(
            f"{name}.forward{inspect.signature(own)} must be callable with images alone, forward(self, x)"
        ) from None
    if model.layer_names:
        raise InputError(
            f"{name} has layers ({', '.join(model.layer_names)}), which the engine runs in time, and a forward of its own, "
            f"which would not; leave out forward ({ELSEWHERE}), or leave out layer_names"
        )
    for path, part in temporal_parts(model):
        raise InputError(
            f"{path} ({type(part).__name__}) needs time, and {name}.forward runs every frame by itself; name its layer in "
            "layer_names and leave out forward"
        )


def answer_frames(model: Any, x: Tensor) -> Tensor:
    """The outputs (N, K) of a model's own ``forward`` for images (N, C, H, W).

    Raises:
        InputError: it returns something else.
    """
    own = own_forward(model)
    assert own is not None
    model._within_frame = True
    try:
        outputs = own(model, x)
    finally:
        model._within_frame = False
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or outputs.shape[0] != x.shape[0]:
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(
            f"{type(model).__name__}.forward of {x.shape[0]} images must return ({x.shape[0]}, n_classes), not {found}; "
            "the time axis is made by the engine"
        )
    return outputs


def refuse_replaced_forward(model: Any) -> None:
    """Refuse to go from step to step with a model whose ``forward`` was assigned to the object: only a call would run it.

    A trainer that puts the method of the class there, as Lightning does, changes nothing.

    Raises:
        InputError: it was.
    """
    assigned = vars(model).get("forward")
    if assigned is not None and getattr(assigned, "__func__", None) is not type(model).forward:
        raise InputError(
            f"forward was assigned to this {type(model).__name__}, and what goes from step to step, as experiments do, "
            f"does not run it; write it in a class, or remove it with del model.forward: {ELSEWHERE}"
        )


def refuse_engine_within_frame(model: Any) -> None:
    """Refuse a ``forward`` that calls the engine: everything else that runs a model would do without it.

    Raises:
        InputError: always within a frame.
    """
    if model._within_frame:
        raise InputError(
            f"{type(model).__name__}.forward calls the forward of its base, so that training would run it and experiments, "
            f"which go from step to step, would not; leave it out: {ELSEWHERE}"
        )


def _marked(adopted: Callable[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """The replacement of a method, with its name and documentation, and the method itself as ``adopted``."""
    functools.update_wrapper(adopted, method)
    adopted.adopted = method  # type: ignore[attr-defined]
    return adopted


def _and_initialise(define: Callable[[Any], None]) -> Callable[..., Any]:
    @functools.wraps(define)
    def define_architecture(self: Any) -> None:
        if self._defining:  # called by the definition of a subclass
            define(self)
            return
        self._defining = True
        try:
            define(self)
        finally:
            self._defining = False
        self._initialise()

    return define_architecture


def _not_within_itself(reset: Callable[..., Any]) -> Callable[..., Any]:
    def reset_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        if reset in self._resetting:
            return None
        self._resetting.append(reset)
        try:
            return reset(self, *args, **kwargs)
        finally:
            self._resetting.remove(reset)

    return reset_once


def _frame_by_frame(own: Callable[..., Any], trial: Callable[..., Any]) -> Callable[..., Any]:
    def forward(self: Any, x_0: Any, *args: Any, **kwargs: Any) -> Any:
        # Within a frame it is a subclass that calls the forward of its base.
        return (own if self._within_frame else trial)(self, x_0, *args, **kwargs)

    return forward
