"""ORGaNICs: a recurrent circuit of principal cells and normalising cells that settles in divisive normalisation.

    tau dy/dt   = -y + z + (1 - sqrt(a)) y = z - sqrt(a) y          principal cells
    tau_n da/dt = -a + sigma^2 + W (y^2 a)                          normalising cells, a(0) = sigma^2

    y = z / sqrt(sigma^2 + W z^2),   a = sigma^2 + W z^2            where both rest, for a constant z

y activity, z drive, a activity of the normalising cells, W >= 0 weights from all channels of a location to each, sigma
semi-saturation in units of the drive, tau and tau_n time constants in ms. A unit moves with the time constant
tau / sqrt(a): the stronger the context, the faster. Every such resting state is stable.

A step is implicit in what decays and explicit in the rest,

    y(t) = (h + b z) / (1 + b sqrt(a)),                             b = dt / tau,  h = y(t - dt),  a = a(t - dt)
    a(t) = (a + c (sigma^2 + W (y(t)^2 a))) / (1 + c),              c = dt / tau_n

so a never gets below sigma^2, and y(t), a weighted mean of h and z / sqrt(a), never above max |z| / sigma, for every input
and every dt; a stays below sigma^2 + |W| (max |z| (1 + tau / (sigma dt)))^2, |W| the largest sum of weights to a channel.

Source: Heeger & Mackey (2019), PNAS 116:22783; Rawat, Heeger & Martiniani (2024), NeurIPS, arXiv 2409.18946, with the
identity as recurrent weights and input gains of 1. That z is the drive that a layer's convolutions give it: ours.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.functional.liquid import fused_step
from dynvision.model_components.normalization import learned_logarithm
from dynvision.model_components.solvers import ImplicitStep, Solver
from dynvision.model_components.timing import StatefulOperation, check_time_constant


class OrganicsStep(StatefulOperation, ImplicitStep):  # type: ignore[misc]  # called with its state
    """The step of an ORGaNICs layer; the state is a, (B, C, H, W).

    Args:
        dt, tau, train_tau: as of :class:`Solver`; tau is the time constant of y where a is 1.
        n_channels: channels of the layer, C.
        tau_n: time constant of the normalising cells in ms, >= dt.
        sigma: semi-saturation, > 0.
        learned: whether ``sigma`` is learned, one number; ``sigma.channel`` one for each channel. W is always learned.

    Raises:
        InputError: a time constant is not possible.
    """

    needs_activity = True

    def __init__(
        self,
        dt: float | None = None,
        tau: float = 5.0,
        train_tau: bool | str = False,
        n_channels: int = 1,
        tau_n: float = 100.0,
        sigma: float = 1.0,
        learned: Collection[str] = (),
    ) -> None:
        self.tau_n = float(tau_n)
        super().__init__(dt, tau, train_tau, n_channels)
        self.fixed_sigma = float(sigma)
        self.log_sigma = learned_logarithm("sigma", learned, float(sigma), n_channels)
        self.log_weights = nn.Parameter(torch.full((n_channels, n_channels), -math.log(n_channels)))

    @classmethod
    def of_layer(
        cls,
        dt: float,
        numbers: Mapping[str, Any],
        train_tau: bool | str,
        n_channels: int,
        train: Collection[str] = (),
    ) -> OrganicsStep:
        tau_n, sigma = numbers["tau_divisive_normalization"], numbers["sigma"]
        return cls(dt, numbers["tau"], train_tau, n_channels, tau_n, sigma, train)

    def check_dt(self, dt: float) -> None:
        super().check_dt(dt)
        check_time_constant(self.tau_n, dt, "tau_divisive_normalization")

    @property
    def sigma(self) -> float | Tensor:
        """Semi-saturation, > 0: a number, (), or (C, 1, 1)."""
        return self.fixed_sigma if self.log_sigma is None else self.log_sigma.exp()

    @property
    def weights(self) -> Tensor:
        """W, (C, C), from the channels of the second axis to those of the first."""
        return self.log_weights.exp()

    def pooled(self, x: Tensor) -> Tensor:
        """W x at each location, (B, C, H, W)."""
        return F.conv2d(x, self.weights[:, :, None, None])

    def rates(self, y: Tensor, a: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The rates of change of y and a per ms, which the step integrates."""
        return (z - a.sqrt() * y) / self.tau, (-a + self.sigma**2 + self.pooled(y.square() * a)) / self.tau_n

    def resting(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """y and a where both rest, for a constant drive."""
        a = self.sigma**2 + self.pooled(z.square())
        return z / a.sqrt(), a

    def step(self, x: Tensor, state: Tensor | None, r: Tensor | None) -> tuple[Tensor, Tensor]:
        a = self.sigma**2 + torch.zeros_like(x) if state is None else state
        b, c = self.dt / self.tau, self.dt / self.tau_n
        y = fused_step(r, x, a.sqrt(), b)
        return y, (a + c * (self.sigma**2 + self.pooled(y.square() * a))) / (1.0 + c)

    def extra_repr(self) -> str:
        return f"{Solver.extra_repr(self)}, tau_n={self.tau_n:g} ms"
