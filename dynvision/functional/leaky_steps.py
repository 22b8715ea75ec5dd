"""Steps of leaky units, elementwise: the sequential heart of :mod:`dynvision.functional.recurrent_scan`.

On a GPU each direction is one kernel for all steps; elsewhere three passes a step. Beside them the sums over images and
space that the gradient of a bias needs, s(c) = sum over b, h, w of x(b, c, h, w).

The fused step of a liquid unit is implicit in the unit, explicit in what drives it:

    C dv/dt = pull - G v      =>      v(t) = (v(t - dt) + a pull) / (1 + a G),      a = dt / C

v state, C capacitance (a time constant where G is relative to the leak, then in ms), G >= 0 the sum of the conductances of
the unit, pull the sum of conductances times their reversal potentials. The unit goes to pull / G with the time constant
C / G: what opens conductances makes it faster. Stable for every dt; v(t) lies between v(t - dt) and pull / G.

Source: Hasani, Lechner, Amini, Rus & Grosu (2021), AAAI 35:7657, eqs. 1 to 3 (the liquid time-constant network, its time
constant and its fused solver).
"""

from __future__ import annotations

import importlib.util
from typing import Literal

import torch
from torch import Tensor

from dynvision.functional.outlets import Gradients

Rectified = Literal["none", "drive", "state"]
HAS_TRITON = importlib.util.find_spec("triton") is not None


def has_kernel(r: Tensor) -> bool:
    """Whether these steps run as one kernel, which also adds the bias of the recurrence."""
    return HAS_TRITON and r.is_cuda and r.dtype != torch.float64


def memory_layout(x: Tensor) -> torch.memory_format:
    """The layout that a tensor has: channels-last for maps that are so, else contiguous."""
    channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


