"""From ``layer_names`` and ``layer_operations`` to what the engine does for each layer.

The operations of a layer fall into five stretches:

    block   need nothing of the layer's own activity: run once over a whole block of time
    lateral from the recurrent merge on: run over sub-blocks no longer than the recurrent delay
    step    from the solver to where the state is kept: run step by step
    after   between the state and what others receive of it, e.g. a normalisation: run over a whole piece of time
    output  after the state is kept, on the delayed activity: run once over a whole block of time

What of a layer runs as one operation in time is in :mod:`dynvision.base.scans`. The length of a block changes speed and
memory, never results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import nn

from dynvision.base.frames import Frames, ModelState
from dynvision.base.hooks import hooked_modules
from dynvision.base.inputs import Origin
from dynvision.base.lesion import Gain, with_lesion
from dynvision.base.operations import Operation, is_backward, resolve_operations, with_delay
from dynvision.base.scans import one_by_one
from dynvision.errors import InputError, unknown_name
from dynvision.model_components.connection import Connection
from dynvision.model_components.elementwise import Bias
from dynvision.model_components.recurrence import Recurrent
from dynvision.model_components.solvers import Solver
from dynvision.model_components.timing import Delayed, StatefulOperation, TimedOperation, ZeroStart

if TYPE_CHECKING:
    from dynvision.base.architecture import Architecture


@dataclass(frozen=True)
class LayerPlan:
    """The operations of one layer, as the engine runs them. Delays and starts are in steps."""

    name: str
    block: tuple[Operation, ...]
    lateral: tuple[Operation, ...]
    step: tuple[Operation, ...]
    after: tuple[Operation, ...]
    recorded: bool
    output: tuple[Operation, ...]
    start: int
    delay: int
    lateral_delay: int | None
    drive_history: int
    gain: Gain | None = None  # of a lesioned feedforward connection to it
    interpolated: Delayed | None = None  # the delay of its output, where it lies between two steps

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All of them, in their order."""
        return (*self.block, *self.lateral, *self.step, *self.after, *self.output)

    @property
    def output_trace(self) -> str:
        """The trace that next layers, connections and recordings receive; the layer itself receives that of its name."""
        return f"{self.name}.output" if self.after else self.name


