"""Steps of units that are more than leaky, elementwise: those of a stretch of time as one operation.

A unit is given by one function, the step of its states a and b under a drive x with learned numbers p,

    a(t), b(t), y(t) = step(a(t - dt), b(t - dt), x(t), p)

that of a layer with its activity r as a and as y, and its suppression s as b, h = r(t - dt):

    s(t) = s(t - dt) + q (h - s(t - dt)),    u = x - w max(s(t) - o, 0)       where it is suppressed, else u = x
    v = f(u)                                                                 f: rectified, then k sign(v) |v|^n, or neither
    r(t) = f'(h + g (v - h))                                                 f': as f
    r(t) = f'((h + g (v + c E)) / (1 + g (1 + c))),   c = w' sigmoid(s' (v - m))      where it is liquid

On a GPU each direction is one kernel, whose states are in registers in single precision (in double precision for tensors
in it). The backward kernel computes the states of its steps again, so that between both nothing is kept but the drive
and the states at the start. Elsewhere, and where a gradient is to be differentiated, it is the loop over the function.
Source: ours; of the equations, :mod:`dynvision.model_components`.

Axes: n steps, B batch; time is folded into the batch, time-major: (n B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dynvision.functional.leaky_steps import HAS_TRITON, conductance, fused_step
from dynvision.functional.maps import supralinear

States = tuple[Tensor, Tensor | None]  # a and b, each (B, C, H, W)


@dataclass(frozen=True)
class Nonlinearity:
    """f: max(., 0) if rectified, then k sign(.) |.|^n, where n and k are given."""

    rectified: bool = False
    power: tuple[float, float] | None = None  # n and k

    def __call__(self, v: Tensor) -> Tensor:
        v = v.relu() if self.rectified else v
        return v if self.power is None else supralinear(v, *self.power)

    @property
    def numbers(self) -> tuple[float, ...]:
        """As the kernels take it: whether it rectifies, n and k."""
        return (self.rectified, *(self.power or (0.0, 0.0)))


@dataclass(frozen=True)
class UnitStep:
    """The step of a layer's units.

    Attributes:
        suppression: q, w and o, the rate, strength and offset of the suppression; None without.
        before: f, of the drive.
        after: f', of the new state.
        gain: g, dt / tau of a liquid unit; None where it is learned, the last of the learned numbers.
        liquid: whether the unit is one; its first learned numbers are then w', s', m and E.
    """

    suppression: tuple[float, float, float] | None = None
    before: Nonlinearity = Nonlinearity()
    after: Nonlinearity = Nonlinearity()
    gain: float | None = None
    liquid: bool = False

    def __call__(self, a: Tensor, b: Tensor | None, x: Tensor, p: Sequence[Tensor]) -> Any:
        """One step: a, b and y, each (B, C, H, W)."""
        if self.suppression is not None:
            assert b is not None
            rate, strength, offset = self.suppression
            b = b + rate * (a - b)
            x = x - strength * above(b, offset)
        gain = p[-1] if self.gain is None else self.gain
        v = self.before(x)
        if self.liquid:
            opened = conductance(v, *p[:3])
            a = fused_step(a, v + opened * p[3], 1.0 + opened, gain)
        else:
            a = a + gain * (v - a)
        a = self.after(a)
        return a, b, a

    @property
    def has_second(self) -> bool:
        """Whether there is a state b."""
        return self.suppression is not None

    @property
    def numbers(self) -> tuple[float, ...]:
        """As the kernels take them."""
        suppression = self.suppression or (0.0, 0.0, 0.0)
        return (*suppression, *self.before.numbers, *self.after.numbers, self.gain or 0.0, self.liquid)


def above(state: Tensor, offset: float) -> Tensor:
    """What a state exceeds an offset by; the state itself for an offset of 0."""
    return (state - offset).clamp_min(0.0) if offset else state


def has_kernel(z: Tensor) -> bool:
    """Whether steps run as one kernel in each direction."""
    return HAS_TRITON and z.is_cuda


def scan(
    step: UnitStep,
    z: Tensor,
    n: int,
    batch: int,
    a: Tensor | None,
    b: Tensor | None = None,
    learned: Sequence[Tensor] = (),
) -> tuple[Tensor, Tensor | None]:
    """Run units over ``n`` steps.

    Args:
        step: of the units.
        z: drive, (n B, C, H, W); or (B, C, H, W), the same at every step.
        n: number of steps, >= 1.
        batch: number of images, B.
        a: before the first step, (B, C, H, W); None for units that start.
        b: as `a`, of units that have it.
        learned: the learned numbers, each () or (C, 1, 1).

    Returns:
        y at every step, (n B, C, H, W), in the type that drive and `a` have together, and b after the last step,
        (B, C, H, W), at least in single precision; None for units without it.
    """
    dtype = z.dtype if a is None else torch.promote_types(z.dtype, a.dtype)
    precise = torch.promote_types(dtype, torch.float32)
    z = z.to(dtype)
    a = torch.zeros_like(z[:batch]) if a is None else a.to(dtype)
    if step.has_second:
        b = torch.zeros_like(a, dtype=precise) if b is None else b.to(precise)
    with torch.autocast(z.device.type, enabled=False):
        if not has_kernel(z):
            return _loop(step, z, n, batch, a, b, learned)
        channels = z.shape[1]
        numbers = [number.to(precise).expand(channels, 1, 1).reshape(channels) for number in learned]
        return _Scan.apply(step, z, n, batch, a, b, torch.stack(numbers) if numbers else None)  # type: ignore


def _loop(
    step: UnitStep, z: Tensor, n: int, batch: int, a: Tensor, b: Tensor | None, p: Sequence[Tensor]
) -> tuple[Tensor, Tensor | None]:
    results = []
    for x in [z] * n if len(z) == batch else z.split(batch):
        a, b, y = step(a, b, x, p)
        results.append(y.to(z.dtype))
    return torch.cat(results), b


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        step: UnitStep,
        z: Tensor,
        n: int,
        batch: int,
        a: Tensor,
        b: Tensor | None,
        p: Tensor | None,
    ) -> Any:
        from dynvision.functional import unit_steps_triton

        y, states = unit_steps_triton.forward(step, z, n, batch, (a, b), p)
        ctx.save_for_backward(z, p, a, b, *(state for pair in states[:-1] for state in pair))
        ctx.step, ctx.n, ctx.batch = step, n, batch
        ctx.set_materialize_grads(False)
        return y, states[-1][1]

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None, grad_b: Tensor | None) -> Any:  # type: ignore[override]
        z, p, *states = ctx.saved_tensors
        starts = list(zip(states[::2], states[1::2], strict=True))
        if torch.is_grad_enabled():  # the gradient is to be differentiated, too
            found = _differentiable_gradients(ctx, z, p, starts[0], (grad_y, grad_b))
        else:
            from dynvision.functional import unit_steps_triton

            if grad_y is None:
                grad_y = torch.zeros_like(z[:1]).expand(ctx.n * ctx.batch, *z.shape[1:])
            learns = ctx.needs_input_grad[6]
            found = unit_steps_triton.backward(
                ctx.step, z, ctx.n, ctx.batch, starts, p, grad_y, grad_b, learns
            )
        grad_z, grad_a, grad_b, grad_p = found
        return None, grad_z, None, None, grad_a, grad_b, grad_p


def _differentiable_gradients(
    ctx: Any, z: Tensor, p: Tensor | None, start: States, grads: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """The backward pass through the loop, so that autograd can differentiate it."""
    numbers = () if p is None else p[:, :, None, None].unbind()
    inputs = (z, *start, p)
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    with torch.autocast(z.device.type, enabled=False):
        outputs = _loop(ctx.step, z, ctx.n, ctx.batch, *start, numbers)
        pairs = [
            (y, grad) for y, grad in zip(outputs, grads, strict=True) if y is not None and grad is not None
        ]
        found = torch.autograd.grad(
            [y for y, _ in pairs], wanted, [grad for _, grad in pairs], create_graph=True, allow_unused=True
        )
    by_input = iter(found)
    return tuple(next(by_input) if x is not None and x.requires_grad else None for x in inputs)
