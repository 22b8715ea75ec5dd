"""A sequence of a liquid time-constant cell in one function, compiled by numba: no tensor of (batch, from, to) is made.

    forward    v(u + 1) = (v(u) + a P(u)) / (1 + a G(u)),     a = d / cm,     d = elapsed_time / ode_unfolds
               G_j = held_j + sum_k w_k s_k,   P_j = held_pull_j + sum_k p_k s_k,   s_k = sigmoid(slope_k v_i + offset_k)
    backward   with g the gradient by v(u + 1), and q = g / (1 + a G):
               dP = a q,   dG = -a q v(u + 1),   da = q (P - G v(u + 1)),   dv_i = q + sum_k slope_k dz_k
               dz_k = (w_k dG_j + p_k dP_j) s_k (1 - s_k),   dslope_k = sum v_i dz_k,   doffset_k = sum dz_k
               dw_k = sum s_k dG_j,   dp_k = sum s_k dP_j

u unfold, k synapse from i to j, sums over batch and time; the rest is as of :mod:`dynvision.neurons.ltc_cell`. Only states,
G and P are kept, (unfolds, B, N) each; every s_k is computed again in the backward pass, which costs less than to store
it. Synapses are ordered by target, so that the innermost loop runs over the sources of one unit; the cost is proportional
to the synapses.

    sigmoid(x) = 1 / (1 + 2^y),   y = -x / ln 2,   2^y = 2^n 2^f,   n = round(y),   |f| <= 1/2

2^f by its Taylor series, to rounding. A compiler turns this into vector instructions,
which it cannot do with a call of exp.

Source: ours; the equations are those of the fused solver of Hasani et al. (2021), AAAI 35:7657, and its chain rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor
from torch.autograd.function import once_differentiable

T = TypeVar("T")
LEAST_PER_THREAD = 8  # elements of the batch
OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
}


def _power_series(degree: int) -> list[float]:
    """Coefficients of the Taylor series of 2^f = exp(f ln 2), the constant first."""
    return [math.log(2) ** k / math.factorial(k) for k in range(degree + 1)]


# Bits, those of the mantissa, largest exponent, and the coefficients, by type.
FLOATS = {
    types.float32: (32, 23, 126.0, _power_series(7)),
    types.float64: (64, 52, 1022.0, _power_series(13)),
}


@intrinsic
def _sigmoid(typingctx: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)), and NaN of NaN, in operations of which there are vector instructions."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (x,) = args
        bits, mantissa, largest, coefficients = FLOATS[signature.args[0]]
        real, whole = x.type, ir.IntType(bits)

        def number(value: float) -> Any:
            return ir.Constant(real, value)

        def plus(a: Any, b: Any) -> Any:
            return builder.fadd(a, b, flags=("contract",))

        def times(a: Any, b: Any) -> Any:
            return builder.fmul(a, b, flags=("contract",))

        y = times(x, number(-1 / math.log(2)))
        y = builder.select(builder.fcmp_ordered(">", y, number(largest)), number(largest), y)
        y = builder.select(builder.fcmp_ordered("<", y, number(-largest)), number(-largest), y)
        nearest = builder.module.declare_intrinsic("llvm.rint", [real], ir.FunctionType(real, [real]))
        n = builder.call(nearest, [y])
        f = builder.fsub(y, n)
        power = number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            power = plus(times(power, f), number(coefficient))
        exponent = builder.shl(builder.fptosi(n, whole), ir.Constant(whole, mantissa))
        power = builder.bitcast(builder.add(builder.bitcast(power, whole), exponent), real)
        made = builder.fdiv(number(1.0), plus(number(1.0), power))
        return builder.select(builder.fcmp_unordered("uno", x, x), x, made)

    return x(x), codegen


@njit(cache=True, nogil=True, fastmath={"contract"})
def sigmoid(x):  # type: ignore[no-untyped-def]
    """As `_sigmoid`: a function of its own, in which no sum is reordered."""
    return _sigmoid(x)  # type: ignore[call-arg]


@njit(**OPTIONS)
def add_sums(v, synapses, conductance, pull):  # type: ignore[no-untyped-def]
    """Add conductance and pull of all synapses, (M, to) each, for v (M, from)."""
    rows, source, slopes, offsets, strengths, pullings = synapses
    gathered = np.empty_like(v)
    for j in range(len(rows) - 1):
        a, b = rows[j], rows[j + 1]
        n, dense = b - a, b - a == v.shape[1]
        slope, offset, strength, pulling = slopes[a:b], offsets[a:b], strengths[a:b], pullings[a:b]
        x = v if dense else gathered
        if not dense:
            gather(v, source[a:b], gathered)
        for m in range(len(v)):
            g, p = conductance[m, j], pull[m, j]
            for k in range(n):
                s = sigmoid(slope[k] * x[m, k] + offset[k])
                g += s * strength[k]
                p += s * pulling[k]
            conductance[m, j], pull[m, j] = g, p


@njit(**OPTIONS)
def gather(v, source, gathered):  # type: ignore[no-untyped-def]
    """Write the states of some units side by side."""
    for m in range(len(v)):
        for k in range(len(source)):
            gathered[m, k] = v[m, source[k]]


@njit(**OPTIONS)
def add_gradients(v, synapses, d_conductance, d_pull, d_v, sums):  # type: ignore[no-untyped-def]
    """Add the gradients by v (M, from), and by slope, offset, strength and pulling, (4, synapses), in double precision."""
    one = v.dtype.type(1)
    rows, source, slopes, offsets, strengths, pullings = synapses
    gathered, scattered = np.empty_like(v), np.empty_like(v)
    d_slope, d_offset = np.empty(v.shape[1], v.dtype), np.empty(v.shape[1], v.dtype)
    d_strength, d_pulling = np.empty(v.shape[1], v.dtype), np.empty(v.shape[1], v.dtype)
    for j in range(len(rows) - 1):
        a, b = rows[j], rows[j + 1]
        n, dense = b - a, b - a == v.shape[1]
        slope, offset, strength, pulling = slopes[a:b], offsets[a:b], strengths[a:b], pullings[a:b]
        x, dx = (v, d_v) if dense else (gathered, scattered)
        if not dense:
            gather(v, source[a:b], gathered)
            scattered[:] = 0
        d_slope[:], d_offset[:], d_strength[:], d_pulling[:] = 0, 0, 0, 0
        for m in range(len(v)):
            dg, dp = d_conductance[m, j], d_pull[m, j]
            for k in range(n):
                s = sigmoid(slope[k] * x[m, k] + offset[k])
                dz = (strength[k] * dg + pulling[k] * dp) * (s * (one - s))
                dx[m, k] += slope[k] * dz
                d_slope[k] += dz * x[m, k]
                d_offset[k] += dz
                d_strength[k] += s * dg
                d_pulling[k] += s * dp
        if not dense:
            for m in range(len(v)):
                for k in range(n):
                    d_v[m, source[a + k]] += scattered[m, k]
        for k in range(n):
            sums[0, a + k] += d_slope[k]
            sums[1, a + k] += d_offset[k]
            sums[2, a + k] += d_strength[k]
            sums[3, a + k] += d_pulling[k]


@njit(**OPTIONS)
def run(v, d, held, held_pull, inverse_cm, synapses, unfolds, before, conductance, pull, ends):  # type: ignore[no-untyped-def]
    """All steps; `before`, `conductance` and `pull` of every unfold are kept where there is room for all of them."""
    one = inverse_cm.dtype.type(1)
    n_steps, n_batch, n_units = held.shape
    keep = len(before) > 1
    for t in range(n_steps):
        for u in range(unfolds):
            at = t * unfolds + u if keep else 0
            before[at] = v
            conductance[at] = held[t]
            pull[at] = held_pull[t]
            add_sums(v, synapses, conductance[at], pull[at])
            for m in range(n_batch):
                state, g, p, elapsed = v[m], conductance[at, m], pull[at, m], d[t, m]
                for n in range(n_units):
                    a = elapsed * inverse_cm[n]
                    state[n] = (state[n] + a * p[n]) / (one + a * g[n])
        ends[t] = v


@njit(**OPTIONS)
def run_back(  # type: ignore[no-untyped-def]
    d_ends, d, inverse_cm, synapses, unfolds, kept, d_v, d_held, d_held_pull, d_d, d_inverse_cm, sums
):
    """Add the gradients of `run`, from the last unfold to the first; `d_v` ends as that by the first state."""
    before, conductance, pull, ends = kept
    one = inverse_cm.dtype.type(1)
    n_steps, n_batch, n_units = ends.shape
    dg, dp = np.empty_like(d_v), np.empty_like(d_v)
    for t in range(n_steps - 1, -1, -1):
        d_v += d_ends[t]
        for u in range(unfolds - 1, -1, -1):
            at = t * unfolds + u
            after = ends[t] if u == unfolds - 1 else before[at + 1]
            for m in range(n_batch):
                new, g, p, elapsed = after[m], conductance[at, m], pull[at, m], d[t, m]
                to_g, to_p, to_v = dg[m], dp[m], d_v[m]
                by_elapsed = one - one
                for n in range(n_units):
                    a = elapsed * inverse_cm[n]
                    q = to_v[n] / (one + a * g[n])
                    by_a = q * (p[n] - g[n] * new[n])
                    to_p[n] = a * q
                    to_g[n] = -a * q * new[n]
                    to_v[n] = q
                    by_elapsed += by_a * inverse_cm[n]
                    d_inverse_cm[n] += by_a * elapsed
                d_d[t, m] += by_elapsed
            d_held[t] += dg
            d_held_pull[t] += dp
            add_gradients(before[at], synapses, dg, dp, d_v, sums)


def _arrays(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(t.detach().contiguous().numpy() for t in tensors)


def _parts(n: int) -> list[slice]:
    """The batch, in a part for each of torch's threads."""
    n_parts = max(1, min(torch.get_num_threads(), n // LEAST_PER_THREAD))
    edges = [n * k // n_parts for k in range(n_parts + 1)]
    return [slice(a, b) for a, b in zip(edges, edges[1:], strict=False)]


def _each(function: Callable[[Any], T], parts: list[Any]) -> list[T]:
    """Return a function of each part, each computed in a thread of its own."""
    if len(parts) == 1:
        return [function(parts[0])]
    with ThreadPoolExecutor(len(parts)) as threads:
        return list(threads.map(function, parts))


def _total(parts: tuple[np.ndarray, ...], like: Tensor) -> Tensor:
    return torch.from_numpy(sum(parts[1:], parts[0])).to(like.dtype)


class SynapseSums(torch.autograd.Function):
    """Conductance and pull, (M, to) each, of synapses on v (M, from).

    Synapses: where those of each unit begin, and the end, (to + 1,); source, slope, offset, strength and pulling of each,
    (synapses,), ordered by target.
    """

    @staticmethod
    def forward(ctx: Any, v: Tensor, *synapses: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(v, *synapses)
        wired, n_to = _arrays(*synapses), len(synapses[0]) - 1

        def part(at: slice) -> Tensor:
            (given,) = _arrays(v[at])
            made = np.zeros((2, len(given), n_to), given.dtype)
            add_sums(given, wired, made[0], made[1])
            return torch.from_numpy(made)

        conductance, pull = torch.cat(_each(part, _parts(len(v))), dim=1)
        return conductance, pull

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_conductance: Tensor, d_pull: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        v, *synapses = ctx.saved_tensors
        wired = _arrays(*synapses)

        def part(at: slice) -> tuple[Tensor, np.ndarray]:
            given, dg, dp = _arrays(v[at], d_conductance[at], d_pull[at])
            d_v, sums = np.zeros_like(given), np.zeros((4, len(wired[1])))
            add_gradients(given, wired, dg, dp, d_v, sums)
            return torch.from_numpy(d_v), sums

        d_v, sums = zip(*_each(part, _parts(len(v))), strict=True)
        return torch.cat(d_v), None, None, *_total(sums, v)


class LiquidSteps(torch.autograd.Function):
    """States after every step, (T, B, N).

    Takes the state before the first, (B, N), d (T, B), conductance and pull of leak and inputs, (T, B, N), 1 / cm (N,),
    the number of unfolds, and the synapses as of :class:`SynapseSums`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        v: Tensor,
        d: Tensor,
        held: Tensor,
        held_pull: Tensor,
        inverse_cm: Tensor,
        unfolds: int,
        *synapses: Tensor,
    ) -> Tensor:
        keep, wired, (scale,) = any(ctx.needs_input_grad), _arrays(*synapses), _arrays(inverse_cm)

        def part(at: slice) -> tuple[Any, ...]:
            state, elapsed, g, p = _arrays(v[at].clone(), d[:, at], held[:, at], held_pull[:, at])
            kept = np.empty((3, len(d) * unfolds if keep else 1, *state.shape), state.dtype)
            ends = np.empty((len(d), *state.shape), state.dtype)
            run(state, elapsed, g, p, scale, wired, unfolds, *kept, ends)
            return at, elapsed, kept, ends

        parts = _each(part, _parts(len(v)))
        if keep:
            ctx.parts, ctx.unfolds = parts, unfolds
            ctx.save_for_backward(inverse_cm, *synapses)
        return torch.cat([torch.from_numpy(ends) for *_, ends in parts], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_ends: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        inverse_cm, *synapses = ctx.saved_tensors
        (scale,), wired = _arrays(inverse_cm), _arrays(*synapses)

        def part(given: tuple[Any, ...]) -> tuple[Any, ...]:
            at, elapsed, kept, ends = given
            d_v, d_d, d_held = (
                np.zeros_like(ends[0]),
                np.zeros_like(elapsed),
                np.zeros((2, *ends.shape), ends.dtype),
            )
            d_scale, sums = np.zeros(len(scale)), np.zeros((4, len(wired[1])))
            (from_ends,), kept = _arrays(d_ends[:, at]), (*kept, ends)
            run_back(from_ends, elapsed, scale, wired, ctx.unfolds, kept, d_v, *d_held, d_d, d_scale, sums)
            return torch.from_numpy(d_v), torch.from_numpy(d_d), torch.from_numpy(d_held), d_scale, sums

        d_v, d_d, d_held, d_scale, sums = zip(*_each(part, ctx.parts), strict=True)
        held, by_scale = torch.cat(d_held, dim=2), _total(d_scale, inverse_cm)
        by_synapse = _total(sums, inverse_cm)
        return (
            torch.cat(d_v),
            torch.cat(d_d, dim=1),
            held[0],
            held[1],
            by_scale,
            None,
            None,
            None,
            *by_synapse,
        )
