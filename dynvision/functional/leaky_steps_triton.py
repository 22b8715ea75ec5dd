"""The GPU kernels of :mod:`dynvision.functional.leaky_steps`: one launch for all steps, state kept in registers.

Each program takes a block of units of the flattened (B, C, H, W) and walks through the steps. All tensors share one
memory layout, so that element i of a step is the same unit in each of them. For the sums of channels each program sums a
part of the pixels, in a fixed order.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from dynvision.functional.leaky_steps import Rectified, memory_layout
from dynvision.functional.outlets import Gradients
from dynvision.functional.rectified_triton import rectified

BLOCK = 1024
MOST_UNROLLED = 8  # steps of one launch: unrolled, so that the loads of all of them are under way at once
MOST_GATHERED = 4  # the same where gradients are gathered, which takes registers


@triton.jit
def channel_of(begin, steps, channels, inner):
    """The channels of units ``begin + steps``, with ``inner`` units between two channels; vectors divide in 32 bits."""
    return (((begin % (inner * channels)).to(tl.int32) + steps) // inner) % channels


@triton.jit
def _forward(
    z,
    h,
    start,
    r,
    active,
    units,
    z_stride,
    gain,
    bias,
    z_bias,
    channels,
    inner,
    N: tl.constexpr,
    START: tl.constexpr,
    GAIN: tl.constexpr,
    BIAS: tl.constexpr,
    Z_BIAS: tl.constexpr,
    LATERAL: tl.constexpr,
    RECTIFIED: tl.constexpr,
    ACTIVE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # noqa: E501
    begin, steps = tl.program_id(0).to(tl.int64) * BLOCK, tl.arange(0, BLOCK)
    at = begin + steps
    inside = at < units
    if GAIN == "number":
        g = gain
    elif GAIN == "scalar":
        g = tl.load(gain)
    else:
        g = tl.load(gain + channel_of(begin, steps, channels, inner), mask=inside)
    shift = 0.0
    if BIAS:
        shift = tl.load(bias + channel_of(begin, steps, channels, inner), mask=inside).to(tl.float32)
    z_shift = 0.0
    if Z_BIAS:
        z_shift = tl.load(z_bias + channel_of(begin, steps, channels, inner), mask=inside).to(tl.float32)
    state = tl.zeros((BLOCK,), tl.float32)
    if START:
        state = tl.load(start + at, mask=inside).to(tl.float32)
    for k in tl.static_range(N):
        here = k * units + at
        drive = tl.load(z + k * z_stride + at, mask=inside).to(tl.float32) + z_shift
        if LATERAL:
            drive += tl.load(h + here, mask=inside).to(tl.float32) + shift
        if ACTIVE:
            tl.store(active + here, drive > 0, mask=inside)
        if RECTIFIED == "drive":
            drive = rectified(drive)
        state += g * (drive - state)
        if RECTIFIED == "state":
            state = rectified(state)
        tl.store(r + here, state, mask=inside)


@triton.jit
def _place(begin, steps, C: tl.constexpr, H: tl.constexpr, W: tl.constexpr, COMMON: tl.constexpr):
    """The image of unit ``begin``; and of units ``begin + steps`` the images after it, row, column and channel.

    That channels are side by side, Triton sees if it knows of what the units before ``begin`` are a multiple.
    """
    within = (begin // COMMON % (H * W * C // COMMON)).to(tl.int32) * COMMON + steps
    line = within // C // W
    return begin // (H * W * C), line // H, line % H, within // C % W, within % C


@triton.jit
def _backward(
    grad_r,
    heard,
    r,
    active,
    carried,
    grad_z,
    total,
    grad_start,
    pooled,
    offsets,
    picked,
    units,
    gain,
    channels,
    inner,
    N: tl.constexpr,
    GAIN: tl.constexpr,
    GRAD: tl.constexpr,
    HEARD: tl.constexpr,  # number of steps, the first ones
    TOTAL: tl.constexpr,
    CARRIED: tl.constexpr,
    RECTIFIED: tl.constexpr,
    C: tl.constexpr,  # channels, rows and columns of r, where gradients at other maps are gathered
    H: tl.constexpr,
    W: tl.constexpr,
    COMMON: tl.constexpr,  # divisor of their product and of BLOCK
    K: tl.constexpr,  # kernel, stride and padding of a pooling, rows and columns after it; 0 without one
    S: tl.constexpr,
    P: tl.constexpr,
    OH: tl.constexpr,
    OW: tl.constexpr,
    WINDOWS: tl.constexpr,  # along a side, that contain a pixel
    ROWS: tl.constexpr,  # every how many rows and columns are picked; 0 for none
    COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # noqa: E501
    begin, steps = tl.program_id(0).to(tl.int64) * BLOCK, tl.arange(0, BLOCK)
    at = begin + steps
    inside = at < units
    if GAIN == "number":
        g = gain
    elif GAIN == "scalar":
        g = tl.load(gain)
    else:
        g = tl.load(gain + channel_of(begin, steps, channels, inner), mask=inside)
    carry = tl.zeros((BLOCK,), tl.float32)
    sum_z = tl.zeros((BLOCK,), tl.float32)
    if TOTAL and CARRIED:
        sum_z = tl.load(total + at, mask=inside)
    if CARRIED:
        carry = tl.load(carried + at, mask=inside).to(tl.float32)
    places = ()  # of the windows that contain a unit: where, whether inside, and the offset that is the unit
    here_too = ()
    own = ()
    if K or ROWS:
        image, after, row, column, c = _place(begin, steps, C, H, W, COMMON)
        images = units // (H * W * C)
    if K:
        for back_i in tl.static_range(WINDOWS):
            i, a = (row + P) // S - back_i, (row + P) % S + back_i * S
            for back_j in tl.static_range(WINDOWS):
                j, b = (column + P) // S - back_j, (column + P) % S + back_j * S
                exists = (a < K) & (b < K) & (i >= 0) & (i < OH) & (j >= 0) & (j < OW)
                places = places + (((after * OH + i) * OW + j) * C + c,)  # type: ignore[assignment]
                here_too = here_too + (inside & exists,)  # type: ignore[assignment]
                own = own + (a * K + b,)  # type: ignore[assignment]
    if ROWS:
        is_picked = inside & (row % ROWS == 0) & (column % COLUMNS == 0)
        pick = ((after * (H // ROWS) + row // ROWS) * (W // COLUMNS) + column // COLUMNS) * C + c
    for step in tl.static_range(N):
        here = (N - 1 - step) * units + at
        grad = carry
        if GRAD:
            grad += tl.load(grad_r + here, mask=inside).to(tl.float32)
        if N - 1 - step < HEARD:
            grad += tl.load(heard + here, mask=inside).to(tl.float32)
        if K:
            first = (image + (N - 1 - step) * images) * (OH * OW * C)
            for window in tl.static_range(WINDOWS * WINDOWS):
                there = first + places[window]
                offset = tl.load(offsets + there, mask=here_too[window], other=255).to(tl.int32)
                value = tl.load(pooled + there, mask=here_too[window], other=0.0).to(tl.float32)
                grad += tl.where(offset == own[window], value, 0.0)
        if ROWS:
            there = (image + (N - 1 - step) * images) * (H // ROWS * (W // COLUMNS) * C) + pick
            grad += tl.load(picked + there, mask=is_picked, other=0.0).to(tl.float32)
        if RECTIFIED == "state":
            grad = tl.where(tl.load(r + here, mask=inside) > 0, grad, 0.0)
        at_z = g * grad
        if RECTIFIED == "drive":
            at_z = tl.where(tl.load(active + here, mask=inside) != 0, at_z, 0.0)
        tl.store(grad_z + here, at_z, mask=inside)
        if TOTAL:
            sum_z += at_z
        carry = (1.0 - g) * grad
    if TOTAL:
        tl.store(total + at, sum_z, mask=inside)
    tl.store(grad_start + at, carry, mask=inside)


def forward(
    z: Tensor,
    h: Tensor | None,
    start: Tensor | None,
    r: Tensor,
    batch: int,
    gain: float | Tensor,
    rectified: Rectified,
    active: Tensor | None,
    bias: Tensor | None,
    z_bias: Tensor | None,
) -> None:
    """See :func:`dynvision.functional.leaky_steps.forward`."""
    n = r.shape[0] // batch
    if n > MOST_UNROLLED:
        for first in range(0, n, MOST_UNROLLED):
            at = slice(first * batch, (first + MOST_UNROLLED) * batch)
            drive = z if z.shape[0] == batch else z[at]
            lateral, above = (None if x is None else x[at] for x in (h, active))
            forward(drive, lateral, start, r[at], batch, gain, rectified, above, bias, z_bias)
            start = r[at][-batch:]
        return
    number, channels, inner, kind = _gain_arguments(gain, r)
    units = r.numel() // n
    z = in_layout_of(z, r)
    lateral = r if h is None else in_layout_of(h, r)
    above = r if active is None else active.view(torch.uint8)
    z_stride = 0 if z.shape[0] == batch else units
    grid = (triton.cdiv(units, BLOCK),)
    with torch.cuda.device(r.device):
        _forward[grid](
            z,
            lateral,
            r if start is None else in_layout_of(start, r),
            r,
            above,
            units,
            z_stride,
            number,
            number if bias is None else bias.contiguous(),
            number if z_bias is None else z_bias.contiguous(),
            channels,
            inner,
            n,
            start is not None,
            kind,
            bias is not None,
            z_bias is not None,
            h is not None,
            rectified,
            active is not None,
            BLOCK,
        )


def backward(
    grad_r: Tensor | None,
    heard: Tensor | None,
    r: Tensor,
    carried: Tensor | None,
    grad_z: Tensor,
    total: Tensor | None,
    batch: int,
    gain: float | Tensor,
    rectified: Rectified,
    active: Tensor | None,
    others: Gradients | None,
) -> Tensor:
    """See :func:`dynvision.functional.leaky_steps.backward`."""
    n, most = r.shape[0] // batch, MOST_UNROLLED if others is None else MOST_GATHERED
    if n > most:
        for first in reversed(range(0, n, most)):
            at = slice(first * batch, (first + most) * batch)
            lateral, above = (None if x is None or not len(x[at]) else x[at] for x in (heard, active))
            outside, elsewhere = grad_r if grad_r is None else grad_r[at], others and others.of_rows(at)
            carried = backward(
                outside, lateral, r[at], carried, grad_z[at], total, batch, gain, rectified, above, elsewhere
            )
        assert carried is not None
        return carried
    number, channels, inner, kind = _gain_arguments(gain, r)
    units = r.numel() // n
    maps, geometry = _gathered_arguments(others, r)
    grad_start = torch.empty_like(r[:batch])
    before = grad_start if carried is None else in_layout_of(carried, r)
    above = r if active is None else active.view(torch.uint8)
    grid = (triton.cdiv(units, BLOCK),)
    with torch.cuda.device(r.device):
        _backward[grid](
            r if grad_r is None else in_layout_of(grad_r, r),
            r if heard is None else in_layout_of(heard, r),
            r,
            above,
            before,
            grad_z,
            grad_start if total is None else total,
            grad_start,
            *maps,
            units,
            number,
            channels,
            inner,
            n,
            kind,
            grad_r is not None,
            0 if heard is None else heard.shape[0] // batch,
            total is not None,
            carried is not None,
            rectified,
            *geometry,
            BLOCK,
        )
    return grad_start


def _gathered_arguments(others: Gradients | None, r: Tensor) -> tuple[list[Tensor], list[int]]:
    """Gradients at maps made of r as the kernel takes them: these maps, and the numbers from C to COLUMNS."""
    if others is None:
        return [r] * 3, [0] * 12
    maps = [others.pooled, others.offsets if others.pooled is not None else None, others.picked]
    windows = [0] * 6
    if others.pooled is not None:
        kernel, stride, padding = others.outlets.pool  # type: ignore[misc]
        rows, columns = others.pooled.shape[2:]
        windows = [kernel, stride, padding, rows, columns, triton.cdiv(kernel, stride)]
    every = others.outlets.every if others.picked is not None else None
    shape = [*r.shape[1:], math.gcd(BLOCK, math.prod(r.shape[1:]))]
    return [r if x is None else x for x in maps], [*shape, *windows, *(every or (0, 0))]


def _gain_arguments(gain: float | Tensor, r: Tensor) -> tuple[float | Tensor, int, int, str]:
    """The gain as the kernels take it: it, the number of channels, units between two channels, and its kind."""
    inner = units_between(r)
    if not isinstance(gain, Tensor):
        return gain, r.shape[1], inner, "number"
    return gain.float().contiguous(), r.shape[1], inner, "scalar" if gain.numel() == 1 else "channel"


def in_layout_of(x: Tensor, r: Tensor) -> Tensor:
    """``x`` in the memory layout of ``r``."""
    return x.contiguous(memory_format=memory_layout(r))


def units_between(r: Tensor) -> int:
    """Units between two channels of an image."""
    return 1 if memory_layout(r) == torch.channels_last or r.dim() < 3 else r[0, 0].numel()


ROWS = 64  # pixels that are read at once
PROGRAMS = 1056  # eight for each multiprocessor of a large GPU


@triton.jit
def _partial(x, out, n_rows, channels, PART: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr):
    first = tl.program_id(0).to(tl.int64) * PART
    c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    total = tl.zeros((ROWS, WIDTH), tl.float32)
    for start in range(0, PART, ROWS):
        row = first + start + tl.arange(0, ROWS)
        here = (row < n_rows)[:, None] & (c < channels)[None, :]
        total += tl.load(x + row[:, None] * channels + c[None, :], mask=here, other=0.0).to(tl.float32)
    tl.store(out + tl.program_id(0) * channels + c, tl.sum(total, 0), mask=c < channels)


def channel_sums(x: Tensor) -> Tensor:
    """Sum of each channel of channels-last maps, (B, C, H, W) to (C,), in single precision."""
    channels = x.shape[1]
    n_rows = x.numel() // channels
    per_program = ROWS * triton.cdiv(n_rows, ROWS * PROGRAMS)
    n_programs = triton.cdiv(n_rows, per_program)
    width = min(64, triton.next_power_of_2(channels))
    partial = torch.empty((n_programs, channels), device=x.device, dtype=torch.float32)
    with torch.cuda.device(x.device):
        _partial[(n_programs, triton.cdiv(channels, width))](
            x, partial, n_rows, channels, per_program, ROWS, width
        )
    return partial.sum(0)


@triton.jit
def _add(x, bias, units, channels, BLOCK: tl.constexpr):
    begin, steps = tl.program_id(0).to(tl.int64) * BLOCK, tl.arange(0, BLOCK)
    inside = begin + steps < units
    added = tl.load(bias + channel_of(begin, steps, channels, 1), mask=inside)
    here = x + begin + steps
    tl.store(here, tl.load(here, mask=inside) + added, mask=inside)


def add_to_channels(x: Tensor, bias: Tensor) -> Tensor:
    """Add to each channel of channels-last maps, (B, C, H, W), a number of its own, (C,), in place."""
    with torch.cuda.device_of(x):
        _add[(triton.cdiv(x.numel(), BLOCK),)](x, bias, x.numel(), x.shape[1], BLOCK)
    return x
