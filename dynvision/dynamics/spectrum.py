"""The step of each layer, linearised: how a small change of its recent past changes its present, and how fast it decays.

    h(t)   = (r(t - D), ..., r(t - dt))             the layer's own past, as far as its recurrence reads it; also the past
                                                    drives of its solver and the memory of its stateful operations
    h(t + dt) = F(h(t)),   J = dF / dh              input, and what comes from other layers, held as they are

F is the engine's own step of this layer, so that leak, delay, recurrence type, target, merge and normalisation are in
it whatever they are. J is never written out: J^T v is one backward pass, and J^T has the eigenvalues of J.

For a leaky layer with gain g, recurrent operator W and M the units above threshold, h(t + dt) has the last entry
M ((1 - g) r(t - dt) + g W r(t - D)); an eigenvalue mu of W (all units active) gives the eigenvalues lambda of J by
lambda^d = (1 - g) lambda^(d - 1) + g mu, d = D / dt steps. Of the leading eigenvalues:

    lambda = |lambda| exp(i omega dt)
    time_constant_ms = -dt / ln |lambda|            how fast a disturbance decays; negative where it grows
    frequency_hz     = 1000 omega / (2 pi)          at which it oscillates, dt in ms
    stable           : spectral radius max |lambda| < 1

By Arnoldi iteration on J^T nothing larger than a few states is kept.
Where many eigenvalues lie together (slow pools of a normalisation, one a unit), they cannot be resolved to eight digits
in reasonable time; the tolerance is then relaxed and stands beside them. A layer whose past reaches back D steps has
Jordan blocks of size D at 0, whose computed eigenvalues scatter as rounding^(1/D): what is below that is 0.

Source: Lehoucq, Sorensen & Yang (1998), ARPACK Users' Guide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs
from torch import Tensor, nn

from dynvision.analysis.bootstrap import SEED
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
    for name in {layer.name, layer.output_trace}:
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


N_EIGENVALUES = 6
DENSE_STATES = 64  # below, the matrix is written out
TOLERANCES = (1e-8, 1e-4, 1e-2, 1e-1)  # relative, tried in this order
N_RESTARTS = 12
ROUNDING = 1e-13
POINTS = {"stimulus": False, "all_active": True}


def leading_eigenvalues(layer_map: LayerMap, k: int = N_EIGENVALUES) -> tuple[np.ndarray, float]:
    """Return the eigenvalues of largest modulus, the largest first.

    Args:
        layer_map: a layer's linearised step.
        k: how many; at most as many as there are states.

    Returns:
        (k,), complex, and their relative tolerance; fewer than k if the iteration does not settle on all of them.
    """
    n = layer_map.n_states
    if n <= max(DENSE_STATES, 4 * k):
        return _ordered(_without_rounding(np.linalg.eigvals(layer_map.dense()), layer_map))[:k], 0.0
    start = np.random.default_rng(SEED).standard_normal(n)
    vector = start
    for _ in range(len(layer_map.inputs[0]) + 1):
        vector = layer_map.adjoint(vector)
        if not vector.any():  # nothing is remembered for longer than the past is kept: all eigenvalues are 0
            return np.zeros(k, complex), 0.0
    settings = {"which": "LM", "v0": start, "ncv": min(n, max(4 * k, 40)), "maxiter": N_RESTARTS}
    operator = LinearOperator((n, n), matvec=layer_map.adjoint, dtype=np.float64)
    found = np.zeros(0, complex)
    for tolerance in TOLERANCES:
        try:
            found = eigs(operator, k, tol=tolerance, return_eigenvectors=False, **settings)
            break
        except ArpackNoConvergence as error:
            found = error.eigenvalues
    return _ordered(_without_rounding(found, layer_map)), tolerance


def _without_rounding(values: np.ndarray, layer_map: LayerMap) -> np.ndarray:
    """Return eigenvalues with 0 for what rounding makes of Jordan blocks at 0."""
    depth = len(layer_map.inputs[0])
    return np.where(np.abs(values) > ROUNDING ** (1 / depth), values, 0)


def _ordered(values: np.ndarray) -> np.ndarray:
    return values[np.lexsort((-values.imag, -values.real, -np.abs(values).round(12)))]


def time_constant_ms(eigenvalue: complex, dt: float) -> float:
    """Return the e-folding time in ms: positive for decay, negative for growth, infinite between them, 0 for no memory."""
    modulus = abs(eigenvalue)
    if modulus == 0:
        return 0.0
    rate = math.log(modulus)
    return math.inf if rate == 0 else -dt / rate


def layer_spectra(
    model: TemporalBase, image: Tensor, n_steps: int, image_index: int = 0, k: int = N_EIGENVALUES
) -> pd.DataFrame:
    """Return the spectrum of every layer, with an image shown and with all units active.

    Args:
        model: in eval mode; double precision is best.
        image: normalised image, (1, C, H, W).
        n_steps: how long the image is shown before.
        image_index: its index in the source, for the table.
        k: how many eigenvalues.

    Returns:
        Columns `layer point image rank real imag modulus time_constant_ms frequency_hz n_states tolerance`.
    """
    rows: list[dict[str, Any]] = []
    for point, all_active in POINTS.items():
        for layer_map in linearize(model, image, n_steps, all_active):
            values, tolerance = leading_eigenvalues(layer_map, k)
            for rank, value in enumerate(values, start=1):
                rows.append(
                    {
                        "layer": layer_map.layer,
                        "point": point,
                        "image": image_index,
                        "rank": rank,
                        "real": value.real,
                        "imag": value.imag,
                        "modulus": abs(value),
                        "time_constant_ms": time_constant_ms(complex(value), model.dt),
                        "frequency_hz": 1000 * abs(np.angle(value)) / (2 * math.pi * model.dt),
                        "n_states": layer_map.n_states,
                        "tolerance": tolerance,
                    }
                )
    table = pd.DataFrame(rows)
    table["layer"] = pd.Categorical(table["layer"], list(model.chain))
    return table.sort_values(["layer", "point", "rank"], ignore_index=True)
