"""CUDA graphs: a trial that was run a few times in one shape is captured, and replayed from then on.

At the batch sizes of training a GPU computes a trial faster than Python can launch its kernels. A graph launches all of
them at once. Forward and backward pass are one graph each, joined by an autograd function, so that everything around a
trial works as without graphs: losses, automatic mixed precision, gradient scaling, clipping and accumulation, optimisers,
schedules, moving averages, distributed training.

    1st, 2nd call of a key      eager                     (they also initialise the libraries)
    3rd                         captured, then replayed
    later                       input copied into the graph's own buffer, replayed, outputs copied out

A step of a stream is captured likewise, without gradients, once its state has the length that it keeps. A key holds
everything that decides which kernels run: shapes, types, addresses of the parameters, autocast, the plan. What cannot be
captured runs eagerly, and the reason is logged once. Captured graphs of a model share one pool of memory, so only one of
them may wait for its backward pass; a further trial in the meantime runs eagerly.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.base.frames import Frames
from dynvision.base.observers import Watch
from dynvision.base.versions import ModelVersion

log = logging.getLogger(__name__)

EAGER_CALLS = 2  # before a key is captured
MOST_GRAPHS = 8  # of one model; the one that was not used for longest is dropped
MOST_COUNTED = 64  # keys whose calls are counted
NUMBERS = (bool, int, float, str)

Trial = Callable[[Sequence[Tensor], Watch], Tensor]
Step = Callable[[Sequence[Tensor]], tuple[list[Tensor], Any]]


@dataclass(frozen=True)
class Seen:
    """One piece of time that an observer was called with during the capture; its values are an output of the graph."""

    quantity: str
    layer: str
    first: int
    n: int
    constant: bool


class _Waiting:
    """Held by the autograd graph of a replayed trial until its backward pass has run, or until nobody can ask for it."""


class GraphedTrial:
    """A captured trial: static inputs, outputs and gradients, and the graphs that compute between them.

    Arguments are those of :meth:`CudaGraphs.run`; ``quantities`` are observed; ``pool`` is the graphs' memory.
    """

    def __init__(
        self, model: nn.Module, trial: Trial, inputs: Sequence[Tensor], quantities: Sequence[str], pool: Any
    ) -> None:
        self.trial = trial
        needed = [p for p in model.parameters() if p.requires_grad] if torch.is_grad_enabled() else []
        self.parameters = tuple(needed)
        self.inputs = [_buffer_of(x) for x in inputs]
        self.seen: list[Seen] = []
        outputs: list[Tensor] = []

        def observer(quantity: str) -> Callable[[str, Frames], None]:
            def on_frames(layer: str, frames: Frames) -> None:
                self.seen.append(Seen(quantity, layer, frames.first, frames.n, frames.constant))
                outputs.append(frames.values)

            return on_frames

        watch = {quantity: observer(quantity) for quantity in quantities}
        torch.cuda.synchronize()
        self.forward_graph = torch.cuda.CUDAGraph()
        self.backward_graph: torch.cuda.CUDAGraph | None = None
        with _aliases(model) as aliases:
            with _without_cast_cache(), _capture(self.forward_graph, pool):
                outputs.insert(0, trial(self.inputs, watch))
            self.differentiable = [i for i, output in enumerate(outputs) if output.requires_grad]
            wanted = [
                *(x for x in self.inputs if x.requires_grad),
                *(aliases[id(p)] for p in self.parameters),
            ]
            if wanted and self.differentiable:
                asked = [outputs[i] for i in self.differentiable]
                self.output_gradients = [torch.zeros_like(output) for output in asked]
                self.backward_graph = torch.cuda.CUDAGraph()
                with _capture(self.backward_graph, pool):
                    self.gradients = torch.autograd.grad(
                        asked, wanted, self.output_gradients, allow_unused=True
                    )
        self.outputs = tuple(output.detach() for output in outputs)
        self.waiting: Any = lambda: None  # a weak reference to what waits for the backward pass

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Replay; the outputs are the caller's own copies."""
        if self.backward_graph is None:
            return self.replay_forward(inputs)
        return _Replay.apply(self, len(inputs), *inputs, *self.parameters)  # type: ignore[no-any-return]

    def replay_forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Outputs without a connection to autograd."""
        with torch.no_grad():
            for static, x in zip(self.inputs, inputs, strict=True):
                static.copy_(x)
        self.forward_graph.replay()
        return tuple(_copies(self.outputs))  # type: ignore[arg-type]


class _Replay(torch.autograd.Function):
    """Replay a captured trial; backward replays its backward pass."""

    @staticmethod
    def forward(ctx: Any, graph: GraphedTrial, n_inputs: int, *tensors: Tensor) -> Any:
        ctx.graph, ctx.n_inputs = graph, n_inputs
        ctx.waiting = _Waiting()
        graph.waiting = weakref.ref(ctx.waiting)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        outputs = graph.replay_forward(tensors[:n_inputs])
        ctx.mark_non_differentiable(
            *(output for i, output in enumerate(outputs) if i not in graph.differentiable)
        )
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        graph: GraphedTrial = ctx.graph
        if torch.is_grad_enabled() or ctx.waiting is None:
            return (None, None, *_by_input(graph, _eager_gradients(ctx, gradients)))
        for static, i in zip(graph.output_gradients, graph.differentiable, strict=True):
            gradient = gradients[i]
            if gradient is None:
                static.zero_()
            else:
                static.copy_(gradient)
        assert graph.backward_graph is not None
        graph.backward_graph.replay()
        ctx.waiting = None
        return (None, None, *_by_input(graph, _copies(graph.gradients)))


def _buffer_of(x: Tensor) -> Tensor:
    """The memory from which a graph reads an input; a leaf, if its gradient is asked for."""
    return x.detach().clone().requires_grad_(x.requires_grad and torch.is_grad_enabled())


def _by_input(graph: GraphedTrial, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Gradients of all inputs and parameters, from those that were asked for."""
    rest = iter(gradients)
    return [*(next(rest) if x.requires_grad else None for x in graph.inputs), *rest]


