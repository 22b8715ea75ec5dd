"""A layer of leaky units with a delayed convolutional recurrence, over a stretch of time, as one operation.

    u(t) = z(t) + (R * r)(t - D)                    R the recurrent convolution, received from D steps after the start on
    y(t) = (1 - g) r(t - 1) + g u(t)                g the gain of a step (dt / tau for Euler)
    r(t) = max(y(t), 0)                             rectified: state

or r(t) = y(t), with max(u, 0) in place of u (rectified: drive) or without any rectification (none).
The recurrence reaches D steps back, so D steps share one convolution. Backward in time, with G(t) the gradient at r(t):

    a(t) = G(t) [r(t) > 0],   dL/dz(t) = g a(t),   G(t - 1) += (1 - g) a(t),   G(t - D) += R^T * dL/dz(t)

where the state is rectified; else a(t) = G(t), and dL/dz(t) = g a(t) [u(t) > 0] where the drive is. The gradient of R
is one convolution over the whole stretch. Kept for it: r; z, if g is learned; whether u > 0, if the drive is rectified.
Source: ours.

Axes: n steps, B batch; time is folded into the batch, time-major: (n B, C, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.functional import leaky_steps
from dynvision.functional.convolution import backward as conv_backward
from dynvision.functional.convolution import convolution, gradient_at_input, gradients_of_weights
from dynvision.functional.leaky_steps import Rectified, memory_layout
from dynvision.functional.outlets import Outlets, gradients, hand_out, whole_gradient


@dataclass(frozen=True)
class Recurrence:
    """A recurrent convolution, stride 1 and zero padding, received after ``delay`` steps."""

    weight: Tensor
    bias: Tensor | None
    padding: tuple[int, ...]
    groups: int
    delay: int

    @staticmethod
    def of(conv: nn.Conv2d, delay: int) -> Recurrence:
        """The recurrence of a convolution module."""
        assert not isinstance(conv.padding, str)
        return Recurrence(conv.weight, conv.bias, conv.padding, conv.groups, delay)


@dataclass(frozen=True)
class _Settings:
    n: int
    batch: int
    padding: tuple[int, ...]
    groups: int
    delay: int
    rectified: Rectified
    learned: bool
    outlets: Outlets

    def rows(self, first: int, end: int) -> slice:
        """Rows of the steps from ``first`` up to ``end``."""
        return slice(first * self.batch, end * self.batch)


def recurrent_scan(
    z: Tensor,
    n: int,
    batch: int,
    start: Tensor | None,
    gain: float | Tensor,
    rectified: Rectified = "state",
    recurrence: Recurrence | None = None,
    history: Tensor | None = None,
) -> Tensor:
    """Integrate a layer over ``n`` steps.

    Args:
        z: drive without recurrence, (n B, C, H, W); or (B, C, H, W), the same at every step.
        n: number of steps, >= 1.
        batch: number of images, B.
        start: r before the first step, (B, C, H, W); None for a layer that starts, which is zero, and where there is a
            history, whose last step it is.
        gain: g, between 0 and 1; a tensor of one number, or (C, 1, 1) of one for each channel, where it is learned, which a
            rectified drive does not allow.
        rectified: what is max(., 0): nothing, the drive or the state.
        recurrence: the recurrent convolution, if any.
        history: r of the last steps before the first, oldest first, (m B, C, H, W) with m up to the recurrent delay.

    Returns:
        r at every step, (n B, C, H, W).
    """
    return scan_with_outlets(Outlets(), z, n, batch, start, gain, rectified, recurrence, history)[0]


def scan_with_outlets(
    outlets: Outlets,
    z: Tensor,
    n: int,
    batch: int,
    start: Tensor | None,
    gain: float | Tensor,
    rectified: Rectified = "state",
    recurrence: Recurrence | None = None,
    history: Tensor | None = None,
    z_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """As :func:`recurrent_scan`, with what its kernels do on the way, where it has them (:func:`.leaky_steps.has_kernel`).

    They make maps of r beside r; the gradient at r is then without that which comes through these maps. And they add a
    bias of the drive, (C,), at every step.

    Returns:
        r, the pooled map and what was picked, each (n B, C, ...); None for what is not handed out.
    """
    earlier = start if history is None else history
    dtype = z.dtype if earlier is None else torch.promote_types(z.dtype, earlier.dtype)
    z = z.to(dtype)
    weight = bias = None
    padding: tuple[int, ...] = (0, 0)
    groups, delay = 1, n
    if recurrence is not None:
        weight = recurrence.weight.to(dtype)
        bias = recurrence.bias  # which a kernel adds in single precision
        bias = bias if bias is None or leaky_steps.has_kernel(z) else bias.to(dtype)
        padding, groups, delay = recurrence.padding, recurrence.groups, recurrence.delay
    learned = isinstance(gain, Tensor) and gain.requires_grad
    if history is not None:
        assert start is None and recurrence is not None
        history = history.to(dtype)
    elif start is not None:
        start = start.to(dtype)
    elif learned or not leaky_steps.has_kernel(z):
        start = torch.zeros_like(z[:batch])
    assert not (learned and rectified == "drive")
    settings = _Settings(n, batch, padding, groups, delay, rectified, learned, outlets)
    with torch.autocast("cpu" if z.is_meta else z.device.type, enabled=False):
        if z_bias is not None:
            z, z_bias = _GradientOfBias.apply(z, z_bias), z_bias.detach()  # type: ignore
        return _RecurrentScan.apply(z, start, gain, weight, bias, history, z_bias, settings)  # type: ignore


class _GradientOfBias(torch.autograd.Function):
    """The drive as it is; its gradient is summed for a bias that is added to it later."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, bias: Tensor) -> Tensor:  # type: ignore[override]
        ctx.dtype = bias.dtype
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        differentiable = torch.is_grad_enabled()
        at_bias = grad.sum(dim=(0, 2, 3)) if differentiable else leaky_steps.channel_sums(grad)
        return grad, at_bias.to(ctx.dtype)


