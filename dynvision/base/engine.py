"""The engine: a plan, an input and a state go in; the last layer's output and a new state come out.

Time is cut into blocks, a block is walked layer by layer, and only what needs the last step's activity runs step by step.
A block of one step is the textbook loop.

Batch normalisation in training uses the statistics of each step by itself, as the textbook loop does, so that it depends
neither on the device nor on how time is cut into blocks. The idle state is computed for one null image, of which there are
no statistics: it uses the running ones, as everything does in eval mode.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dynvision.base.frames import (
    Frames,
    ModelState,
    Once,
    Trace,
    each_step,
    in_pieces,
    join,
    merge_frames,
    stack,
)
from dynvision.base.observers import INSIDE_SCAN, Watch, shifted
from dynvision.base.operations import Operation
from dynvision.base.own_methods import answer_frames
from dynvision.base.padded_channels import PaddedChannels, true_channels, without_padding
from dynvision.base.plan import LayerPlan, Plan, choose_block_steps
from dynvision.base.scans import (
    Scan,
    Wanted,
    effective_drive,
    late_biases,
    log_loops,
    normalizes_over_batch,
    outlets_of,
    pick_key,
    pool_key,
    runs_steps_at_once,
    scan_of,
    steps_of,
    widened,
)
from dynvision.errors import InputError
from dynvision.functional.maps import is_transformed, max_pool, resize_to_target
from dynvision.functional.recurrent_scan import scan_with_outlets
from dynvision.model_components.solvers import Solver
from dynvision.model_components.timing import Delayed, ZeroStart


def advance(
    plan: Plan, frames: Frames, state: ModelState, block_steps: int | None, watch: Watch | None = None
) -> tuple[list[Frames], ModelState]:
    """Run a model over a stretch of input.

    Args:
        plan: what to do for each layer.
        frames: the input from step ``state.age`` on.
        state: the state before the first of them.
        block_steps: length of a block, >= 1, or None to choose it by device and size; a feedback delay may shorten it.
        watch: observers by quantity, each called with a layer's name and a piece of time (:mod:`dynvision.base.observers`).

    Returns:
        The last layer's output, for the steps at which there is any (first step of ``frames`` is step 0 here), and
        the state after the last step.
    """
    if frames.values.is_cuda and not torch.compiler.is_compiling():
        log_loops(plan)
    outputs: list[Frames] = []
    once = Once()
    padding = PaddedChannels() if plan.padded else None
    # Who watches may differentiate by activity, whose gradient would lack what comes through other maps.
    wanted = {} if watch or not torch.is_grad_enabled() else outlets_of(plan, frames.values)
    channels = true_channels(plan.layers[-1]) if plan.padded else None
    done = 0
    while done < frames.n:
        rest = frames.between(frames.first + done, frames.end)
        longest = block_steps or choose_block_steps(plan, rest, state)
        block = rest.head(min(longest, plan.longest_block or longest)).shifted(state.age - rest.first)
        shift = done - block.first
        run = _Block(plan, state, block, once, shifted(watch or {}, shift), padding, wanted)
        output, state = run.through(plan)
        if output is not None:
            outputs.append(without_padding(output, channels).shifted(shift))
        done += block.n
    return outputs, state.map(lambda x: x) if wanted else state  # without outlets, for the same reason


class _Block:
    """One block of time under way."""

    def __init__(
        self,
        plan: Plan,
        state: ModelState,
        frames: Frames,
        once: Once,
        watch: Watch,
        padding: PaddedChannels | None,
        wanted: Mapping[str, Wanted],
    ) -> None:
        self.outputs, self.state = plan.outputs, state
        self.padding, self.wanted = padding, wanted
        self.first, self.end, self.frames = frames.first, frames.end, frames
        self.once, self.watch = once, watch
        self.traces = dict(state.traces)
        self.drives = dict(state.drives)
        self.operations = dict(state.operations)

    def through(self, plan: Plan) -> tuple[Frames | None, ModelState]:
        """All layers over the block; returns the last one's output and the state after it."""
        signal: Frames | None = self.frames
        for layer in plan.layers:
            signal = self.layer(layer, signal)
        age = min(self.end, plan.settled)
        traces = {
            name: trace.since(self.end - plan.horizon[name], age - self.end)
            for name, trace in self.traces.items()
            if trace.pieces
        }
        after = replace(self.state, age=age, traces=traces, drives=self.drives)
        return signal, replace(after, operations=self.operations)

    def layer(self, plan: LayerPlan, signal: Frames | None) -> Frames | None:
        """All operations of one layer over the block; returns what the next layer receives."""
        if plan.gain is not None and signal is not None:
            signal = plan.gain.scale(signal)
        begin = max(self.first, plan.start)
        parts = is_transformed() or not INSIDE_SCAN.isdisjoint(self.watch)
        scan = None if parts else scan_of(plan)
        if self.padding:
            late = late_biases(plan, signal, begin, self.traces, self.outputs) if scan else ()
            self.padding.leave(late)
        for operation in plan.block:
            signal = self._folded(plan, operation, signal, self.first, self.end)
        if begin < self.end and scan is not None and signal is not None:
            self._keep(plan, self._scan(plan, scan, signal))
        elif begin < self.end:
            length = plan.lateral_delay or self.end - begin
            for piece, first, end in in_pieces(signal, begin, self.end, length):
                for operation in plan.lateral:
                    piece = self._folded(plan, operation, piece, first, end)
                assert piece is not None and piece.first == first
                self._keep(plan, self._steps(plan, piece) if plan.step else piece)
        output = self._received(plan.output_trace, plan.delay, self.first, self.end, plan.interpolated)
        for operation in plan.output:
            output = self._folded(plan, operation, output, self.first, self.end)
        return output

    def _folded(
        self, plan: LayerPlan, operation: Operation, x: Frames | None, first: int, end: int
    ) -> Frames | None:
        """One operation on the steps from ``first`` to ``end``, with time folded into the batch."""
        module: Any = operation.module
        if operation.kind == "connect":
            h = self._received(
                self.outputs[module.source], operation.delay, first, end, operation.interpolated
            )
            if operation.hooked:
                return each_step(module, x, h, first, end)
            h = h and (h.outlet(pick_key(operation)) or h)
            if self.padding and pick_key(operation) and (added := self.padding.added(module, x, h)):
                return added
            h = h and self._apply(plan, operation, self._convolving(module.transform), h)
            h = h if operation.gain is None else h and operation.gain.scale(h)
            return merge_frames(x, h, module.merge)
        if operation.kind == "call":
            if not {"conv", "recurrent"}.isdisjoint(self.watch):
                raise InputError(
                    f"layer {plan.name} has hooks and is called as a whole, so that its conv and recurrent signals "
                    "cannot be observed; remove the hooks, or the observer or loss of these signals"
                )
            h = self._received(plan.name, operation.delay, first, end, operation.interpolated)
            return each_step(module, x, h, first, end)
        if operation.kind == "recur":
            h = self._received(plan.name, operation.delay, first, end, operation.interpolated)
            if h is None:
                return x
            h = self._apply(plan, operation, self._convolving(module.recurrent_signal), h)
            h = h if operation.gain is None else operation.gain.scale(h)
            self._tell("recurrent", plan, h)
            target = None if x is None else x.values
            h = h.apply(lambda signal: resize_to_target(signal, target, module.target_size))
            return merge_frames(x, h, module.merge)
        if operation.kind == "begin":
            begun = self._begin(module, x, first, end)
            return self._apply(plan, operation, module, begun) if operation.hooked else begun
        if x is None:
            return None
        if operation.kind in ("first_stage", "second_stage"):
            x = self._apply(plan, operation, self._convolving(getattr(module, operation.kind)), x)
            if operation.kind == "second_stage" or module.conv2 is None:
                self._tell("conv", plan, x)
            return x
        if operation.kind == "frame":
            return self._apply(plan, operation, functools.partial(answer_frames, module), x)
        if operation.kind == "timed":
            return self._timed(plan, operation, x)
        if operation.kind == "stateful":
            return self._own_state(plan, operation, x)
        if operation.kind == "record":
            self._tell("state", plan, x)
            return x
        if pooled := x.outlet(pools := pool_key(operation)):
            return pooled
        x = self._apply(plan, operation, functools.partial(max_pool, module) if pools else module, x)
        if operation.name == "layer":
            self._tell("conv", plan, x)
        return x

    def _convolving(self, stage: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A stage of a component, on maps with channels of zeros where they are padded."""
        return functools.partial(stage, convolve=self.padding.convolve) if self.padding else stage

    def _apply(
        self,
        plan: LayerPlan,
        operation: Operation,
        function: Callable[[Tensor], Tensor],
        x: Frames,
        step: int = 0,
    ) -> Frames:
        """A stateless function of maps, the one of ``step``: once for a constant signal, else for all steps at once.

        Batch normalisation in training receives one step at a time, so that a step's result does not depend on the block.
        """
        several = not x.constant and x.n > 1
        if operation.hooked or (several and normalizes_over_batch(operation.module)):
            return Frames(x.first, x.n, stack([function(frame) for frame in x.steps()]))
        if x.constant:
            key = (plan.name, operation.name, operation.kind, step, bool(self.padding and self.padding.late))
            return self.once.apply(key, function, x)
        return x.apply(function)

    def _timed(self, plan: LayerPlan, operation: Operation, x: Frames) -> Frames:
        """An operation that knows the step: one after the other until they are alike, the others at once."""
        module: Any = operation.module
        last = module.n_steps - 1
        alike = max(x.first, min(x.end, plan.start + last))
        bounds = [*range(x.first, alike + 1), *([x.end] if alike < x.end else [])]
        pieces = []
        for first, end in itertools.pairwise(bounds):
            step = min(first - plan.start, last)
            function = functools.partial(module if operation.hooked else module.at, step=step)
            pieces.append(self._apply(plan, operation, function, x.between(first, end), step))
        return join(pieces)

    def _begin(self, module: ZeroStart, x: Frames | None, first: int, end: int) -> Frames:
        """Zeros where the layer does not receive its input yet, and the input from there on."""
        opens = min(max(module.n_steps, first, end if x is None else x.first), end)
        if opens == first and x is not None:
            return x
        zeros = Frames(
            first, opens - first, module.zeros(self.frames.batch, self.frames.values), constant=True
        )
        return zeros if x is None or opens == end else join([zeros, x.between(opens, end)])

    def _own_state(self, plan: LayerPlan, operation: Operation, x: Frames) -> Frames:
        key, module = (plan.name, operation.name), operation.module
        if not operation.hooked:
            y, self.operations[key] = module.run(x.folded(), x.n, self.operations.get(key))  # type: ignore[operator]
            return Frames(x.first, x.n, y)
        results = []
        for frame in x.steps():
            y, self.operations[key] = module(frame, self.operations.get(key), None)
            results.append(y)
        return Frames(x.first, x.n, stack(results))

    def _scan(self, plan: LayerPlan, scan: Scan, z: Frames) -> Frames:
        """The layer's state over a stretch, recurrence included, as one operation."""
        recurrence = scan.recurrence
        if self.padding and recurrence is not None:
            recurrence = self.padding.recurrence(recurrence)
        history = (
            None
            if scan.recurrence is None
            else self._trace(plan.name).between(z.first - scan.recurrence.delay, z.first)
        )
        wanted, channels = self.wanted.get(plan.name, Wanted(None, None)), z.values.shape[1]
        r, *others = scan_with_outlets(
            wanted.here(z.values),
            z.values,
            z.n,
            z.batch,
            self._trace(plan.name).last() if history is None else None,
            widened(scan.solver.gain(), channels),
            scan.rectified,
            recurrence,
            None if history is None else history.folded(),
            self.padding.late_bias(channels) if self.padding else None,
        )
        return Frames(z.first, z.n, r, outlets=wanted.keyed(*others))

    def _steps(self, plan: LayerPlan, z: Frames) -> Frames:
        """The layer's state at the steps at which it is driven by ``z``."""
        steps = steps_of(plan) if runs_steps_at_once(z.values) else None
        if steps is None or (steps.makes_drive and "drive" in self.watch):
            return self._stepwise(plan, z)
        self._tell("drive", plan, z)
        earlier = self.drives.get(plan.name, ())
        drive = effective_drive(steps.solver, earlier, z)
        if plan.drive_history:
            newest = (*z.steps()[::-1], *earlier)
            self.drives[plan.name] = newest[: plan.drive_history]
        return steps.run(drive, z, self._trace(plan.name).last(), self.operations, plan.name)

    def _stepwise(self, plan: LayerPlan, z: Frames) -> Frames:
        """The same from step to step."""
        r = self._trace(plan.name).last()
        results: list[Tensor] = []
        for k, signal in enumerate(z.steps()):
            y = signal
            for operation in plan.step:
                y = self._one_step(plan, operation, y, r, z.first + k)
            results.append(y)
            r = y
        return Frames(z.first, z.n, stack(results))

    def _one_step(self, plan: LayerPlan, operation: Operation, y: Tensor, r: Tensor | None, t: int) -> Tensor:
        module: Any = operation.module
        if operation.kind == "solve":
            self._tell("drive", plan, Frames(t, 1, y))
            drives = (y, *self.drives.get(plan.name, ()))[: module.history + 1]
            if plan.drive_history:
                self.drives[plan.name] = drives[: plan.drive_history]
            return module(drives, r)
        if operation.kind == "stateful":
            key = (plan.name, operation.name)
            if isinstance(module, Solver):
                self._tell("drive", plan, Frames(t, 1, y))
            step = module if operation.hooked else module.step
            y, self.operations[key] = step(y, self.operations.get(key), r)
            return y
        result = self._folded(plan, operation, Frames(t, 1, y), t, t + 1)
        assert result is not None
        return result.values

    def _received(
        self, source: str, delay: int, first: int, end: int, interpolated: Delayed | None = None
    ) -> Frames | None:
        """The activity of a layer ``delay`` steps ago, at the steps from ``first`` to ``end``.

        A learned delay between two steps mixes what is received after both of them.
        """
        received = self._trace(source).between(first - delay, end - delay)
        received = received and received.shifted(delay)
        if interpolated is None:
            return received
        fraction = interpolated.fraction(delay)
        older = self._received(source, delay + 1, first, end)
        return merge_frames(
            received and received.apply(lambda r: (1 - fraction) * r),
            older and older.apply(lambda r: fraction * r),
            torch.add,
        )

    def _trace(self, layer: str) -> Trace:
        return self.traces.get(layer, Trace())

    def _keep(self, plan: LayerPlan, activity: Frames) -> None:
        self.traces[plan.name] = self._trace(plan.name).append(activity)
        for operation in plan.after:
            output = self._folded(plan, operation, activity, activity.first, activity.end)
            assert output is not None
            activity = output
        if plan.after:
            self.traces[plan.output_trace] = self._trace(plan.output_trace).append(activity)
        if plan.recorded:
            self._tell("state", plan, activity)

    def _tell(self, quantity: str, plan: LayerPlan, frames: Frames) -> None:
        if quantity in self.watch:
            if self.padding:
                frames = without_padding(frames, true_channels(plan))
            self.watch[quantity](plan.name, frames)


@contextmanager
def running_statistics(model: nn.Module) -> Iterator[None]:
    """Normalise by the running statistics."""
    changed = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
    for module in changed:
        module.training = False
    try:
        yield
    finally:
        for module in changed:
            module.training = True
