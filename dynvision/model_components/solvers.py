"""Solvers of the leaky unit: one base, one class for each scheme, each with a name for ``dynamics_solver``.

    tau dr/dt = -r + z      =>      r(t) = h + g (z~ - h),   h = r(t - dt),   a = dt / tau

A scheme is a step of gain g towards an effective drive z~, a weighted mean of the drives at t, t - dt, ...:

| name                | g                                  | z~                                     | order |
|---------------------|------------------------------------|----------------------------------------|-------|
| `euler`             | a                                  | z(t)                                   | 1     |
| `exponential_euler` | 1 - exp(-a), exact for constant z  | z(t)                                   | 1     |
| `rk4`               | a - a^2/2 + a^3/6 - a^4/24         | z at t, t - dt/2 (cubic), t - dt       | 4     |

`liquid` units have a gain that depends on the drive, and a step of their own; `organics` units
(:mod:`dynvision.model_components.normalization`) are normalised by others, and have a further state.
Source: Dayan & Abbott (2001), Theoretical Neuroscience, eq. 7.7; the sources of the schemes are with them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.config.model import SOLVERS
from dynvision.errors import InputError
from dynvision.functional.leaky_steps import conductance, fused_step
from dynvision.model_components.timing import Clocked


class Solver(Clocked):
    """A scheme for the leaky unit.

    Args:
        dt: as of :class:`Clocked`.
        tau: time constant in ms, > 0; the starting value where it is learned.
        train_tau: learn one positive time constant; ``"channel"`` learns one for each channel.
        n_channels: channels of the layer, for a scheme that learns something for each.

    Raises:
        InputError: the time constant is not possible with this scheme.
    """

    history = 0  # drives before z(t) that the scheme uses
    tau_floor_in_dt = 0.0  # a learned time constant stays above this many dt

    def __init__(
        self,
        dt: float | None = None,
        tau: float = 5.0,
        train_tau: bool | str = False,
        n_channels: int = 1,
    ) -> None:
        super().__init__(dt)
        if not tau > 0:
            raise InputError(f"tau={tau:g} ms must be a positive number of ms")
        self.tau_init, self.train_tau = float(tau), bool(train_tau)
        if dt is not None:
            self.check_dt(self.dt)
        self.log_tau: nn.Parameter | None = None
        if train_tau:
            shape = (n_channels, 1, 1) if train_tau == "channel" else ()
            # Until dt is known, above a floor of 0.
            floor = 0.0 if dt is None else self._tau_floor
            self.log_tau = nn.Parameter(torch.full(shape, math.log(tau - floor)))

    @classmethod
    def of_layer(
        cls,
        dt: float,
        numbers: Mapping[str, Any],
        train_tau: bool | str,
        n_channels: int,
        train: Collection[str] = (),
    ) -> Solver:
        """Return the solver of a layer.

        Args:
            dt: in ms.
            numbers: those of the layer by key, e.g. ``tau``; a scheme takes those that it has.
            train_tau: as of the class.
            n_channels: channels of the layer.
            train: names of the numbers that are learned.
        """
        return cls(dt, numbers["tau"], train_tau, n_channels)

    def check_dt(self, dt: float) -> None:
        if self.train_tau and self.tau_init <= self.tau_floor_in_dt * dt:
            raise InputError(
                f"train_tau needs tau={self.tau_init:g} ms to start above {self.tau_floor_in_dt * dt:g} ms; raise tau"
            )

    @torch.no_grad()
    def follow(self, dt: float, name: str) -> None:
        knew = self._dt is not None
        super().follow(dt, name)
        if self.log_tau is None or knew or not self._tau_floor or self.log_tau.is_meta:
            return
        if (self.log_tau == self.log_tau.new_tensor(math.log(self.tau_init))).all():  # not learned yet
            self.start_at(self.tau_init)
            return
        tau = self.log_tau.exp()
        if not (tau > self._tau_floor).all():
            raise InputError(
                f"{name}: a learned tau is not above {self._tau_floor:g} ms; lower dt or raise tau"
            )
        self.log_tau.copy_((tau - self._tau_floor).log())

    @property
    def _tau_floor(self) -> float:
        return 0.0 if self._dt is None else self.tau_floor_in_dt * self._dt

    @property
    def tau(self) -> float | Tensor:
        """Time constant in ms; a tensor, () or (C, 1, 1), where it is learned, always positive."""
        return self.tau_init if self.log_tau is None else self._tau_floor + self.log_tau.exp()

    @torch.no_grad()
    def start_at(self, tau: float) -> None:
        """Set a learned time constant, in ms.

        Raises:
            InputError: it is not possible with this scheme.
        """
        assert self.log_tau is not None
        if tau <= self._tau_floor:
            raise InputError(
                f"tau={tau:g} ms is not above {self._tau_floor:g} ms; lower dt or change dynamics_solver"
            )
        self.log_tau.fill_(math.log(tau - self._tau_floor))

    def gain(self) -> float | Tensor:
        """g, the part of the way to the effective drive that one step goes; a scalar tensor if tau is learned."""
        raise NotImplementedError

    def learned_numbers(self) -> tuple[Tensor, ...]:
        """What a step learns beside the time constant, each (C, 1, 1)."""
        return ()

    def effective_drive(self, drives: Sequence[Tensor]) -> Tensor:
        """z~, (B, C, H, W), from the drives at t, t - dt, ...; at least one, at most ``history + 1``."""
        return drives[0]

    def forward(self, drives: Sequence[Tensor], h: Tensor | None) -> Tensor:
        """One step.

        Args:
            drives: z at t, t - dt, ..., newest first, each (B, C, H, W).
            h: activity one step ago, (B, C, H, W); None before the layer has started, which is zero activity.

        Returns:
            The new state y, (B, C, H, W).
        """
        z, g = self.effective_drive(drives), self.gain()
        return z * g if h is None else h + g * (z - h)

    def extra_repr(self) -> str:
        return f"dt={self.dt:g} ms, tau={float(torch.as_tensor(self.tau).mean()):g} ms, train_tau={self.train_tau}"


class EulerStep(Solver):
    """Explicit Euler, ``r(t) = h + (dt / tau) (z(t) - h)``. dt must not exceed tau, or a unit would overshoot its drive."""

    tau_floor_in_dt = 1.0

    def check_dt(self, dt: float) -> None:
        if dt > self.tau_init:
            raise InputError(
                f"dt={dt:g} ms is larger than tau={self.tau_init:g} ms, which the Euler solver cannot integrate; "
                f"lower dt, raise tau, or set dynamics_solver: exponential_euler"
            )
        super().check_dt(dt)

    def gain(self) -> float | Tensor:
        return self.dt / self.tau


class ExponentialEulerStep(Solver):
    """Exponential Euler, ``r(t) = h + (1 - exp(-dt / tau)) (z(t) - h)``. Stable for every dt and tau.

    Source: Hochbruck & Ostermann (2010), Acta Numerica 19:209, eq. 2.3.
    """

    def gain(self) -> float | Tensor:
        tau = self.tau
        return -(-self.dt / tau).expm1() if isinstance(tau, Tensor) else -math.expm1(-self.dt / tau)


# Weights of the drives at t, t - dt, t - 2 dt, ... in the Lagrange interpolant at t - dt/2, by number of known drives.
# With four of them the interpolation error is of fourth order in dt, so that RK4 keeps its order.
MIDPOINT_WEIGHTS: tuple[tuple[float, ...], ...] = (
    (1.0,),
    (1 / 2, 1 / 2),
    (3 / 8, 6 / 8, -1 / 8),
    (5 / 16, 15 / 16, -5 / 16, 1 / 16),
)


class RungeKuttaStep(Solver):
    """The classical Runge-Kutta scheme of fourth order, with the drive evaluated inside the step.

    With the drive z at the start (0), the middle (m) and the end (1) of the step,

        g z~ = z_0 (a/6 - a^2/6 + a^3/12 - a^4/24) + z_m (2a/3 - a^2/3 + a^3/12) + z_1 a/6

    which follows from inserting the rate of a leaky unit into the scheme. The middle drive comes from the drives at t,
    t - dt, t - 2 dt and t - 3 dt by cubic interpolation; right after a start the fewer that exist are used.
    Source: Hairer, Norsett & Wanner (1993), ch. II.1.
    """

    history = 3

    def gain(self) -> float | Tensor:
        a = self.dt / self.tau
        return a - a**2 / 2 + a**3 / 6 - a**4 / 24

    def effective_drive(self, drives: Sequence[Tensor]) -> Tensor:
        a, g = self.dt / self.tau, self.gain()
        start = (a / 6 - a**2 / 6 + a**3 / 12 - a**4 / 24) / g
        middle = (2 * a / 3 - a**2 / 3 + a**3 / 12) / g
        end = a / 6 / g
        interpolation = MIDPOINT_WEIGHTS[len(drives) - 1]
        weights = [middle * w for w in interpolation]
        weights[0] = weights[0] + end
        weights[min(1, len(drives) - 1)] = weights[min(1, len(drives) - 1)] + start
        total = weights[0] * drives[0]
        for weight, drive in zip(weights[1:], drives[1:], strict=True):
            total = total + weight * drive
        return total


class ImplicitStep(Solver):
    """A scheme that is implicit in the leak, ``r(t) = (h + a z) / (1 + a)`` where nothing else acts on the unit."""

    def gain(self) -> float | Tensor:
        return self.dt / (self.tau + self.dt)


class LiquidStep(ImplicitStep):
    """Liquid units: leaky units whose time constant depends on what they are driven by.

        tau dr/dt = -r + z + g(z) (E - r),     g(z) = w sigmoid(s (z - m))

        r(t) = (h + a (z + g E)) / (1 + a (1 + g))

    z drive, g >= 0 conductance relative to the leak, E its reversal potential, w, s, m strength, slope and threshold; E, w,
    s and m are learned, one of each per channel. The unit moves with the time constant tau / (1 + g): the stronger the
    conductance, the faster. The step is implicit in r and explicit in z, so it is stable for every dt; r(t) is a weighted
    mean of h, z and E, and so stays between the smallest and the largest of them. Without conductance it is the implicit
    Euler step of the leaky unit, r(t) = (h + a z) / (1 + a).

    Args:
        dt, tau, train_tau: as of :class:`Solver`; tau is the time constant without conductance.
        n_channels: channels of the layer.

    Source: Hasani, Lechner, Amini, Rus & Grosu (2021), AAAI 35:7657, eqs. 1 to 3: the liquid time-constant network and its
    fused step, here with one step a dt. That a unit's presynaptic input is the drive that its convolutions give it: ours.
    """

    def __init__(
        self,
        dt: float | None = None,
        tau: float = 5.0,
        train_tau: bool | str = False,
        n_channels: int = 1,
    ) -> None:
        super().__init__(dt, tau, train_tau, n_channels)
        shape = (n_channels, 1, 1)
        self.log_strength = nn.Parameter(torch.full(shape, math.log(0.5)))
        self.slope = nn.Parameter(torch.ones(shape))
        self.threshold = nn.Parameter(torch.zeros(shape))
        self.reversal = nn.Parameter(torch.ones(shape))

    def conductance(self, z: Tensor) -> Tensor:
        """g(z), (B, C, H, W), relative to the leak."""
        return conductance(z, self.log_strength.exp(), self.slope, self.threshold)

    def learned_numbers(self) -> tuple[Tensor, ...]:
        """w, s, m and E, each (C, 1, 1)."""
        return self.log_strength.exp(), self.slope, self.threshold, self.reversal

    def forward(self, drives: Sequence[Tensor], h: Tensor | None) -> Tensor:
        """One step; arguments and result as of :meth:`Solver.forward`."""
        z = drives[0]
        g = self.conductance(z)
        return fused_step(h, z + g * self.reversal, 1.0 + g, self.dt / self.tau)


def find_solver(name: str) -> type[Solver]:
    """A solver class by name.

    Raises:
        InputError: the name is not known.
    """
    solver: type[Solver] = SOLVERS[name]
    return solver