def _copies(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Copies of what a graph will overwrite, in few launches."""
    given = [x for x in tensors if x is not None]
    copies = [torch.empty_like(x) for x in given]
    torch._foreach_copy_(copies, given)
    rest = iter(copies)
    return [None if x is None else next(rest) for x in tensors]


def _eager_gradients(ctx: Any, gradients: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Gradients by running the trial again without a graph: a second backward pass, or one to be differentiated itself."""
    graph: GraphedTrial = ctx.graph
    saved = ctx.saved_tensors
    outputs: list[Tensor] = []
    watch = {
        quantity: (lambda layer, frames: outputs.append(frames.values))
        for quantity in {seen.quantity for seen in graph.seen}
    }
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        outputs.insert(0, graph.trial(saved[: ctx.n_inputs], watch))
        asked = [(outputs[i], gradients[i]) for i in graph.differentiable if gradients[i] is not None]
        wanted = [x for x in saved[: ctx.n_inputs] if x.requires_grad]
        return torch.autograd.grad(
            [output for output, _ in asked],
            [*wanted, *graph.parameters],
            [gradient for _, gradient in asked],
            allow_unused=True,
            create_graph=create_graph,
        )


class GraphedStep:
    """A captured step of a stream, without gradients, from the tensors of a frame and a state to those after it."""

    waiting = staticmethod(lambda: None)  # no backward pass comes

    def __init__(self, step: Step, inputs: Sequence[Tensor], pool: Any) -> None:
        self.inputs = [x.clone() for x in inputs]
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with _without_cast_cache(), _capture(self.graph, pool):
            self.outputs, self.kept = step(self.inputs)

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], Any]:
        """Replay; the tensors are the caller's own copies."""
        torch._foreach_copy_(self.inputs, list(inputs))
        self.graph.replay()
        return _copies(self.outputs), self.kept  # type: ignore[return-value]


