"""Steps of leaky units, elementwise: the sequential heart of :mod:`dynvision.functional.recurrent_scan`.

On a GPU each direction is one kernel for all steps; elsewhere three passes a step.
"""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor

HAS_TRITON = importlib.util.find_spec("triton") is not None


def forward(
    z: Tensor, h: Tensor | None, start: Tensor, r: Tensor, batch: int, gain: float, rectify: bool
) -> None:
    """``r(t) = Phi((1 - g) r(t - 1) + g (z(t) + h(t)))`` into ``r``.

    Args:
        z: drive, (n B, ...), or (B, ...) for the same at every step.
        h: recurrent signal, (n B, ...), or None.
        start: r before the first step, (B, ...).
        r: receives the result, (n B, ...).
        batch: B.
        gain: g.
        rectify: whether Phi is max(., 0), else the identity.
    """
    if HAS_TRITON and r.is_cuda and r.dtype != torch.float64:
        from dynvision.functional import leaky_steps_triton

        leaky_steps_triton.forward(z, h, start, r, batch, gain, rectify)
        return
    steps = r.split(batch)
    drives = [z] * len(steps) if z.shape[0] == batch else z.split(batch)
    lateral = [None] * len(steps) if h is None else h.split(batch)
    state = start
    for out, drive, signal in zip(steps, drives, lateral, strict=True):
        if signal is not None:
            drive = torch.add(drive, signal, out=signal)
        torch.lerp(state, drive, gain, out=out)
        if rectify:
            out.relu_()
        state = out


def backward(
    grad_r: Tensor,
    r: Tensor,
    carried: Tensor | None,
    grad_z: Tensor,
    batch: int,
    gain: float,
    rectify: bool,
) -> Tensor:
    """Backward of :func:`forward`.

    Args:
        grad_r: gradient at r from everything but the next step, (n B, ...).
        r: the result of :func:`forward`, (n B, ...).
        carried: gradient at the last step from the step after it, (B, ...), or None; overwritten.
        grad_z: receives the gradient at the drive, (n B, ...).
        batch, gain, rectify: as in :func:`forward`.

    Returns:
        The gradient at the state before the first step, (B, ...).
    """
    if HAS_TRITON and r.is_cuda and r.dtype != torch.float64:
        from dynvision.functional import leaky_steps_triton

        return leaky_steps_triton.backward(grad_r, r, carried, grad_z, batch, gain, rectify)
    steps = list(zip(grad_r.split(batch), r.split(batch), grad_z.split(batch), strict=True))
    for grad, state, out in reversed(steps):
        at_y = grad if carried is None else carried.add_(grad)
        if rectify:
            at_y = torch.ops.aten.threshold_backward(at_y, state, 0.0)
        torch.mul(at_y, gain, out=out)
        carried = at_y - out  # (1 - g) a(t)
    assert carried is not None
    return carried
