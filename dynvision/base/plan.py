"""From ``layer_names`` and ``layer_operations`` to what the engine does for each layer.

The operations of a layer fall into four stretches:

    block   need nothing of the layer's own activity: run once over a whole block of time
    lateral from the recurrent merge on: run over sub-blocks no longer than the recurrent delay
    step    from the solver to where the state is kept: run step by step
    output  after the state is kept, on the delayed activity: run once over a whole block of time
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from dynvision.errors import InputError, unknown_name
from dynvision.model_components.bias import Bias
from dynvision.model_components.connection import Connection
from dynvision.model_components.recurrent_connection import RecurrentConnection
from dynvision.model_components.recurrent_conv import RecurrentConnectedConv2d
from dynvision.model_components.solver import Solver
from dynvision.model_components.stateful import StatefulOperation
from dynvision.model_components.timed import TimedOperation
from dynvision.model_components.zero_start import ZeroStart

Kind = Literal[
    "apply",
    "first_stage",
    "second_stage",
    "recur",
    "connect",
    "solve",
    "stateful",
    "timed",
    "begin",
    "record",
]
RESERVED = ("layer", "record", "delay")


@dataclass(frozen=True)
class Operation:
    """One operation of one layer: its name, what the engine does with it, and the module."""

    name: str
    kind: Kind
    module: nn.Module


@dataclass(frozen=True)
class LayerPlan:
    """What the engine does for one layer. Delays and starts are in steps."""

    name: str
    block: tuple[Operation, ...]
    lateral: tuple[Operation, ...]
    step: tuple[Operation, ...]
    recorded: bool
    output: tuple[Operation, ...]
    start: int
    delay: int
    lateral_delay: int | None
    drive_history: int


@dataclass(frozen=True)
class Plan:
    """What the engine does for a model."""

    layers: tuple[LayerPlan, ...]
    horizon: dict[str, int]  # how far back each layer's activity is read, in steps
    longest_block: int | None  # bound by the shortest feedback delay
    settled: int  # age after which every signal has arrived everywhere


def resolve_operations(
    model: nn.Module, layer: str, names: Sequence[str], feedforward_only: bool, without_skip: bool
) -> list[Operation | str]:
    """The operations of one layer in their order; ``"delay"`` marks where the state is kept."""
    found: list[Operation | str] = []
    for name in names:
        if name == "delay":
            found.append("delay")
            continue
        if name == "record":
            found.append(Operation("record", "record", nn.Identity()))
            continue
        module = place(model, layer) if name == "layer" else find_module(model, name, layer)
        if module is None:
            continue
        if isinstance(module, RecurrentConnectedConv2d):
            found.extend(_expand_recurrent_conv(name, module, feedforward_only))
        elif isinstance(module, RecurrentConnection):
            if not feedforward_only:
                found.append(Operation(name, "recur", module))
        elif isinstance(module, Connection):
            backward = _is_backward(model, module, layer)
            if not ((backward and feedforward_only) or (not backward and without_skip)):
                found.append(Operation(name, "connect", module))
        elif isinstance(module, Solver):
            found.append(Operation(name, "solve", module))
        elif isinstance(module, StatefulOperation):
            found.append(Operation(name, "stateful", module))
        elif isinstance(module, TimedOperation):
            found.append(Operation(name, "timed", module))
        elif isinstance(module, ZeroStart):
            found.append(Operation(name, "begin", module))
        elif not isinstance(module, nn.Identity):
            found.append(Operation(name, "apply", module))
    return found


def find_module(model: nn.Module, operation: str, layer: str) -> nn.Module | None:
    """The module of an operation for a layer: ``{operation}_{layer}``, else ``{operation}``, else None."""
    for attribute in (f"{operation}_{layer}", operation):
        module = place(model, attribute)
        if module is not None:
            return module
    return None


def place(model: nn.Module, name: str) -> nn.Module | None:
    """The module of a name: what the model's ``module_paths`` put in a row for it, else its child; None if neither."""
    paths: Sequence[str] = model.module_paths.get(name, ())  # type: ignore[union-attr, operator, assignment]
    parts = [model.get_submodule(path) for path in paths]
    return (parts[0] if len(parts) == 1 else nn.Sequential(*parts)) if parts else model._modules.get(name)


def check_operations(
    model: nn.Module, layer_names: Sequence[str], layer_operations: Sequence[str], optional: Sequence[str]
) -> None:
    """Check that everything that is named exists.

    Raises:
        InputError: a layer without a module, or an operation that resolves to nothing for any layer.
    """
    modules = [*model._modules, *model.module_paths]  # type: ignore[misc]
    for layer in layer_names:
        if place(model, layer) is None:
            raise unknown_name("layer", layer, modules, key="layer_names")
    for operation in layer_operations:
        if operation in RESERVED or operation in optional:
            continue
        if all(find_module(model, operation, layer) is None for layer in layer_names):
            stems = {
                name.rpartition("_")[0] if name.rpartition("_")[2] in layer_names else name
                for name in modules
            }
            raise unknown_name(
                "operation", operation, {*RESERVED, *stems} - set(layer_names), key="layer_operations"
            )