class CudaGraphs:
    """The captured trials and steps of one model."""

    def __init__(self) -> None:
        self._calls: OrderedDict[Hashable, int] = OrderedDict()
        self._graphs: OrderedDict[Hashable, Any] = OrderedDict()
        self._refused: set[Hashable] = set()
        self._logged: set[str] = set()
        self._pool: Any = None

    def __deepcopy__(self, memo: Any) -> CudaGraphs:
        return CudaGraphs()  # a copy of a model has other parameters, and captures for itself

    def __reduce__(self) -> Any:
        return CudaGraphs, ()

    def __len__(self) -> int:
        return len(self._graphs)

    def run(
        self, version: ModelVersion, key: Hashable, trial: Trial, inputs: Sequence[Tensor], watch: Watch
    ) -> Tensor:
        """Run a trial, by its graph where there is one.

        Args:
            version: of the model whose parameters the trial uses, as it is now.
            key: whatever decides which kernels run, besides what is looked up here.
            trial: the computation; it must depend on its inputs and the model alone, and not on the host.
            inputs: its tensors.
            watch: observers by quantity; where a graph is replayed they are called after it.

        Returns:
            The outputs of the trial.
        """
        make = partial(GraphedTrial, version.model, trial, inputs, tuple(watch))
        graph = self._graph(version, (key, tuple(watch)), "a trial", make, inputs)
        if graph is None:
            return trial(inputs, watch)
        outputs = graph(inputs)
        for seen, values in zip(graph.seen, outputs[1:], strict=True):
            watch[seen.quantity](seen.layer, Frames(seen.first, seen.n, values, seen.constant))
        return outputs[0]

    def step(
        self, version: ModelVersion, key: Hashable, step: Step, inputs: Sequence[Tensor]
    ) -> tuple[list[Tensor], Any]:
        """Run a step without gradients, by its graph where there is one; the result is that of ``step``."""
        graph = self._graph(version, key, "a step", partial(GraphedStep, step, inputs), inputs)
        return step(inputs) if graph is None else graph(inputs)

    def _graph(
        self,
        version: ModelVersion,
        key: Hashable,
        what: str,
        make: Callable[..., Any],
        inputs: Sequence[Tensor],
    ) -> Any | None:
        """The graph of a key, captured where it has been seen often enough; None where to run eagerly."""
        if version.hooks_on:
            self._log(f"there are hooks on {version.hooks_on}")
            return None
        key = (key, *_signature(version, inputs))
        graph = self._graphs.get(key)
        if graph is None:
            if key in self._refused or not self._seen_often(key):
                return None
            with torch.cuda.device_of(inputs[0]):  # which need not be the current one
                return self._capture(key, what, make, inputs)
        if self._one_waits():
            self._log("an earlier trial still waits for its backward pass")
            return None
        self._graphs.move_to_end(key)
        return graph

    def _one_waits(self) -> bool:
        """Whether a trial waits for its backward pass, which reads memory that a replay would overwrite."""
        return any(graph.waiting() is not None for graph in self._graphs.values())

    def _seen_often(self, key: Hashable) -> bool:
        self._calls[key] = self._calls.pop(key, 0) + 1
        if len(self._calls) > MOST_COUNTED:
            self._calls.popitem(last=False)
        return self._calls[key] > EAGER_CALLS

    def _capture(self, key: Hashable, what: str, make: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
        if self._one_waits():
            return None
        while len(self._graphs) >= MOST_GRAPHS:
            self._graphs.popitem(last=False)
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        before, stream = torch.cuda.memory_reserved(), torch.cuda.current_stream()
        try:
            graph = make(self._pool)
        except torch.OutOfMemoryError:
            _end_capture_of_random_numbers()
            self._refused.add(key)
            torch.cuda.empty_cache()
            self._log(f"the GPU's memory does not hold {what} beside those that were captured")
            return None
        except RuntimeError as error:
            # Eager execution is always right, and shows an error that is not one of capturing. Seen: a caller that
            # records graphs itself (torch.compile in mode reduce-overhead), and want of memory inside of cuBLAS.
            torch.cuda.set_stream(stream)  # a capture that could not begin leaves its own stream in place
            _end_capture_of_random_numbers()
            self._refused.add(key)
            torch.cuda.empty_cache()
            self._log(f"{what} could not be captured ({str(error).splitlines()[0]})")
            return None
        self._graphs[key] = graph
        shapes, megabytes = [tuple(x.shape) for x in inputs], (torch.cuda.memory_reserved() - before) / 1e6
        log.info("captured %s of inputs %s as a CUDA graph (%.0f MB reserved)", what, shapes, megabytes)
        return graph

    def _log(self, reason: str) -> None:
        if reason not in self._logged:
            self._logged.add(reason)
            log.info("no CUDA graph: %s", reason)


def is_plain(state: Any) -> bool:
    """Whether a graph may depend on the state of an operation: by its value, as a part of the key, or as an input."""
    return state is None or isinstance(state, (Tensor, *NUMBERS))


def _signature(version: ModelVersion, inputs: Sequence[Tensor]) -> tuple[Hashable, ...]:
    """What decides which kernels run and which memory they read, besides the plan."""
    return (
        version,
        version.pointers(),
        tuple([(x.shape, x.stride(), x.dtype, x.device, x.requires_grad) for x in inputs]),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),  # its tensors cannot be written to outside
        torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda"),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.are_deterministic_algorithms_enabled(),
    )


@contextlib.contextmanager
def _aliases(model: nn.Module) -> Iterator[dict[int, nn.Parameter]]:
    """Put new leaves that share the parameters' memory in their places.

    A leaf that took part in an eager backward pass is tied to the stream of that pass, which must not join a capture.
    """
    aliases = {id(p): nn.Parameter(p.detach(), p.requires_grad) for p in model.parameters()}
    places = [(m, name, p) for m in model.modules() for name, p in m._parameters.items() if p is not None]
    try:
        for module, name, parameter in places:
            module._parameters[name] = aliases[id(parameter)]
        yield aliases
    finally:
        for module, name, parameter in places:
            module._parameters[name] = parameter


def _capture(graph: torch.cuda.CUDAGraph, pool: Any) -> Any:
    # Other threads may allocate meanwhile, e.g. one that pins the memory of the next batch.
    stream = _capturing_stream(torch.cuda.current_device())
    return torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local")


@lru_cache
def _capturing_stream(device: int) -> torch.cuda.Stream:
    """The stream of a GPU on which graphs are captured; torch itself has one, on the GPU of its first capture."""
    return torch.cuda.Stream(device)


def _end_capture_of_random_numbers() -> None:
    """After a capture that failed, torch's generator still refuses to draw outside of one; a capture that ends frees it."""
    with contextlib.suppress(RuntimeError), _capture(torch.cuda.CUDAGraph(), None):
        torch.zeros(1, device="cuda")


def _without_cast_cache() -> Any:
    """Autocast as it is, but weights are cast inside the graph: a cached copy would be gone when the graph is replayed."""
    enabled, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    return torch.autocast("cuda", dtype=dtype, enabled=enabled, cache_enabled=False)
