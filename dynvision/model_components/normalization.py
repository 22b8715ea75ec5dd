"""Normalisation of a layer: divisive and delayed, as in cortex, and of each step over the batch.

Delayed divisive normalisation of a layer's output:

    y(t)   the layer's leaky, rectified state: what its leak and its own recurrence receive
    p(t)   tau_n dp/dt = -p + pool(y),  p(0) = 0         p(t) = p(t - dt) + (dt / tau_n) (pool(y(t)) - p(t - dt))
    r(t) = g y(t)^n / (sigma^n + p(t)^n)                 what next layers, connections and recordings receive

tau_n in ms; sigma > 0 in units of activity; pool(y): the unit itself, or the mean over a neighbourhood of its channel or
of all channels. The gain g is sigma^n unless it is given: a silent pool then changes nothing, and a network starts to learn
as one without normalisation. The pool lags behind the activity: a response overshoots before it settles.

ORGaNICs, a recurrent circuit of principal cells and normalising cells that settles in it:

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

Source: Heeger (1992), Vis Neurosci 9:181; Groen et al. (2022), J Neurosci 42:7562, eqs. 1 to 3, and Zhou et al. (2019),
PLoS Comput Biol 15:e1007484, with one exponential low-pass.
ORGaNICs: Heeger & Mackey (2019), PNAS 116:22783; Rawat, Heeger & Martiniani (2024), NeurIPS, arXiv 2409.18946, with the
identity as recurrent weights and input gains of 1. That z is the drive that a layer's convolutions give it: ours.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.functional.leaky_steps import fused_step
from dynvision.functional.maps import is_transformed
from dynvision.functional.recurrent_scan import recurrent_scan
from dynvision.model_components.solvers import ImplicitStep, Solver
from dynvision.model_components.timing import LowPass, StatefulOperation, TimedOperation, check_time_constant


class SemiSaturated(nn.Module):
    """The base of modules with a semi-saturation sigma, given or learned."""

    fixed_sigma: float
    log_sigma: nn.Parameter | None

    def _set_sigma(self, sigma: float, learned: Collection[str], n_channels: int) -> None:
        self.fixed_sigma = float(sigma)
        self.log_sigma = learned_logarithm("sigma", learned, float(sigma), n_channels)

    @property
    def sigma(self) -> float | Tensor:
        """Semi-saturation, > 0: a number, (), or (C, 1, 1)."""
        return self.fixed_sigma if self.log_sigma is None else self.log_sigma.exp()


class DivisiveNormalization(LowPass, SemiSaturated):
    """Delayed divisive normalisation.

    Args:
        tau: tau_n in ms, >= dt.
        dt: as of :class:`Clocked`.
        sigma: semi-saturation, > 0, in units of activity.
        n: exponent, >= 1.
        gain: g; 0 is sigma^n.
        pool: ``unit``, ``channel`` or ``layer``.
        size: side of the neighbourhood in px, odd; 0 is the whole map.
        learned: which of ``sigma`` and ``gain`` are learned, one number each; with ``.channel`` after, one a channel.
        n_channels: channels of the layer.

    Raises:
        InputError: tau is shorter than dt.
    """

    on_output = True
    tau_name = "tau_divisive_normalization"

    def __init__(
        self,
        tau: float = 100.0,
        dt: float | None = None,
        sigma: float = 1.0,
        n: float = 1.0,
        gain: float = 0.0,
        pool: str = "unit",
        size: int = 0,
        learned: Collection[str] = (),
        n_channels: int = 1,
    ) -> None:
        super().__init__(tau, dt)
        self.n, self.pool, self.size = float(n), pool, size
        self.fixed_gain = float(gain)
        self._set_sigma(sigma, learned, n_channels)
        # Relative to sigma^n, so that a learned gain and a learned sigma do not pull at each other.
        self.log_gain = learned_logarithm(
            "gain", learned, float(gain) / float(sigma) ** float(n) or 1.0, n_channels
        )

    @property
    def gain(self) -> float | Tensor:
        """g, >= 0: a number, (), or (C, 1, 1)."""
        if self.log_gain is not None:
            return self.log_gain.exp() * self.sigma**self.n
        return self.fixed_gain or self.sigma**self.n

    def step(self, x: Tensor, state: Tensor | None, r: Tensor | None) -> tuple[Tensor, Tensor]:
        y = x.clamp_min(0.0)
        p = self.followed(self._pooled(y), state)
        return self._normalized(y, p), p

    def run(self, x: Tensor, n: int, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """All steps at once: the low-pass is a leaky unit, the rest needs no memory."""
        if n == 1 or is_transformed():
            return super().run(x, n, state)
        y = x.clamp_min(0.0)
        pooled = self._pooled(y)
        batch = len(x) // n
        p = recurrent_scan(pooled, n, batch, state, self.rate, "none")
        return self._normalized(y, p), p[-batch:]

    def _normalized(self, y: Tensor, p: Tensor) -> Tensor:
        if self.n == 1.0:
            return self.gain * y / (self.sigma + p)
        return self.gain * y**self.n / (self.sigma**self.n + p.clamp_min(0.0) ** self.n)

    def _pooled(self, y: Tensor) -> Tensor:
        if self.pool == "unit":
            return y
        if self.pool == "layer":
            y = y.mean(dim=1, keepdim=True)
        if not self.size:
            return y.mean(dim=(2, 3), keepdim=True)
        if self.size == 1:
            return y
        return F.avg_pool2d(y, self.size, 1, self.size // 2, count_include_pad=False)

    def extra_repr(self) -> str:
        return f"n={self.n:g}, pool={self.pool}, size={self.size} px"


def learned_logarithm(
    name: str, learned: Collection[str], start: float, n_channels: int
) -> nn.Parameter | None:
    """The logarithm of what is learned, of one number or one for each channel; None where it is fixed."""
    if f"{name}.channel" in learned:
        return nn.Parameter(torch.full((n_channels, 1, 1), math.log(start)))
    return nn.Parameter(torch.tensor(math.log(start))) if name in learned else None


class BatchNormPerStep(TimedOperation):
    """Batch normalisation with statistics and parameters of its own at each step; steps beyond the last one share it.

        y(t) = (x(t) - mean_t) / sqrt(var_t + eps) * weight_t + bias_t          t steps since the layer's start

    Source: Spoerer et al. (2020), PLoS Comput Biol 16:e1008215; after Liao & Poggio (2016), arXiv 1604.03640.

    Args:
        n_channels: C.
        n_steps: normalisations, >= 1.
    """

    def __init__(self, n_channels: int, n_steps: int) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.norms = nn.ModuleList(nn.BatchNorm2d(n_channels) for _ in range(n_steps))

    def at(self, x: Tensor, step: int) -> Tensor:
        return self.norms[min(step, self.n_steps - 1)](x)  # type: ignore[no-any-return]


class OrganicsStep(StatefulOperation, ImplicitStep, SemiSaturated):  # type: ignore[misc]  # called with its state
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
        self._set_sigma(sigma, learned, n_channels)
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
