"""Components that need time: dt, a delay, a memory of their own, the step, or a signal before the first input.

    steps = duration / dt,    rate = dt / tau          durations and tau in ms, as they were given

Inside a model there is one dt, the model's; a :class:`Clocked` component follows it. What the class of an operation in
``layer_operations`` is decides how the engine runs it: a :class:`StatefulOperation` step by step, in the order of time; a
:class:`TimedOperation` knows the step; a :class:`ZeroStart` fills in zeros before the first input. Every other module is
taken to be stateless and runs once over a block of time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.units import TOLERANCE, ms_to_steps

ALONE_DT = 2.0  # ms, of a component that is part of no model and was given no dt


class Clocked(nn.Module):
    """A component that knows dt.

    Args:
        dt: integration step in ms; by default that of the model that the component is part of, and 2 ms outside of one.

    Raises:
        InputError: the component is not possible with this dt.
    """

    def __init__(self, dt: float | None = None) -> None:
        super().__init__()
        self._dt = None if dt is None else float(dt)

    @property
    def dt(self) -> float:
        """Integration step in ms."""
        return ALONE_DT if self._dt is None else self._dt

    @dt.setter
    def dt(self, dt: float) -> None:
        self._dt = float(dt)

    def follow(self, dt: float, name: str) -> None:
        """Take the dt of the model that the component is part of.

        Args:
            dt: the model's integration step in ms.
            name: of the component in the model.

        Raises:
            InputError: the component was given, or has taken, another one; or it is not possible with this one.
        """
        if self._dt is None:
            self.check_dt(dt)
            self._dt = float(dt)
        elif self._dt != dt:
            raise InputError(
                f"{name} ({type(self).__name__}) has dt={self._dt:g} ms and its model has dt={dt:g} ms; leave out the dt "
                "of the component, which then follows the model"
            )

    def check_dt(self, dt: float) -> None:
        """Check that the component is possible with a dt, in ms.

        Raises:
            InputError: it is not.
        """


def check_time_constant(tau: float, dt: float, name: str) -> None:
    """Check a time constant that is integrated with explicit Euler steps.

    Raises:
        InputError: it is shorter than a step.
    """
    if not tau >= dt:
        raise InputError(f"{name}={tau:g} ms must not be smaller than dt={dt:g} ms; raise {name} or lower dt")


class Delayed(Clocked):
    """A connection with a delay: a whole number of steps, or one that is learned.

        h(t) = (1 - f) r(t - k dt) + f r(t - (k + 1) dt),      D = (k + f) dt,  0 <= f < 1

    In training a learned delay D lies between two steps, and what is received is interpolated linearly: a triangular kernel
    over the history, one step wide to either side, whose gradient moves D. In eval mode D is the nearest whole number of
    steps. It never gets below the shortest delay.

    Args:
        delay: in ms; the starting value where it is learned.
        dt: as of :class:`Clocked`.

    Source: Khalfaoui-Hassani, Pellegrini & Masquelier (2023), ICLR, and Hammouamri, Khalfaoui-Hassani & Masquelier (2024),
    ICLR, arXiv 2306.17670: delays as positions of a kernel in time, rounded after training.
    """

    delay_name = "delay"  # the key, for errors
    shortest_delay_is_dt = False

    def __init__(self, delay: float, dt: float | None = None) -> None:
        super().__init__(dt)
        self.delay = float(delay)
        self.learned_delay: nn.Parameter | None = None  # in ms

    def learn_delay(self) -> None:
        """Let the delay be learned, from its value on."""
        self.learned_delay = nn.Parameter(torch.tensor(self.delay))

    def fix_delay(self, delay: float) -> None:
        """Set the delay, in ms; one that was learned is so no more."""
        self.delay, self.learned_delay = float(delay), None

    @property
    def interpolated(self) -> bool:
        """Whether the delay lies between two steps: it is learned, and this is training."""
        return self.learned_delay is not None and self.training

    @property
    def delay_steps(self) -> int:
        """The delay in steps; k where it is interpolated."""
        if self.learned_delay is not None and self.training:
            return math.floor(float(self.learned_delay.detach()) / self.dt + TOLERANCE)
        return self.nearest_steps

    @property
    def nearest_steps(self) -> int:
        """The delay in steps, rounded where it is learned."""
        if self.learned_delay is None:
            return self._steps_of(self.dt)
        steps = math.floor(float(self.learned_delay.detach()) / self.dt + 0.5)
        return max(steps, int(self.shortest_delay_is_dt))

    def fraction(self, steps: int) -> Tensor:
        """f of an interpolated delay whose k is ``steps``, from the parameter without a look at its value."""
        assert self.learned_delay is not None
        return self.learned_delay / self.dt - steps

    @torch.no_grad()
    def keep_in_range(self) -> None:
        """Move a learned delay that is below the shortest one back to it.

        Raises:
            InputError: it is not finite.
        """
        if self.learned_delay is None:
            return
        shortest, learned = self.dt if self.shortest_delay_is_dt else 0.0, float(self.learned_delay)
        if not math.isfinite(learned):
            raise InputError(
                f"{self.delay_name} that is learned has become {learned:g} ms; lower training.learning_rate, or "
                "learned_delay in training.learning_rate_factors"
            )
        if learned < shortest:
            self.learned_delay.fill_(shortest)

    def check_dt(self, dt: float) -> None:
        self._steps_of(dt)

    def _steps_of(self, dt: float) -> int:
        shortest = dt if self.shortest_delay_is_dt else 0.0
        return ms_to_steps(self.delay, dt, self.delay_name, minimum_ms=shortest)


class FeedforwardDelay(Delayed):
    """The learned delay of a layer on the way to the next, the module ``delay_<layer>``."""

    delay_name = "t_feedforward"

    def __init__(self, delay: float, dt: float | None = None) -> None:
        super().__init__(delay, dt)
        self.learn_delay()


class StatefulOperation(nn.Module):
    """An operation that carries a state from step to step. The engine keeps the state."""

    needs_activity = False  # whether step() wants the layer's own activity one step ago
    on_output = False  # whether it acts on what others receive of the layer, and not on what the layer itself remembers

    def start(self) -> Any:
        """The state before the first step of a trial; called once per layer, in the order of the layers."""
        return None

    def step(self, x: Tensor, state: Any, r: Tensor | None) -> tuple[Tensor, Any]:
        """One step.

        Args:
            x: signal at this step, (B, C, H, W).
            state: what the last step returned, or :meth:`start`.
            r: the layer's activity one step ago, None before it has started or where it is not needed.

        Returns:
            The signal and the new state.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, state: Any, r: Tensor | None) -> tuple[Tensor, Any]:
        """:meth:`step`, as hooks receive it."""
        return self.step(x, state, r)

    def run(self, x: Tensor, n: int, state: Any) -> tuple[Tensor, Any]:
        """Several steps, for an operation that does not need the layer's activity.

        Args:
            x: signal at n steps, (n B, C, H, W), time-major.
            n: number of steps.
            state: as for :meth:`step`.

        Returns:
            The signal, (n B, ...), and the state after the last step.
        """
        results = []
        for frame in x.unflatten(
            0, (n, -1)
        ).unbind():  # and no split, whose number of parts torch.export must know
            y, state = self.step(frame, state, None)
            results.append(y)
        return (results[0] if n == 1 else torch.cat(results)), state