def forward(
    z: Tensor,
    h: Tensor | None,
    start: Tensor | None,
    r: Tensor,
    batch: int,
    gain: float | Tensor,
    rectified: Rectified,
    active: Tensor | None = None,
    bias: Tensor | None = None,
    z_bias: Tensor | None = None,
) -> None:
    """``r(t)`` of all steps into ``r``: u = z + h, then (1 - g) r(t - 1) + g u, rectified where ``rectified`` states.

    Args:
        z: drive, (n B, ...), or (B, ...) for the same at every step.
        h: recurrent signal, (n B, ...), or None; overwritten.
        start: r before the first step, (B, ...); None for zeros, where there is a kernel (:func:`has_kernel`).
        r: receives the result, (n B, ...).
        batch: B.
        gain: g; a tensor has one number, or one for each channel, (C, 1, 1).
        rectified: what is max(., 0): nothing, the drive u, or the new state.
        active: receives where the drive is above 0, (n B, ...) of bool, if it is rectified and a gradient is wanted.
        bias, z_bias: of the recurrent signal and of the drive, (C,), where the kernel adds it (:func:`has_kernel`).
    """
    if has_kernel(r):
        from dynvision.functional import leaky_steps_triton

        leaky_steps_triton.forward(z, h, start, r, batch, gain, rectified, active, bias, z_bias)
        return
    assert bias is None and z_bias is None and start is not None
    if isinstance(gain, Tensor):
        gain = gain.to(r.dtype)
    steps = r.split(batch)
    drives = [z] * len(steps) if z.shape[0] == batch else z.split(batch)
    lateral = [None] * len(steps) if h is None else h.split(batch)
    where = [None] * len(steps) if active is None else active.split(batch)
    state = start
    for out, drive, signal, above in zip(steps, drives, lateral, where, strict=True):
        if signal is not None:
            drive = torch.add(drive, signal, out=signal)
        if rectified == "drive":
            if above is not None:
                torch.gt(drive, 0, out=above)
            drive = drive.relu() if signal is None else drive.relu_()
        torch.lerp(state, drive, gain, out=out)
        if rectified == "state":
            out.relu_()
        state = out


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
    active: Tensor | None = None,
    others: Gradients | None = None,
) -> Tensor:
    """Backward of :func:`forward`.

    Args:
        grad_r: gradient at r from outside, (n B, ...); None where all of it is in `others`.
        heard: gradient at r through the recurrence, (m B, ...) of the first m <= n steps, or None.
        r: the result of :func:`forward`, (n B, ...).
        carried: gradient at the last step from the step after it, (B, ...), or None; overwritten.
        grad_z: receives the gradient at the drive, (n B, ...).
        total: receives the sum of that over steps, (B, ...), by the kernel, which adds to it if there is a `carried`; None
            elsewhere.
        batch, gain, rectified, active: as in :func:`forward`.
        others: gradients at maps made of r, which the kernel gathers from; None elsewhere.

    Returns:
        The gradient at the state before the first step, (B, ...).
    """
    if has_kernel(r):
        from dynvision.functional import leaky_steps_triton

        return leaky_steps_triton.backward(
            grad_r, heard, r, carried, grad_z, total, batch, gain, rectified, active, others
        )
    assert total is None and others is None and grad_r is not None
    if isinstance(gain, Tensor):
        gain = gain.to(r.dtype)
    where = [None] * (len(r) // batch) if active is None else active.split(batch)
    lateral: list[Tensor | None] = [] if heard is None else list(heard.split(batch))
    lateral += [None] * (len(where) - len(lateral))
    steps = list(zip(grad_r.split(batch), lateral, r.split(batch), grad_z.split(batch), where, strict=True))
    for grad, signal, state, out, above in reversed(steps):
        if signal is not None:
            grad = grad + signal
        at_y = grad if carried is None else carried.add_(grad)
        if rectified == "state":
            at_y = torch.ops.aten.threshold_backward(at_y, state, 0.0)
        torch.mul(at_y, gain, out=out)
        carried = at_y - out  # (1 - g) a(t)
        if above is not None:
            out.mul_(above)
    assert carried is not None
    return carried


def channel_sums(x: Tensor) -> Tensor:
    """Return the sum of each channel, (B, C, H, W) to (C,); by a kernel, in single precision."""
    if has_kernel(x) and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        from dynvision.functional.leaky_steps_triton import channel_sums as kernel

        return kernel(x)
    return x.sum(dim=(0, 2, 3))


def store_drive(
    out: Tensor, z: Tensor, h: Tensor | None, bias: Tensor | None, z_bias: Tensor | None, batch: int
) -> None:
    """Store u, the drive with all that is added to it; arguments as of :func:`forward`."""
    steps = out.unflatten(0, (-1, batch))
    steps.copy_(z.unflatten(0, (-1, batch)))
    if z_bias is not None:
        out.add_(z_bias[:, None, None])
    if h is not None:
        out.add_(h)
        if bias is not None:
            out.add_(bias[:, None, None])


def sum_over_steps(x: Tensor, n: int) -> Tensor:
    """Sum over steps, (n B, C, H, W) to (B, C, H, W), walking through memory in its order."""
    if memory_layout(x) == torch.channels_last:
        rows = x.permute(0, 2, 3, 1)
        return rows.reshape(n, -1).sum(dim=0).view(-1, *rows.shape[1:]).permute(0, 3, 1, 2)
    return x.reshape(n, -1).sum(dim=0).view(-1, *x.shape[1:])


def empty_like_rows(z: Tensor, rows: int) -> Tensor:
    """An empty tensor of so many rows, otherwise as ``z``, in its memory layout."""
    shape = (rows, *z.shape[1:])
    return torch.empty(shape, dtype=z.dtype, device=z.device, memory_format=memory_layout(z))


def conductance(z: Tensor, strength: Tensor, slope: Tensor, threshold: Tensor) -> Tensor:
    """Return g of a liquid unit, relative to its leak: ``strength sigmoid(slope (z - threshold))``, of the shape of z."""
    return strength * torch.sigmoid(slope * (z - threshold))


def fused_step(v: Tensor | None, pull: Tensor, conductance: Tensor, a: float | Tensor) -> Tensor:
    """One fused step.

    Args:
        v: state one step ago; None for zero.
        pull: conductances times reversal potentials, summed, of the shape of `v`.
        conductance: conductances, summed, >= 0, of the shape of `v`.
        a: dt / C, a scalar or broadcastable to `v`; 0 leaves `v` as it is.

    Returns:
        The state dt later, of the shape of `v`.
    """
    pulled = a * pull
    return (pulled if v is None else v + pulled) / (1.0 + a * conductance)
