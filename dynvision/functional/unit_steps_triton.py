"""The GPU kernels of :mod:`dynvision.functional.unit_steps`: one launch for several steps, states kept in registers.

Two kernels scan any step: `STEP` is the function of a step, `BACK` its derivative, `NUMBERS` what both know when they are
compiled. Each program takes a block of units of the flattened (B, C, H, W) and walks through the steps; all tensors share
one memory layout, so that element i of a step is the same unit in each of them. The backward kernel first computes the
states of its steps again. For the gradient of learned numbers a program adds up the same units of several images.
"""
# mypy: disable-error-code="assignment, var-annotated"

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from dynvision.functional.leaky_steps import channel_sums, memory_layout
from dynvision.functional.leaky_steps_triton import channel_of, in_layout_of, units_between
from dynvision.functional.rectified_triton import rectified
from dynvision.functional.unit_steps import DepressionStep, States, Step, UnitStep

BLOCK = 512
MOST_UNROLLED = 8  # steps of one launch: unrolled, so that the loads of all of them are under way at once
MOST_KEPT = 16  # numbers of a unit in registers, with programs of BLOCK units
MOST_IMAGES = 8  # whose gradients of learned numbers a program adds up


@triton.jit
def _magnitude(v):
    """|v| within the bounds of a supralinearity."""
    size = tl.abs(v)
    size = tl.where(size < 1e-6, tl.full(size.shape, 1e-6, size.dtype), size)
    return tl.where(size > 1e6, tl.full(size.shape, 1e6, size.dtype), size)


@triton.jit
def _nonlinear(v, RECTIFIED: tl.constexpr, EXPONENT: tl.constexpr, FACTOR: tl.constexpr):
    if RECTIFIED:
        v = rectified(v)
    if EXPONENT > 0:
        raised = FACTOR * tl.exp(EXPONENT * tl.log(_magnitude(v)))
        v = tl.where(v == 0, 0.0, tl.where(v < 0, -raised, raised))
    return v


@triton.jit
def _through_nonlinear(grad, v, RECTIFIED: tl.constexpr, EXPONENT: tl.constexpr, FACTOR: tl.constexpr):
    """The gradient at v of the gradient at what it became."""
    if EXPONENT > 0:
        size = tl.abs(v)
        slope = (FACTOR * EXPONENT) * tl.exp((EXPONENT - 1.0) * tl.log(_magnitude(v)))
        grad = tl.where((size >= 1e-6) & (size <= 1e6), grad * slope, 0.0)
    if RECTIFIED:
        grad = tl.where(v > 0, grad, 0.0)
    return grad


@triton.jit
def _suppressed(a, b, x, NUMBERS: tl.constexpr):
    """The suppression after a step, and the drive that it leaves."""
    if NUMBERS[0] > 0:
        b = b + NUMBERS[0] * (a - b)
        if NUMBERS[2] > 0:
            x = x - NUMBERS[1] * rectified(b - NUMBERS[2])
        else:
            x = x - NUMBERS[1] * b
    return b, x


@triton.jit
def _gain(a, p, NUMBERS: tl.constexpr):
    """The gain of a unit: a number, or learned, after the four other numbers of a liquid unit."""
    if NUMBERS[9] > 0:
        g = tl.full(a.shape, NUMBERS[9], a.dtype)
    elif NUMBERS[10]:
        g = p[4]
    else:
        g = p[0]
    return g


@triton.jit
def _unit(a, b, x, p, NUMBERS: tl.constexpr):
    """:class:`UnitStep`: the new a and b, and y."""
    b, u = _suppressed(a, b, x, NUMBERS)
    v = _nonlinear(u, NUMBERS[3], NUMBERS[4], NUMBERS[5])
    g = _gain(a, p, NUMBERS)
    if NUMBERS[10]:
        c = p[0] / (1.0 + tl.exp(-p[1] * (v - p[2])))
        a = (a + g * (v + c * p[3])) / (1.0 + g * (1.0 + c))
    else:
        a = a + g * (v - a)
    a = _nonlinear(a, NUMBERS[6], NUMBERS[7], NUMBERS[8])
    return a, b, a