class LowPass(StatefulOperation, Clocked):
    """An operation whose state follows a signal with one time constant.

        s(t) = s(t - dt) + (dt / tau) (signal(t) - s(t - dt)),      s(0) = 0

    Args:
        tau: in ms, >= dt.
        dt: as of :class:`Clocked`.

    Raises:
        InputError: tau is shorter than dt.
    """

    tau_name = "tau"  # the key, for errors

    def __init__(self, tau: float, dt: float | None = None) -> None:
        super().__init__(dt)
        self.tau = float(tau)
        if dt is not None:
            self.check_dt(self.dt)

    def check_dt(self, dt: float) -> None:
        check_time_constant(self.tau, dt, self.tau_name)

    @property
    def rate(self) -> float:
        """dt / tau."""
        return self.dt / self.tau

    def followed(self, signal: Tensor, state: Tensor | None) -> Tensor:
        """The state after a step; None before the first."""
        return self.rate * signal if state is None else state + self.rate * (signal - state)


class TimedOperation(nn.Module):
    """A stateless operation that knows which step it is, counted from the start of its layer.

    Steps from the last of ``n_steps`` on are alike, so that the engine can compute them together.
    """

    n_steps: int

    def at(self, x: Tensor, step: int) -> Tensor:
        """The operation at one step.

        Args:
            x: signal, (B, C, H, W), or of several steps that are alike, (n B, C, H, W).
            step: steps since the layer's start, from 0 to ``n_steps - 1``.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, step: int) -> Tensor:
        """:meth:`at`, as hooks receive it."""
        return self.at(x, step)


class ZeroStart(nn.Module):
    """Zeros in place of the signal during the first steps, and wherever there is no signal yet.

    x'(t) = 0 for t < n_steps and x(t) afterwards, t steps since the trial began. Without it a layer is silent until its
    first input arrives, and not even its bias is received.

    Args:
        shape: (C, H, W) of the signal.
        n_steps: steps, from the first of the trial, at which the signal is not received even if it is there.
    """

    def __init__(self, shape: tuple[int, int, int], n_steps: int = 0) -> None:
        super().__init__()
        self.shape, self.n_steps = shape, n_steps

    def zeros(self, batch: int, like: Tensor) -> Tensor:
        """(B, C, H, W) of zeros of the dtype and on the device of ``like``."""
        return like.new_zeros((batch, *self.shape))

    def forward(self, x: Tensor) -> Tensor:
        """The signal as it continues, as hooks receive it."""
        return x

    def extra_repr(self) -> str:
        return f"shape={self.shape}, n_steps={self.n_steps}"
