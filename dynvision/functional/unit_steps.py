"""Steps of units that are more than leaky, elementwise: those of a stretch of time as one operation.

A unit is given by one function, the step of its states a and b under a drive x with learned numbers p,

    a(t), b(t), y(t) = step(a(t - dt), b(t - dt), x(t), p)

that of a layer with its activity r as a and as y, and its suppression s as b, h = r(t - dt):

    s(t) = s(t - dt) + q (h - s(t - dt)),    u = x - w max(s(t) - o, 0)       where it is suppressed, else u = x
    v = f(u)                                                                 f: rectified, then k sign(v) |v|^n, or neither
    r(t) = f'(h + g (v - h))                                                 f': as f
    r(t) = f'((h + g (v + c E)) / (1 + g (1 + c))),   c = w' sigmoid(s' (v - m))      where it is liquid

A unit of synaptic depression has its recovered resources as a and its effective ones as b:

    a(t) = (a + q (1 - a - b)) / (1 + u),    b(t) = (b + u a(t)) / (1 + q'),    y(t) = a(t - dt) max(x, 0)

with a and b on the right one step ago, u = w max(x, 0) what is used, and q and q' the parts that recover and that become
inactive in a step.

On a GPU each direction is one kernel, whose states are in registers in single precision (in double precision for tensors
in it). The backward kernel computes the states of its steps again, so that between both nothing is kept but the drive
and the states at the start. Elsewhere, and where a gradient is to be differentiated, it is the loop over the function.
Source: ours; of the equations, :mod:`dynvision.model_components`.

Axes: n steps, B batch; time is folded into the batch, time-major: (n B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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

    shows_first: ClassVar[bool] = True  # whether y is a
    rest: ClassVar[float] = 0.0  # a where the unit starts

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


@dataclass(frozen=True)
class DepressionStep:
    """The step of synaptic depression.

    Attributes:
        recovery: q, dt / tau_recovery.
        use: w, what an activity of 1 uses in a step.
        inactivation: q', dt / tau_inactivation.
    """

    recovery: float
    use: float
    inactivation: float

    shows_first: ClassVar[bool] = False
    rest: ClassVar[float] = 1.0
    has_second: ClassVar[bool] = True

    def __call__(self, a: Tensor, b: Tensor, x: Tensor, p: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """One step: a, b and y, each (B, C, H, W)."""
        y = x.clamp_min(0.0)
        recovering = self.recovery * (1.0 - a - b)
        used = self.use * y
        left = (a + recovering) / (1.0 + used)
        return left, (b + used * left) / (1.0 + self.inactivation), a * y

    @property
    def numbers(self) -> tuple[float, ...]:
        """As the kernels take them."""
        return (self.recovery, self.use, self.inactivation)


Step = UnitStep | DepressionStep


def above(state: Tensor, offset: float) -> Tensor:
    """What a state exceeds an offset by; the state itself for an offset of 0."""
    return (state - offset).clamp_min(0.0) if offset else state


def has_kernel(z: Tensor) -> bool:
    """Whether steps run as one kernel in each direction."""
    return HAS_TRITON and z.is_cuda


def scan(
    step: Step,
    z: Tensor,
    n: int,
    batch: int,
    a: Tensor | None,
    b: Tensor | None = None,
    learned: Sequence[Tensor] = (),
) -> tuple[Tensor, Tensor | None, Tensor | None]:
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
        y at every step, (n B, C, H, W); a after the last step, None where it is y; and b after it, None for units without
        it. y has the type of the drive, or the one that it has in common with an `a` that is y; states that are not y are
        at least in single precision.
    """
    dtype = torch.promote_types(z.dtype, a.dtype) if step.shows_first and a is not None else z.dtype
    precise = torch.promote_types(dtype, torch.float32)
    z, kept = z.to(dtype), dtype if step.shows_first else precise
    a = torch.full_like(z[:batch], step.rest, dtype=kept) if a is None else a.to(kept)
    if step.has_second:
        b = torch.zeros_like(a, dtype=precise) if b is None else b.to(precise)
    with torch.autocast(z.device.type, enabled=False):
        if not has_kernel(z):
            return _loop(step, z, n, batch, a, b, learned)
        channels = z.shape[1]
        numbers = [number.to(precise).expand(channels, 1, 1).reshape(channels) for number in learned]
        return _Scan.apply(step, z, n, batch, a, b, torch.stack(numbers) if numbers else None)  # type: ignore


def _loop(
    step: Step, z: Tensor, n: int, batch: int, a: Tensor, b: Tensor | None, p: Sequence[Tensor]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    results = []
    for x in [z] * n if len(z) == batch else z.split(batch):
        a, b, y = step(a, b, x, p)  # type: ignore[arg-type]
        results.append(y.to(z.dtype))
    return torch.cat(results), None if step.shows_first else a, b


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        step: Step,
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
        return y, None if step.shows_first else states[-1][0], states[-1][1]

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None, *grad_ends: Tensor | None) -> Any:  # type: ignore[override]
        z, p, *states = ctx.saved_tensors
        starts = list(zip(states[::2], states[1::2], strict=True))
        if torch.is_grad_enabled():  # the gradient is to be differentiated, too
            found = _differentiable_gradients(ctx, z, p, starts[0], (grad_y, *grad_ends))
        else:
            from dynvision.functional import unit_steps_triton

            if grad_y is None:
                grad_y = torch.zeros_like(z[:1]).expand(ctx.n * ctx.batch, *z.shape[1:])
            learns = ctx.needs_input_grad[6]
            found = unit_steps_triton.backward(
                ctx.step, z, ctx.n, ctx.batch, starts, p, grad_y, grad_ends, learns
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
