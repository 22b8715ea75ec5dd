"""From the names of operations to the modules of a model, and to what the engine does with each.

For a layer ``V1`` the operation ``nonlin`` is the module ``nonlin_V1``, else ``nonlin``; ``layer`` is the module ``V1``,
``record`` marks what is recorded and ``delay`` where the activity is kept. The class of a module decides its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from torch import nn

from dynvision.base.hooks import holds
from dynvision.errors import InputError, unknown_name
from dynvision.model_components.connection import Connection
from dynvision.model_components.recurrence import RecurrentConnectedConv2d, RecurrentConnection
from dynvision.model_components.solvers import Solver
from dynvision.model_components.timing import Clocked, Delayed, StatefulOperation, TimedOperation, ZeroStart

if TYPE_CHECKING:
    from dynvision.base.architecture import Architecture
    from dynvision.base.lesion import Gain

Kind = Literal[
    "apply",
    "frame",
    "call",
    "first_stage",
    "second_stage",
    "recur",
    "connect",
    "solve",
    "stateful",
    "timed",
    "begin",
    "record",
    "delay",
]
NEED_TIME = (Connection, RecurrentConnection, Solver, StatefulOperation, TimedOperation, ZeroStart)


@dataclass(frozen=True)
class Operation:
    """One operation of one layer.

    Attributes:
        name: it.
        kind: what the engine does with it.
        module: the module.
        hooked: whether that has hooks.
        gain: of a lesioned connection.
        delay: of a connection, in steps.
        interpolated: the module, where its learned delay lies between ``delay`` and the step after it.
    """

    name: str
    kind: Kind
    module: nn.Module
    hooked: bool = False
    gain: Gain | None = None
    delay: int = 0
    interpolated: Delayed | None = None

    @property
    def reach(self) -> int:
        """Steps back to the oldest activity that is received."""
        return self.delay + (self.interpolated is not None)


MARKS = {
    "record": Operation("record", "record", nn.Identity()),
    "delay": Operation("delay", "delay", nn.Identity()),
}


def resolve_operations(
    model: Architecture, layer: str, feedforward_only: bool, hooked: frozenset[int]
) -> list[Operation]:
    """The operations of one layer in their order; those that resolve to nothing are left out.

    Args:
        model: holds the modules.
        layer: the layer.
        feedforward_only: leave out recurrence and feedback.
        hooked: ids of modules with hooks (:mod:`dynvision.base.hooks`).
    """
    found: list[Operation] = []
    for name in model.layer_operations:
        if name in MARKS:
            found.append(MARKS[name])
            continue
        module = place(model, layer) if name == "layer" else find_module(model, name, layer)
        if module is None:
            continue
        if isinstance(module, Clocked):
            module.follow(model.dt, f"{name}_{layer}" if name != "layer" else layer)
        listened = holds(module, hooked)
        if isinstance(module, RecurrentConnectedConv2d):
            if listened:
                hears_itself = module.recurrence is not None and not feedforward_only
                found.append(Operation(name, "call" if hears_itself else "apply", module, True))
            else:
                found.extend(_expand_recurrent_conv(name, module, feedforward_only))
        elif isinstance(module, RecurrentConnection):
            if not feedforward_only:
                found.append(Operation(name, "call" if listened else "recur", module, listened))
        elif isinstance(module, Connection):
            backward = is_backward(model, module, layer)
            if not (feedforward_only if backward else model.without_skip):
                found.append(Operation(name, "connect", module, listened))
        elif isinstance(module, StatefulOperation):  # a solver with a state of its own among them
            found.append(Operation(name, "stateful", module, listened))
        elif isinstance(module, Solver):
            found.append(Operation(name, "solve", module, listened))
        elif isinstance(module, TimedOperation):
            found.append(Operation(name, "timed", module, listened))
        elif isinstance(module, ZeroStart):
            found.append(Operation(name, "begin", module, listened))
        elif listened or not isinstance(module, nn.Identity):
            for path, part in temporal_parts(module):
                raise InputError(
                    f"{path} ({type(part).__name__}) needs time and lies inside the operation {name!r} of layer {layer}, "
                    "which runs frame by frame; make it an operation of its own, or name its path in module_paths"
                )
            found.append(Operation(name, "apply", module, listened))
    return found


def with_delay(operation: Operation) -> Operation:
    """An operation with the delay that its module has now."""
    if operation.kind not in ("connect", "recur", "call"):
        return operation
    module = operation.module
    assert isinstance(module, Delayed)
    return replace(operation, delay=module.delay_steps, interpolated=module if module.interpolated else None)


def temporal_parts(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The parts of a module that need the engine to have an effect in time, by their paths; not the module itself."""
    if not module._modules:
        return
    for path, part in module.named_modules():
        recurrent = isinstance(part, RecurrentConnectedConv2d) and part.recurrence is not None
        if part is not module and (recurrent or isinstance(part, NEED_TIME)):
            yield path, part


def find_module(model: Architecture, operation: str, layer: str) -> nn.Module | None:
    """The module of an operation for a layer: ``{operation}_{layer}``, else ``{operation}``, else None."""
    for attribute in (f"{operation}_{layer}", operation):
        module = place(model, attribute)
        if module is not None:
            return module
    return None


def place(model: Architecture, name: str) -> nn.Module | None:
    """The module of a name: what the model's ``module_paths`` put in a row for it, else its child; None if neither."""
    parts = [model.get_submodule(path) for path in model.module_paths.get(name, ())]
    return (parts[0] if len(parts) == 1 else nn.Sequential(*parts)) if parts else model._modules.get(name)


RESERVED = ("layer", *MARKS)


def check_operations(model: Architecture, optional: Sequence[str]) -> None:
    """Check that everything that a model names exists.

    Args:
        model: names layers and operations, and holds the modules.
        optional: operations that may resolve to nothing for every layer.

    Raises:
        InputError: a layer without a module, or an operation that resolves to nothing for any layer.
    """
    modules, layers = [*model._modules, *model.module_paths], model.chain
    for layer in layers:
        if place(model, layer) is None:
            raise unknown_name("layer", layer, modules, key="layer_names")
    for operation in model.layer_operations:
        if operation in RESERVED or operation in optional:
            continue
        if all(find_module(model, operation, layer) is None for layer in layers):
            stems = {
                name.rpartition("_")[0] if name.rpartition("_")[2] in layers else name for name in modules
            }
            raise unknown_name(
                "operation", operation, {*RESERVED, *stems} - set(layers), key="layer_operations"
            )


def is_backward(model: Architecture, connection: Connection, layer: str) -> bool:
    """Whether a layer receives one that comes after it, or itself."""
    names = list(model.layer_names)
    return connection.source in names and names.index(connection.source) >= names.index(layer)


def _expand_recurrent_conv(
    name: str, module: RecurrentConnectedConv2d, feedforward_only: bool
) -> list[Operation]:
    first, second = Operation(name, "first_stage", module), Operation(name, "second_stage", module)
    stages = [first] if module.conv2 is None else [first, second]
    if module.recurrence is None or feedforward_only:
        return stages
    position = {"input": 0, "middle": 1, "output": len(stages)}[module.recurrence_target]
    return [*stages[:position], Operation(name, "recur", module), *stages[position:]]