class _RecurrentScan(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        z: Tensor,
        start: Tensor | None,
        gain: float | Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        history: Tensor | None,
        z_bias: Tensor | None,
        s: _Settings,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        r = leaky_steps.empty_like_rows(z, s.n * s.batch)
        state = _last_step(start, history, s)
        drives = torch.empty_like(r) if s.learned else None
        keeps_active = s.rectified == "drive" and any(ctx.needs_input_grad)
        active = torch.empty_like(r, dtype=torch.bool) if keeps_active else None
        fused = bias if leaky_steps.has_kernel(r) else None  # the kernel adds it on the way
        added = None if fused is bias else bias
        recur = None if weight is None else convolution(weight, added, s.padding, s.groups, r)
        for first, end, source in _stretches(s, r, history, weight is not None):
            h = None if source is None or recur is None else recur(source)
            part = z if z.shape[0] == s.batch else z[s.rows(first, end)]
            out = r[s.rows(first, end)]
            if drives is not None:
                leaky_steps.store_drive(drives[s.rows(first, end)], part, h, fused, z_bias, s.batch)
            above = None if active is None else active[s.rows(first, end)]
            added_to_h = None if h is None else fused
            leaky_steps.forward(part, h, state, out, s.batch, gain, s.rectified, above, added_to_h, z_bias)
            state = r[s.rows(end - 1, end)]
        ctx.settings, ctx.constant = s, z.shape[0] == s.batch and s.n > 1
        ctx.gain = None if isinstance(gain, Tensor) else gain
        ctx.has_bias = bias is not None
        learned = gain if isinstance(gain, Tensor) else None
        pooled, offsets, picked = hand_out(s.outlets, r, any(ctx.needs_input_grad), s.rectified == "state")
        ctx.save_for_backward(r, start, weight, history, drives, active, learned, offsets)
        ctx.set_materialize_grads(False)
        return r, pooled, picked

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:  # type: ignore[override]
        r, start, weight, history, drives, active, learned, offsets = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated, too
            whole = whole_gradient(ctx.settings.outlets, r, offsets, *grads)
            return _differentiable_gradients(ctx, whole)
        gain = ctx.gain if learned is None else learned
        s: _Settings = ctx.settings
        precise = torch.promote_types(r.dtype, torch.float32)
        grad_gain: Tensor | None = None
        grad, others = gradients(s.outlets, r, offsets, *grads)
        grad = grad if grad is None else grad.contiguous(memory_format=memory_layout(r))
        grad_z = torch.empty_like(r)
        grad_history = torch.zeros_like(history) if history is not None and ctx.needs_input_grad[5] else None
        # A kernel sums over steps on its way; elsewhere the sum is one pass of its own, in the order of memory.
        sums = ctx.constant and leaky_steps.has_kernel(r)
        total = torch.empty_like(r[: s.batch], dtype=precise) if sums else None
        carried: Tensor | None = None
        # By step: gradient at r through the recurrence that receives it from that step on.
        later: dict[int, Tensor] = {}
        at_source = None if weight is None else gradient_at_input(weight, s.padding, s.groups, r)
        for first, end, source in reversed(list(_stretches(s, r, history, weight is not None))):
            at = s.rows(first, end)
            above = None if active is None else active[at]
            heard = _gathered(later, first, end, s)
            outside, elsewhere = None if grad is None else grad[at], others and others.of_rows(at)
            at_z = grad_z[at]
            carried = leaky_steps.backward(
                outside, heard, r[at], carried, at_z, total, s.batch, gain, s.rectified, above, elsewhere
            )
            if source is None or at_source is None or (first < s.delay and grad_history is None):
                continue
            grad_source = at_source(at_z, source)
            if first < s.delay:  # of the history, each step of which is received once
                offset = grad_history.shape[0] // s.batch - s.delay  # type: ignore[union-attr]
                grad_history[s.rows(first + offset, end + offset)].copy_(grad_source)  # type: ignore[index]
            else:
                later[first - s.delay] = grad_source
        if grad_history is not None and carried is not None:
            grad_history[-s.batch :].add_(carried)
        if drives is not None:
            before = torch.cat([_last_step(start, history, s), r[: -s.batch]])
            along = grad_z.to(precise) * (drives - before)
            whole = along.sum() if gain.numel() == 1 else along.sum_to_size(gain.shape)
            grad_gain = (whole / gain).to(gain.dtype)
        grad_weight = grad_bias = None
        if weight is not None:
            grad_weight, grad_bias = _recurrent_gradients(ctx, r, history, weight, grad_z, s)
        if total is not None:
            grad_z = total.to(r.dtype)
        elif ctx.constant:
            grad_z = leaky_steps.sum_over_steps(grad_z, s.n)
        return (
            grad_z,
            None if start is None else carried,
            grad_gain,
            grad_weight,
            grad_bias,
            grad_history,
            None,
            None,
        )


def _differentiable_gradients(ctx: Any, grad: Tensor) -> Any:
    """The backward pass in operations of torch, one step at a time, so that autograd can differentiate it.

    It needs no more than the ordinary one kept: u(t) - r(t - 1) = (r(t) - r(t - 1)) / g wherever a(t) is not 0.
    """
    r, start, weight, history, _, active, learned, _ = ctx.saved_tensors
    s: _Settings = ctx.settings
    gain = ctx.gain if learned is None else learned.to(r.dtype)
    remembered = 0 if history is None else history.shape[0] // s.batch
    steps = r.split(s.batch)
    before = (_last_step(start, history, s), *steps[:-1])
    earlier = () if history is None else history.split(s.batch)
    grads = grad.split(s.batch)
    zero = torch.zeros_like(steps[0])
    # By step, those of the history counted from -m: gradient through the recurrence.
    later: dict[int, Tensor] = {}
    at_drive: list[Tensor] = []
    carried, grad_gain, grad_weight, grad_bias = zero, None, None, None
    for t in reversed(range(s.n)):
        at_state = grads[t] + carried + later.pop(t, zero)
        if s.rectified == "state":
            at_state = at_state * (steps[t] > 0)
        carried = (1 - gain) * at_state
        at_z = gain * at_state
        if active is not None:
            at_z = at_z * active[s.rows(t, t + 1)]
        at_drive.insert(0, at_z)
        if s.learned:
            part = (at_state * (steps[t] - before[t]) / gain).sum_to_size(learned.shape)
            grad_gain = part if grad_gain is None else grad_gain + part
        heard = t - s.delay
        if weight is None or heard < -remembered:
            continue
        source = steps[heard] if heard >= 0 else earlier[heard]
        mask = (True, True, False)
        grad_source, at_weight, _ = conv_backward(at_z, source, weight, s.padding, s.groups, mask)
        later[heard] = later.get(heard, zero) + grad_source
        grad_weight = at_weight if grad_weight is None else grad_weight + at_weight
        if ctx.has_bias:
            at_bias = at_z.sum(dim=(0, 2, 3))
            grad_bias = at_bias if grad_bias is None else grad_bias + at_bias
    grad_history = None
    if history is not None:
        parts = [later.get(t, zero) for t in range(-remembered, 0)]
        grad_history = torch.cat([*parts[:-1], parts[-1] + carried])
    if weight is not None and grad_weight is None:
        grad_weight = torch.zeros_like(weight)
        grad_bias = torch.zeros_like(weight[:, 0, 0, 0]) if ctx.has_bias else None
    return (
        sum(at_drive[1:], at_drive[0]) if ctx.constant else torch.cat(at_drive),
        None if start is None else carried,
        None if grad_gain is None else grad_gain.to(learned.dtype),
        grad_weight,
        grad_bias,
        grad_history,
        None,
        None,
    )


def _stretches(
    s: _Settings, r: Tensor, history: Tensor | None, recurrent: bool
) -> list[tuple[int, int, Tensor | None]]:
    """Steps that can be computed together, with the activity that they receive: (first, end, source).

    ``r`` and ``history`` may as well be gradients, whose parts are then written to.
    """
    if not recurrent:
        return [(0, s.n, None)]
    remembered = 0 if history is None else history.shape[0] // s.batch
    found: list[tuple[int, int, Tensor | None]] = []
    silent = min(s.delay - remembered, s.n)
    if silent:
        found.append((0, silent, None))
    end = min(s.delay, s.n)
    if silent < end:
        assert history is not None
        offset = remembered - s.delay
        found.append((silent, end, history[s.rows(silent + offset, end + offset)]))
    for first in range(s.delay, s.n, s.delay):
        end = min(first + s.delay, s.n)
        found.append((first, end, r[s.rows(first - s.delay, end - s.delay)]))
    return found


def _gathered(later: dict[int, Tensor], first: int, end: int, s: _Settings) -> Tensor | None:
    """The gradient that the steps from ``first`` to ``end`` get through the recurrence.

    It may end before they do; zero where else none is.
    """
    found = [(at, part) for at, part in later.items() if at < end and at + part.shape[0] // s.batch > first]
    if not found:
        return None
    (at, part), *others = found
    if not others and at == first:
        return part[: (end - first) * s.batch]
    whole = (
        torch.zeros_like(part[:1])
        .expand((end - first) * s.batch, *part.shape[1:])
        .contiguous(memory_format=memory_layout(part))
    )
    for at, part in found:
        begin, stop = max(at, first), min(at + part.shape[0] // s.batch, end)
        whole[s.rows(begin - first, stop - first)] = part[s.rows(begin - at, stop - at)]
    return whole


def _last_step(start: Tensor | None, history: Tensor | None, s: _Settings) -> Any:
    """r before the first step; None for zeros."""
    return start if history is None else history[-s.batch :]


def _recurrent_gradients(
    ctx: Any, r: Tensor, history: Tensor | None, weight: Tensor, grad_z: Tensor, s: _Settings
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the recurrent weight and bias: one convolution over all steps that receive the stretch itself."""
    parts = []
    if s.n > s.delay:
        parts.append((grad_z[s.rows(s.delay, s.n)], r[s.rows(0, s.n - s.delay)]))
    if history is not None:
        first, end = s.delay - history.shape[0] // s.batch, min(s.delay, s.n)
        if first < end:
            parts.append((grad_z[s.rows(first, end)], history[: (end - first) * s.batch]))
    if not parts:
        return torch.zeros_like(weight), torch.zeros_like(weight[:, 0, 0, 0]) if ctx.has_bias else None
    found = [gradients_of_weights(*part, weight, s.padding, s.groups, ctx.has_bias) for part in parts]
    weights, biases = zip(*found, strict=True)
    return sum(weights[1:], weights[0]), sum(biases[1:], biases[0]) if ctx.has_bias else None
