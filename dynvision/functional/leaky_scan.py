"""A leaky rectified unit over several steps, as one operation.

    y(t) = (1 - g) r(t - dt) + g z(t),   r(t) = max(y(t), 0)     g the gain of the step (dt / tau for Euler)

Backward in time, with G(t) the gradient that reaches r(t):

    dL/dy(t) = G(t) [r(t) > 0],   dL/dz(t) = g dL/dy(t),   G(t - dt) += (1 - g) dL/dy(t)

Only ``r`` is kept for the backward pass (and ``z`` where ``g`` is learned). Source: ours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _LeakyScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, gain, n_steps, rectify):  # type: ignore[override]
        batch = start.shape[0]
        constant = drive.shape[0] == batch
        g = gain.item() if isinstance(gain, Tensor) else gain
        shape = (n_steps * batch, *drive.shape[1:])
        r = torch.empty(shape, dtype=drive.dtype, device=drive.device, memory_format=_format_of(drive))
        state = start
        for k in range(n_steps):
            z = drive if constant else drive[k * batch : (k + 1) * batch]
            out = r[k * batch : (k + 1) * batch]
            torch.lerp(state, z, g, out=out)
            if rectify:
                out.relu_()
            state = out
        learned = isinstance(gain, Tensor) and gain.requires_grad
        ctx.save_for_backward(r, *((drive, start) if learned else ()))
        ctx.settings = (batch, n_steps, constant, g, rectify, learned)
        return r

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # type: ignore[override]
        r, *kept = ctx.saved_tensors
        batch, n_steps, constant, g, rectify, learned = ctx.settings
        grad = grad.contiguous(memory_format=_format_of(r))
        grad_drive = torch.zeros_like(r[:batch]) if constant else torch.empty_like(r)
        grad_gain = None
        carried: Tensor | None = None
        for k in reversed(range(n_steps)):
            at = slice(k * batch, (k + 1) * batch)
            grad_y = grad[at] if carried is None else carried.add_(grad[at])
            if rectify:
                grad_y = torch.ops.aten.threshold_backward(grad_y, r[at], 0.0)
            if learned:
                drive, start = kept
                before = start if k == 0 else r[(k - 1) * batch : k * batch]
                z = drive if constant else drive[at]
                term = (grad_y * (z - before)).sum()
                grad_gain = term if grad_gain is None else grad_gain + term
            if constant:
                grad_drive.add_(grad_y, alpha=g)
            else:
                torch.mul(grad_y, g, out=grad_drive[at])
            carried = grad_y * (1.0 - g)
        return grad_drive, carried, grad_gain, None, None


def leaky_scan(drive: Tensor, start: Tensor, gain: float | Tensor, n_steps: int, rectify: bool = True) -> Tensor:
    """Integrate leaky units over ``n_steps``.

    Args:
        drive: z, time folded into the batch, (n_steps * B, C, H, W); or (B, C, H, W), the same drive at every step.
        start: r before the first step, (B, C, H, W).
        gain: g, between 0 and 1; a scalar tensor where it is learned.
        n_steps: number of steps, >= 1.
        rectify: apply the rectification; without it r = y.

    Returns:
        r at every step, (n_steps * B, C, H, W).
    """
    dtype = torch.promote_types(drive.dtype, start.dtype)
    return _LeakyScan.apply(drive.to(dtype), start.to(dtype), gain, n_steps, rectify)  # type: ignore[no-any-return]


def _format_of(x: Tensor) -> torch.memory_format:
    channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format