@triton.jit
def _unit_back(a, b, x, p, grad_a, grad_b, grad_y, NUMBERS: tl.constexpr):
    """Gradients at a, b and x before a step, and at p, from those after it."""
    b, u = _suppressed(a, b, x, NUMBERS)
    v = _nonlinear(u, NUMBERS[3], NUMBERS[4], NUMBERS[5])
    g = _gain(a, p, NUMBERS)
    grad = grad_a + grad_y
    if NUMBERS[10]:
        share = 1.0 / (1.0 + tl.exp(-p[1] * (v - p[2])))
        c = p[0] * share
        below = 1.0 + g * (1.0 + c)
        new = (a + g * (v + c * p[3])) / below
        grad = _through_nonlinear(grad, new, NUMBERS[6], NUMBERS[7], NUMBERS[8])
        grad_a = grad / below
        at_c = grad_a * g * (p[3] - new)
        at_t = at_c * c * (1.0 - share)
        at_v = grad_a * g + at_t * p[1]
        at_p = (at_c * share, at_t * (v - p[2]), -at_t * p[1], grad_a * g * c)
        at_g = grad_a * (v + c * p[3] - new * (1.0 + c))
        if NUMBERS[9] > 0:
            grad_p = at_p
        else:
            grad_p = at_p + (at_g,)
    else:
        grad = _through_nonlinear(grad, a + g * (v - a), NUMBERS[6], NUMBERS[7], NUMBERS[8])
        at_v = g * grad
        grad_a = grad - at_v
        grad_p = (grad * (v - a),)
    grad_x = _through_nonlinear(at_v, u, NUMBERS[3], NUMBERS[4], NUMBERS[5])
    if NUMBERS[0] > 0:
        if NUMBERS[2] > 0:
            grad_b -= NUMBERS[1] * tl.where(b >= NUMBERS[2], grad_x, 0.0)
        else:
            grad_b -= NUMBERS[1] * grad_x
        followed = NUMBERS[0] * grad_b
        grad_a += followed
        grad_b -= followed
    return grad_a, grad_b, grad_x, grad_p


@triton.jit
def _depressed(a, b, x, p, NUMBERS: tl.constexpr):
    """:class:`DepressionStep`: the new a and b, and y."""
    y = rectified(x)
    used = NUMBERS[1] * y
    left = (a + NUMBERS[0] * (1.0 - a - b)) / (1.0 + used)
    return left, (b + used * left) / (1.0 + NUMBERS[2]), a * y


@triton.jit
def _depressed_back(a, b, x, p, grad_a, grad_b, grad_y, NUMBERS: tl.constexpr):
    """As :func:`_unit_back`."""
    y = rectified(x)
    used = NUMBERS[1] * y
    left = (a + NUMBERS[0] * (1.0 - a - b)) / (1.0 + used)
    at_effective = grad_b / (1.0 + NUMBERS[2])
    at_sum = (grad_a + at_effective * used) / (1.0 + used)
    at_used = at_effective * left - at_sum * left
    grad_a = grad_y * y + at_sum * (1.0 - NUMBERS[0])
    grad_b = at_effective - at_sum * NUMBERS[0]
    grad_x = tl.where(x >= 0, grad_y * a + at_used * NUMBERS[1], 0.0)
    return grad_a, grad_b, grad_x, ()


