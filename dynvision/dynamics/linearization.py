"""The step of one layer, linearised: how a small change of its recent past changes its present.

    h(t)   = (r(t - D), ..., r(t - dt))             the layer's own past, as far as its recurrence reads it; also the past
                                                    drives of its solver and the memory of its stateful operations
    h(t + dt) = F(h(t)),   J = dF / dh              input, and what comes from other layers, held as they are

F is the engine's own step of this layer, so that leak, delay, recurrence type, target, merge and normalisation are in
it whatever they are. J is never written out: J^T v is one backward pass, and J^T has the eigenvalues of J.

For a leaky layer with gain g, recurrent operator W and M the units above threshold, h(t + dt) has the last entry
M ((1 - g) r(t - dt) + g W r(t - D)); an eigenvalue mu of W (all units active) gives the eigenvalues lambda of J by
lambda^d = (1 - g) lambda^(d - 1) + g mu, d = D / dt steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from dynvision.base import Frames, ModelState, TemporalBase
from dynvision.base.engine import advance
from dynvision.base.frames import Trace
from dynvision.base.plan import LayerPlan, Plan

NEVER = 2**62  # steps: the clock of a state never stops, so that the traces of one step stay on one clock


@dataclass(frozen=True)
class LayerMap:
    """One layer's step around an operating point.

    Attributes:
        layer: its name.
        inputs: the past, each with a gradient: first the activity (D, C, H, W), then everything else it remembers.
        outputs: the present: the new activity (1, C, H, W), then everything else.
    """

    layer: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def n_states(self) -> int:
        """Length of the vector h."""
        return sum(x.numel() for x in self.inputs)

    def adjoint(self, vector: np.ndarray) -> np.ndarray:
        """Return J^T v.

        Args:
            vector: (n_states,), real.
        """
        like = self.inputs[0]
        given = torch.as_tensor(np.array(vector, np.float64).reshape(-1)).to(like.device, like.dtype)
        parts = [
            part.view_as(x)
            for part, x in zip(given.split([x.numel() for x in self.inputs]), self.inputs, strict=True)
        ]
        activity, others = parts[0], parts[1:]
        moved = torch.zeros_like(activity)
        moved[1:] = activity[:-1]  # the past moves on by one step
        live = [
            (output, weight)
            for output, weight in zip(self.outputs, (activity[-1:], *others), strict=True)
            if output.requires_grad
        ]
        result = [moved, *(torch.zeros_like(x) for x in self.inputs[1:])]
        if live:
            outputs, weights = zip(*live, strict=True)
            grads = torch.autograd.grad(outputs, self.inputs, weights, retain_graph=True, allow_unused=True)
            result = [part if grad is None else part + grad for part, grad in zip(result, grads, strict=True)]
        return torch.cat([part.reshape(-1) for part in result]).double().cpu().numpy()

    def operator(self) -> LinearOperator:
        """Return J^T for scipy's eigensolvers."""
        n = self.n_states
        return LinearOperator((n, n), matvec=self.adjoint, dtype=np.float64)

    def dense(self) -> np.ndarray:
        """Return J written out, (n_states, n_states): for small layers."""
        return np.stack([self.adjoint(row) for row in np.eye(self.n_states)])


def linearize(
    model: TemporalBase, image: Tensor, n_steps: int, all_active: bool = False
) -> Iterator[LayerMap]:
    """Linearise the step of every layer around where an image has brought the network.

    Args:
        model: in eval mode; double precision is best.
        image: normalised image, (1, C, H, W).
        n_steps: how long the image is shown before.
        all_active: let every unit of the layer pass its rectification, as if it were above threshold.

    Yields:
        One map for each layer, in the order of the layers.
    """
    plan = replace(model.plan(), settled=NEVER)
    with torch.no_grad():
        begin = replace(model.initial_state(1, plan), age=model.idle_steps)
        shown = Frames(0, n_steps, image, constant=True)
        _, state = model.advance(shown, begin, plan)
    signal: Frames | None = Frames(0, 1, image)
    for layer in plan.layers:
        if signal is not None:
            yield _map_of(plan, layer, signal, state, all_active)
        with torch.no_grad():
            signal, state = _pass(plan, layer, signal, state)


def _pass(
    plan: Plan, layer: LayerPlan, signal: Frames | None, state: ModelState
) -> tuple[Frames | None, ModelState]:
    """Run one layer's step: return the input of the next layer, and the state with this layer's present, on one clock."""
    alone = replace(plan, layers=(layer,), longest_block=None)
    if signal is None:
        return None, state
    outputs, after = advance(alone, signal, state, 1)
    traces = dict(state.traces)  # later layers may read far back
    for name in {layer.name, layer.heard}:
        traces[name] = state.traces[name].append(after.traces[name].pieces[-1])
    return (outputs[0] if outputs else None), replace(after, age=state.age, traces=traces)


def _map_of(plan: Plan, layer: LayerPlan, signal: Frames, state: ModelState, all_active: bool) -> LayerMap:
    depth = max(1, layer.lateral_delay or 1)
    past = state.traces[layer.name].between(state.age - depth, state.age)
    assert past is not None and past.n == depth, (
        "the layer has been running for as long as its recurrence reads"
    )
    activity = past.folded().detach().clone().requires_grad_()
    drives = [z.detach().clone().requires_grad_() for z in state.drives.get(layer.name, ())]
    memory = {
        key: value.detach().clone().requires_grad_()
        for key, value in state.operations.items()
        if key[0] == layer.name and isinstance(value, Tensor)
    }
    begun = replace(
        state,
        traces={**state.traces, layer.name: Trace((Frames(state.age - depth, depth, activity),))},
        drives={**state.drives, layer.name: tuple(drives)},
        operations={**state.operations, **memory},
    )
    with torch.enable_grad():
        _, after = _pass(plan, _linear(layer) if all_active else layer, signal, begun)
    present = after.traces[layer.name].last()
    assert present is not None
    outputs = (
        present,
        *after.drives.get(layer.name, ())[: len(drives)],
        *(after.operations[key] for key in memory),
    )
    return LayerMap(layer.name, (activity, *drives, *memory.values()), outputs)


def _linear(layer: LayerPlan) -> LayerPlan:
    """Return the layer without its rectification from the recurrent merge on."""

    def kept(operations: tuple) -> tuple:
        return tuple(operation for operation in operations if type(operation.module) is not nn.ReLU)

    return replace(layer, lateral=kept(layer.lateral), step=kept(layer.step))