@dataclass(frozen=True)
class Plan:
    """The operations of a model, as the engine runs them."""

    layers: tuple[LayerPlan, ...]
    horizon: dict[str, int]  # how far back each layer's activity is read, in steps
    longest_block: int | None  # bound by the shortest feedback delay
    settled: int  # age after which every signal has arrived everywhere
    outputs: dict[str, str]  # the trace that others receive, by layer
    padded: bool = False  # whether maps have channels of zeros beside theirs
    owner: int = 0  # id of the model that made it
    origin: Origin | None = None  # which states it can resume from
    hooked: frozenset[int] = frozenset()  # ids of modules with hooks
    token: object | None = None  # stands for it as long as its model is of one version

    @cached_property
    def loops(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Layers with operations that run in a loop over steps on a GPU, too, and the names of these operations."""
        found = ((layer.name, one_by_one(layer)) for layer in self.layers)
        return tuple((name, names) for name, names in found if names)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for plans that compute the same on the same modules of one version of a model."""
        if self.token is not None:
            return self.token, self.padded
        layers = tuple(
            (
                layer.name,
                tuple(
                    tuple(
                        (
                            operation.name,
                            operation.kind,
                            _identity(operation.module),
                            operation.gain,
                            operation.delay,
                            operation.interpolated is not None,
                        )
                        for operation in part
                    )
                    for part in (layer.block, layer.lateral, layer.step, layer.after, layer.output)
                ),
                layer.recorded,
                layer.start,
                layer.delay,
                layer.gain,
                layer.interpolated is not None,
            )
            for layer in self.layers
        )
        return (*layers, self.longest_block, self.padded)


def _identity(module: nn.Module) -> tuple[int, ...]:
    """Identity of a module; of a row of modules, which is put together for each plan, that of its parts."""
    return tuple(map(id, module)) if type(module) is nn.Sequential else (id(module),)


def make_plan(
    model: Architecture, feedforward_only: bool, gain: Gain | None, parts: Sequence[nn.Module]
) -> Plan:
    """The plan of a model.

    Args:
        model: holds the modules.
        feedforward_only: leave out recurrence and feedback.
        gain: of the model's lesion (:mod:`dynvision.base.lesion`); None without one.
        parts: all modules of the model.

    Raises:
        InputError: a connection from a layer that does not exist, feedback without a delay, or an operation out of order.
    """
    names = model.chain
    hooked = hooked_modules(model, parts)
    layers: list[LayerPlan] = []
    starts: dict[str, int] = {}
    horizon = dict.fromkeys(names, 1)
    longest: int | None = None
    arrival = 0
    resolved = {layer: resolve_operations(model, layer, feedforward_only, hooked) for layer in names}
    scaled: str | None = None
    if gain is not None:
        resolved, scaled = with_lesion(model, resolved, gain)
    for layer, operations in resolved.items():
        found = [with_delay(operation) for operation in operations]
        start = arrival
        for operation in found:
            if operation.kind == "connect":
                connection = operation.module
                assert isinstance(connection, Connection)
                if connection.source not in names:
                    raise unknown_name(
                        "source layer", connection.source, names, key=f"{operation.name}_{layer}"
                    )
                horizon[connection.source] = max(horizon[connection.source], operation.reach)
                if is_backward(model, connection, layer):
                    if operation.delay < 1:
                        raise InputError(
                            f"{operation.name}_{layer} receives a later layer and needs a delay of at least dt"
                        )
                    longest = min(longest or operation.delay, operation.delay)
                else:
                    start = min(start, starts[connection.source] + operation.delay)
        if any(operation.kind == "begin" for operation in found):
            start = 0
        learned = model.learned_delay(layer)
        delay = model.feedforward_delay_steps(layer) if learned is None else learned.delay_steps
        planned = _split(layer, _commute_additive(found), start, delay)
        interpolated = learned if learned is not None and learned.interpolated else None
        lateral = [operation.reach for operation in planned.lateral if operation.kind in ("recur", "call")]
        horizon[layer] = max([horizon[layer], delay + (interpolated is not None), *lateral])
        planned = replace(planned, gain=gain if layer == scaled else None, interpolated=interpolated)
        layers.append(planned)
        starts[layer] = start
        arrival = start + delay
    for planned in layers:
        if planned.after:
            horizon[planned.output_trace] = horizon[planned.name]
    settled = max(starts.values()) + max([*horizon.values(), *_lengths_of_schedules(layers)]) + 1
    if gain is not None:
        settled = max(settled, gain.settled)
    outputs = {planned.name: planned.output_trace for planned in layers}
    return Plan(tuple(layers), horizon, longest, settled, outputs, hooked=hooked)


def frame_plan(model: nn.Module, layer: str, delay: int) -> Plan:
    """The plan of a model that is one layer: its own function of frames.

    Args:
        model: answers frames.
        layer: name of the layer.
        delay: of its output, in steps.
    """
    hooked = hooked_modules(model)
    answer = (Operation("layer", "frame", model, bool(hooked)),)
    one = LayerPlan(
        layer, answer, (), (), (), True, (), start=0, delay=delay, lateral_delay=None, drive_history=0
    )
    kept = max(1, delay)
    return Plan((one,), {layer: kept}, None, kept + 1, {layer: layer}, hooked=hooked)


def _lengths_of_schedules(layers: Sequence[LayerPlan]) -> list[int]:
    """Steps from a layer's start on at which its operations are not yet what they stay, for each that depends on time."""
    return [
        operation.module.n_steps
        for layer in layers
        for operation in layer.operations
        if isinstance(operation.module, (TimedOperation, ZeroStart))
    ]


def _commute_additive(found: list[Operation]) -> list[Operation]:
    """Move additive connections and biases that directly follow an additive recurrent merge before it.

    The sum is the same, and what is added is then added once a block instead of once a sub-block.
    """
    ordered = list(found)
    for i, operation in enumerate(found):
        if operation.kind == "recur":
            recurrent = operation.module
            assert isinstance(recurrent, Recurrent)
            end = i + 1
            while end < len(found) and recurrent.recurrence_merge == "additive" and _is_additive(found[end]):
                end += 1
            ordered[i:end] = [*found[i + 1 : end], operation]
    return ordered


def _is_additive(operation: Operation) -> bool:
    module = operation.module
    return isinstance(module, Bias) or (isinstance(module, Connection) and module.merge_name == "additive")


def _split(layer: str, found: list[Operation], start: int, delay: int) -> LayerPlan:
    """The stretches of a layer; its activity is kept at the first ``delay``, or without one at the last ``record``."""
    delayed_at = next((i for i, operation in enumerate(found) if operation.kind == "delay"), None)
    records = [i for i, operation in enumerate(found) if operation.kind == "record"]
    kept_at = (records[-1] if records else len(found)) if delayed_at is None else delayed_at
    before = found[:kept_at]
    output = [operation for operation in found[kept_at:] if operation.kind != "delay"]
    recorded = False
    while before and before[-1].kind == "record":
        recorded = bool(before.pop())
    if delayed_at is None and output and output[0].kind == "record":
        recorded = bool(output.pop(0))
    after_at = next((i for i, operation in enumerate(before) if _acts_on_output(operation)), len(before))
    while after_at and before[after_at - 1].kind == "record":
        after_at -= 1
    step_at = next((i for i, operation in enumerate(before) if _needs_last_activity(operation)), after_at)
    lateral_at = next(
        (i for i, operation in enumerate(before) if operation.kind in ("recur", "call")), step_at
    )
    if lateral_at > step_at:
        raise InputError(f"layer {layer}: the operation 'layer' must come before 'tstep' in layer_operations")
    if after_at < step_at:
        raise InputError(
            f"layer {layer}: a normalisation of the output must come after 'tstep' in layer_operations"
        )
    lateral_delays = [o.delay for o in before if o.kind in ("recur", "call")]
    solvers = [o.module for o in before if isinstance(o.module, Solver)]
    return LayerPlan(
        name=layer,
        block=tuple(before[:lateral_at]),
        lateral=tuple(before[lateral_at:step_at]),
        step=tuple(before[step_at:after_at]),
        after=tuple(before[after_at:]),
        recorded=recorded,
        output=tuple(output),
        start=start,
        delay=delay,
        lateral_delay=int(min(lateral_delays)) if lateral_delays else None,  # type: ignore[arg-type, type-var]
        drive_history=max([0, *(solver.history for solver in solvers)]),
    )


def _acts_on_output(operation: Operation) -> bool:
    return isinstance(operation.module, StatefulOperation) and operation.module.on_output


def _needs_last_activity(operation: Operation) -> bool:
    return operation.kind == "solve" or (
        isinstance(operation.module, StatefulOperation) and operation.module.needs_activity
    )


# Image positions (steps x images x height x width) in a block on a GPU: full kernels, and maps that stay within the reach
# of 32-bit indices and, without gradients, within a few GB for tens of channels.
MOST_POSITIONS = 2**25
MOST_POSITIONS_WITHOUT_GRADIENT = 3 * 2**19
# Bytes of the widest layer's activity in a block: what a CPU's caches hold, and what a GPU has to spare without gradients.
MOST_BYTES_ON_CPU = 2**23
MOST_BYTES_WITHOUT_GRADIENT = 2**28


def choose_block_steps(plan: Plan, frames: Frames, state: ModelState) -> int:
    """Length of the next block of a stretch of input.

    On a GPU few large launches win, so a block is as long as memory allows. On a CPU convolutions are the bound and a
    block must fit the cache: it is the recurrent delay, the longest stretch that needs no cutting inside a layer, or
    longer where the maps are small, as is known once there was activity.
    """
    if frames.n == 1 or torch.compiler.is_exporting():
        return frames.n  # an exported graph holds for batches of any size
    widest = max([0, *(trace.bytes_per_step() for trace in state.traces.values())])
    if frames.values.device.type == "cpu":
        if not any(layer.lateral or layer.step for layer in plan.layers):
            return frames.n
        delays = [layer.lateral_delay for layer in plan.layers if layer.lateral_delay is not None]
        return max(min(delays) if delays else 1, MOST_BYTES_ON_CPU // widest if widest else 0)
    height, width = frames.values.shape[-2:]
    positions = frames.batch * height * width
    if torch.is_grad_enabled():
        longest = MOST_POSITIONS // positions
    elif widest:
        longest = MOST_BYTES_WITHOUT_GRADIENT // widest
    else:
        longest = MOST_POSITIONS_WITHOUT_GRADIENT // positions
    n_blocks = math.ceil(frames.n / max(1, longest))
    return math.ceil(frames.n / n_blocks)  # blocks of equal length