def make_plan(
    model: nn.Module,
    operations: Mapping[str, Sequence[str]],
    feedforward_delays: Mapping[str, int],
    feedforward_only: bool = False,
    without_skip: bool = False,
) -> Plan:
    """The plan of a model.

    Args:
        model: holds the modules.
        operations: names of the operations of each layer; the keys are the layers in their order.
        feedforward_delays: delay of each layer's output, in steps.
        feedforward_only: leave out recurrence and feedback.
        without_skip: leave out skip connections.
    """
    names = list(operations)
    layers: list[LayerPlan] = []
    starts: dict[str, int] = {}
    horizon = dict.fromkeys(names, 1)
    longest: int | None = None
    arrival = 0
    for layer in names:
        found = resolve_operations(model, layer, operations[layer], feedforward_only, without_skip)
        start = arrival
        for operation in found:
            if isinstance(operation, Operation) and operation.kind == "connect":
                connection = operation.module
                assert isinstance(connection, Connection)
                if connection.source not in names:
                    raise unknown_name(
                        "source layer", connection.source, names, key=f"{operation.name}_{layer}"
                    )
                horizon[connection.source] = max(horizon[connection.source], connection.delay_steps)
                if _is_backward(model, connection, layer):
                    if connection.delay_steps < 1:
                        raise InputError(
                            f"{operation.name}_{layer} hears a later layer and needs a delay of at least dt"
                        )
                    longest = min(longest or connection.delay_steps, connection.delay_steps)
                else:
                    start = min(start, starts[connection.source] + connection.delay_steps)
        if any(isinstance(operation, Operation) and operation.kind == "begin" for operation in found):
            start = 0
        delay = feedforward_delays[layer]
        horizon[layer] = max(horizon[layer], delay)
        planned = _split(layer, _commute_additive(found), start, delay)
        if planned.lateral_delay is not None:
            horizon[layer] = max(horizon[layer], planned.lateral_delay)
        layers.append(planned)
        starts[layer] = start
        arrival = start + delay
    settled = max(starts.values()) + max([*horizon.values(), *_lengths_of_schedules(layers)]) + 1
    return Plan(tuple(layers), horizon, longest, settled)


def _lengths_of_schedules(layers: Sequence[LayerPlan]) -> list[int]:
    """Steps from a layer's start on at which its operations are not yet what they stay, for each that depends on time."""
    return [
        operation.module.n_steps
        for layer in layers
        for operation in (*layer.block, *layer.lateral, *layer.step, *layer.output)
        if isinstance(operation.module, (TimedOperation, ZeroStart))
    ]


def _is_backward(model: nn.Module, connection: Connection, layer: str) -> bool:
    names = list(model.layer_names)  # type: ignore[arg-type]
    return connection.source in names and names.index(connection.source) >= names.index(layer)


def _expand_recurrent_conv(
    name: str, module: RecurrentConnectedConv2d, feedforward_only: bool
) -> list[Operation | str]:
    first, second = Operation(name, "first_stage", module), Operation(name, "second_stage", module)
    stages: list[Operation | str] = [first] if module.conv2 is None else [first, second]
    if module.recurrence is None or feedforward_only:
        return stages
    position = {"input": 0, "middle": 1, "output": len(stages)}[module.recurrence_target]
    return [*stages[:position], Operation(name, "recur", module), *stages[position:]]


def _commute_additive(found: list[Operation | str]) -> list[Operation | str]:
    """Move additive connections and biases that directly follow an additive recurrent merge before it.

    The sum is the same, and what is added is then added once a block instead of once a sub-block.
    """
    ordered = list(found)
    for i, operation in enumerate(found):
        if isinstance(operation, Operation) and operation.kind == "recur":
            recurrent = operation.module
            assert isinstance(recurrent, (RecurrentConnectedConv2d, RecurrentConnection))
            end = i + 1
            while end < len(found) and recurrent.recurrence_merge == "additive" and _is_additive(found[end]):
                end += 1
            ordered[i:end] = [*found[i + 1 : end], operation]
    return ordered


def _is_additive(operation: Operation | str) -> bool:
    if isinstance(operation, str):
        return False
    module = operation.module
    return isinstance(module, Bias) or (isinstance(module, Connection) and module.merge_name == "additive")


def _split(layer: str, found: list[Operation | str], start: int, delay: int) -> LayerPlan:
    delayed_at = next((i for i, operation in enumerate(found) if isinstance(operation, str)), None)
    kept_at = _last_record(found) if delayed_at is None else delayed_at
    before = [operation for operation in found[:kept_at] if isinstance(operation, Operation)]
    output = [operation for operation in found[kept_at:] if isinstance(operation, Operation)]
    recorded = False
    while before and before[-1].kind == "record":
        recorded = bool(before.pop())
    if delayed_at is None and output and output[0].kind == "record":
        recorded = bool(output.pop(0))
    step_at = next((i for i, operation in enumerate(before) if _needs_last_activity(operation)), len(before))
    lateral_at = next((i for i, operation in enumerate(before) if operation.kind == "recur"), step_at)
    if lateral_at > step_at:
        raise InputError(f"layer {layer}: the operation 'layer' must come before 'tstep' in layer_operations")
    lateral_delays = [o.module.delay_steps for o in before if o.kind == "recur"]
    solvers = [o.module for o in before if isinstance(o.module, Solver)]
    return LayerPlan(
        name=layer,
        block=tuple(before[:lateral_at]),
        lateral=tuple(before[lateral_at:step_at]),
        step=tuple(before[step_at:]),
        recorded=recorded,
        output=tuple(output),
        start=start,
        delay=delay,
        lateral_delay=int(min(lateral_delays)) if lateral_delays else None,  # type: ignore[arg-type, type-var]
        drive_history=max([0, *(solver.history for solver in solvers)]),
    )


def _last_record(found: list[Operation | str]) -> int:
    records = [
        i
        for i, operation in enumerate(found)
        if isinstance(operation, Operation) and operation.kind == "record"
    ]
    return records[-1] if records else len(found)


def _needs_last_activity(operation: Operation) -> bool:
    return operation.kind == "solve" or (
        isinstance(operation.module, StatefulOperation) and operation.module.needs_activity
    )
