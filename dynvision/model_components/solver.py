"""Solvers of the leaky unit: one base, one class for each scheme.

    tau dr/dt = -r + z      =>      r(t) = h + g (z~ - h),   h = r(t - dt)

Every scheme here is a step of gain g towards an effective drive z~, a weighted mean of the drives at t, t - dt, ...:

| scheme             | g                                  | z~                                     | order |
|--------------------|------------------------------------|----------------------------------------|-------|
| Euler              | a = dt / tau                       | z(t)                                   | 1     |
| exponential Euler  | 1 - exp(-a), exact for constant z  | z(t)                                   | 1     |
| Runge-Kutta        | a - a^2/2 + a^3/6 - a^4/24         | z at t, t - dt/2 (cubic), t - dt       | 4     |

Liquid units (:mod:`dynvision.model_components.liquid`) have a gain that depends on the drive, and a step of their own.

The Runge-Kutta weights follow from inserting the rate into the classical scheme.
Source: Dayan & Abbott (2001), Theoretical Neuroscience, eq. 7.7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.model_components.clocked import Clocked


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