@triton.jit
def _forward(
    z, start_a, start_b, p, y, end_a, end_b, units, z_stride, channels, inner,
    STEP: tl.constexpr, NUMBERS: tl.constexpr, LEARNED: tl.constexpr, SHOWN: tl.constexpr, SECOND: tl.constexpr,
    N: tl.constexpr, KIND: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    begin, steps = tl.program_id(0).to(tl.int64) * BLOCK, tl.arange(0, BLOCK)
    at = begin + steps
    inside = at < units
    numbers = ()
    for i in tl.static_range(LEARNED):
        channel = channel_of(begin, steps, channels, inner)
        numbers = numbers + (tl.load(p + i * channels + channel, mask=inside),)
    a = tl.load(start_a + at, mask=inside).to(KIND)
    b = a
    if SECOND:
        b = tl.load(start_b + at, mask=inside).to(KIND)
    drives = ()
    for k in tl.static_range(N):
        drives = drives + (tl.load(z + k * z_stride + at, mask=inside).to(KIND),)
    for k in tl.static_range(N):
        a, b, result = STEP(a, b, drives[k], numbers, NUMBERS)
        tl.store(y + k * units + at, result, mask=inside)
    if not SHOWN:
        tl.store(end_a + at, a, mask=inside)
    if SECOND:
        tl.store(end_b + at, b, mask=inside)


@triton.jit
def _backward(
    z, start_a, start_b, p, grad_y, grad_end_a, grad_end_b, grad_z, grad_start_a, grad_start_b, grad_p,
    units, part, z_stride, channels, inner,
    STEP: tl.constexpr, BACK: tl.constexpr, NUMBERS: tl.constexpr, LEARNED: tl.constexpr, SECOND: tl.constexpr,
    AFTER_A: tl.constexpr, AFTER_B: tl.constexpr, TOTAL: tl.constexpr, SUMS: tl.constexpr, LATER: tl.constexpr,
    N: tl.constexpr, PARTS: tl.constexpr, KIND: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    begin, steps = tl.program_id(0).to(tl.int64) * BLOCK, tl.arange(0, BLOCK)
    first = begin + steps
    inside = first < part
    numbers = ()
    sums = ()
    for i in tl.static_range(LEARNED):
        channel = channel_of(begin, steps, channels, inner)
        numbers = numbers + (tl.load(p + i * channels + channel, mask=inside),)
        sums = sums + (tl.zeros((BLOCK,), KIND),)
    for image in range(PARTS):
        at = first + image * part
        a = tl.load(start_a + at, mask=inside).to(KIND)
        b = a
        if SECOND:
            b = tl.load(start_b + at, mask=inside).to(KIND)
        grad_a = tl.zeros((BLOCK,), KIND)
        grad_b = tl.zeros((BLOCK,), KIND)
        if AFTER_A:
            grad_a = tl.load(grad_end_a + at, mask=inside).to(KIND)
        if AFTER_B:
            grad_b = tl.load(grad_end_b + at, mask=inside).to(KIND)
        drives = ()
        grads = ()
        for k in tl.static_range(N):
            drives = drives + (tl.load(z + k * z_stride + at, mask=inside).to(KIND),)
            grads = grads + (tl.load(grad_y + k * units + at, mask=inside).to(KIND),)
        before_a = ()
        before_b = ()
        for k in tl.static_range(N):
            before_a = before_a + (a,)
            before_b = before_b + (b,)
            if k < N - 1:
                a, b, _ = STEP(a, b, drives[k], numbers, NUMBERS)
        total = tl.zeros((BLOCK,), KIND)
        for k in tl.static_range(N - 1, -1, -1):
            grad_a, grad_b, at_drive, at_p = BACK(
                before_a[k], before_b[k], drives[k], numbers, grad_a, grad_b, grads[k], NUMBERS
            )
            if TOTAL:
                total += at_drive
            else:
                tl.store(grad_z + k * units + at, at_drive, mask=inside)
            if SUMS:
                new = ()
                for i in tl.static_range(LEARNED):
                    new = new + (sums[i] + at_p[i],)
                sums = new
        if TOTAL:
            if LATER:
                total += tl.load(grad_z + at, mask=inside)
            tl.store(grad_z + at, total, mask=inside)
        tl.store(grad_start_a + at, grad_a, mask=inside)
        if SECOND:
            tl.store(grad_start_b + at, grad_b, mask=inside)
    if SUMS:
        for i in tl.static_range(LEARNED):
            whole = sums[i]
            if LATER:
                whole += tl.load(grad_p + i * part + first, mask=inside)
            tl.store(grad_p + i * part + first, whole, mask=inside)


def forward(
    step: Step, z: Tensor, n: int, batch: int, start: States, p: Tensor | None
) -> tuple[Tensor, list[States]]:
    """Run all steps.

    Args:
        step, z, n, batch: as of :func:`~dynvision.functional.unit_steps.scan`.
        start: a and b before the first step.
        p: the learned numbers, (P, C), or None.

    Returns:
        y at every step, (n B, C, H, W), and a and b after each launch.
    """
    z = in_layout_of(z, z)
    y = torch.empty((n * batch, *z.shape[1:]), dtype=z.dtype, device=z.device, memory_format=memory_layout(z))
    units = z[:batch].numel()
    a, b = start
    ends: list[States] = []
    for first in range(0, n, MOST_UNROLLED):
        steps = min(MOST_UNROLLED, n - first)
        rows = slice(first * batch, (first + steps) * batch)
        a, b = in_layout_of(a, z), None if b is None else in_layout_of(b, z)
        out = y[rows]
        end_a, end_b = (
            out[-batch:] if step.shows_first else torch.empty_like(a),
            None if b is None else torch.empty_like(b),
        )
        with torch.cuda.device_of(z):
            _forward[(triton.cdiv(units, BLOCK),)](
                z if len(z) == batch else z[rows], a, a if b is None else b, a if p is None else p, out, end_a,
                end_a if end_b is None else end_b, units, 0 if len(z) == batch else units, z.shape[1], units_between(z),
                STEPS[type(step)][0], step.numbers, 0 if p is None else len(p), step.shows_first,
                b is not None, steps, _kind(z), BLOCK,
            )  # fmt: skip
        a, b = end_a, end_b
        ends.append((a, b))
    return y, ends


def backward(
    step: Step,
    z: Tensor,
    n: int,
    batch: int,
    starts: list[States],
    p: Tensor | None,
    grad_y: Tensor,
    grad_ends: Sequence[Tensor | None],
    learns: bool,
) -> tuple[Tensor | None, ...]:
    """Gradients at z, at a and b before the first step, and at p if it ``learns``.

    Args:
        step, z, n, batch, p: as of :func:`forward`.
        starts: a and b before each launch.
        grad_y: gradient at y, (n B, C, H, W).
        grad_ends: gradients at a and b after the last step, or None.
        learns: whether there is a gradient at p.
    """
    z, grad_y = in_layout_of(z, z), in_layout_of(grad_y, z)
    precise = torch.promote_types(z.dtype, torch.float32)
    units, constant = z[:batch].numel(), len(z) == batch and n > 1
    grad_z = torch.empty_like(z, dtype=precise if constant else z.dtype)
    parts = next(k for k in range(MOST_IMAGES if learns else 1, 0, -1) if batch % k == 0)
    grad_p = None
    if p is not None and learns:
        grad_p = z.new_empty((len(p), units // parts), dtype=precise)
    grad_a, grad_b = grad_ends
    for launch in reversed(range(len(starts))):
        first = launch * MOST_UNROLLED
        steps = min(MOST_UNROLLED, n - first)
        rows = slice(first * batch, (first + steps) * batch)
        a, b = starts[launch]
        a, b = in_layout_of(a, z), None if b is None else in_layout_of(b, z)
        after_a, after_b = (a if grad is None else in_layout_of(grad, z) for grad in (grad_a, grad_b))
        start_a = torch.empty_like(a, dtype=precise)
        kept = steps * (4 if step.has_second else 3)  # numbers of a unit in registers
        block = BLOCK if kept <= MOST_KEPT and grad_p is None else BLOCK // 2
        start_b = None if b is None else torch.empty_like(a, dtype=precise)
        with torch.cuda.device_of(z):
            _backward[(triton.cdiv(units // parts, block),)](
                z if len(z) == batch else z[rows], a, a if b is None else b, a if p is None else p, grad_y[rows],
                after_a, after_b, grad_z if constant else grad_z[rows], start_a,
                start_a if start_b is None else start_b, start_a if grad_p is None else grad_p,
                units, units // parts, 0 if len(z) == batch else units, z.shape[1], units_between(z),
                *STEPS[type(step)], step.numbers, 0 if p is None else len(p), b is not None,
                grad_a is not None, grad_b is not None, constant, grad_p is not None,
                launch + 1 < len(starts), steps, parts, _kind(z), block,
            )  # fmt: skip
        grad_a, grad_b = start_a, start_b
    if grad_p is not None:
        like = z[: batch // parts]
        grad_p = torch.stack([channel_sums(_shaped(sums, like)) for sums in grad_p])
    return grad_z.to(z.dtype), grad_a, grad_b, grad_p


STEPS = {UnitStep: (_unit, _unit_back), DepressionStep: (_depressed, _depressed_back)}


def _kind(z: Tensor) -> tl.dtype:
    """What is computed in."""
    return tl.float64 if z.dtype == torch.float64 else tl.float32


def _shaped(flat: Tensor, like: Tensor) -> Tensor:
    """Numbers in the order of memory as maps of the shape and layout of ``like``."""
    if memory_layout(like) == torch.channels_last:
        batch, channels, height, width = like.shape
        return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)
    return flat.view(like.shape)
