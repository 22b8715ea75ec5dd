"""Adaptive exponential units as rates: they rise fast, then adapt.

    C dV/dt = -gL (V - EL) + gL D exp((V - VT) / D) + J,    V -> Vr at Vs;     J = I - w                     (1)
    tau_w dw/dt = a (V - EL) - w,                           w -> w + b at each spike                         (2)

is the spiking neuron. Spikes are replaced by their rate at the present adaptation, and V and spikes in (2) by their means:

    tau dr/dt = F(J) - r,           tau_w dw/dt = a (Vm(J) - EL) - w + b tau_w r
    F(J) = 1 / T(J),                T(J) = integral from Vr to Vs of C dV / (C dV/dt of (1)),        J > J0, else F = 0
    Vm(J) = mean of V over an interval between spikes, J > J0;   the stable fixed point of (1) otherwise
    J0 = gL (VT - EL - D), the rheobase;     I = J0 (W x + U tau r + c)

r rate in spikes per ms (the output is in spikes per s), I current in pA, w adaptation in pA, V in mV, C in pF, gL and a in
nS, times in ms; tau = C / gL, x inputs (held during a step), W, U, c learned. Right where adaptation is slow beside the
interval between spikes. The integrals are sums over nodes of Gauss and Legendre in u, with V = VT + s sinh u and
s^2 = 2 D (J - J0) / gL, the width of the bottleneck near VT, in which the neuron spends its time near rheobase.

Source: (1), (2) and the values of the constants are Brette & Gerstner (2005), J Neurophysiol 94:3637, eqs. 1 to 3;
adaptation by its mean after Benda & Herz (2003), Neural Computation 15:2523, and Augustin, Ladenbauer, Baumann & Obermayer
(2017), PLoS Comput Biol 13:e1005545; that the rate follows with the membrane time constant: ours, the simplest that those
compare.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.neurons.cell import ElapsedTime, Linear, TimedCell
from dynvision.neurons.neuron import check_positive

NODES = 64
NEWTON_STEPS = 8
MS_PER_S = 1000.0


@dataclass(frozen=True)
class AdExConstants:
    """Constants of a unit; the defaults are those of Brette & Gerstner (2005), with spikes cut at 0 mV.

    Attributes:
        C, gL: capacitance in pF and leak in nS.
        EL, VT, Vr, Vs: resting, threshold, reset and cut-off potential in mV.
        D: slope factor in mV.
        a, b, tau_w: adaptation by potential in nS and by spike in pA, and its time constant in ms.

    Raises:
        InputError: a constant is not possible.
    """

    C: float = 281.0
    gL: float = 30.0  # noqa: N815  # the symbol of the equations
    EL: float = -70.6
    VT: float = -50.4
    Vr: float = -70.6
    Vs: float = 0.0
    D: float = 2.0
    a: float = 4.0
    b: float = 80.5
    tau_w: float = 144.0

    def __post_init__(self) -> None:
        check_positive(C=self.C, gL=self.gL, D=self.D, tau_w=self.tau_w)
        for field in fields(self):
            if not math.isfinite(getattr(self, field.name)):
                raise InputError(f"{field.name}={getattr(self, field.name)} must be a number")
        if not (self.Vr < self.VT < self.Vs and self.EL + self.D < self.VT):
            raise InputError(
                f"Vr={self.Vr:g}, VT={self.VT:g}, Vs={self.Vs:g}, EL={self.EL:g} mV: VT must be above Vr and EL + D, "
                "and below Vs"
            )
        if self.a < 0 or self.b < 0:
            raise InputError(f"a={self.a:g} nS and b={self.b:g} pA must not be negative")

    @property
    def rheobase(self) -> float:
        """Current above which the unit fires without end, in pA."""
        return self.gL * (self.VT - self.EL - self.D)

    @property
    def tau(self) -> float:
        """Membrane time constant in ms."""
        return self.C / self.gL


def rate_and_potential(
    current: Tensor, constants: AdExConstants, quadrature: Quadrature | None = None
) -> tuple[Tensor, Tensor]:
    """F in spikes per ms and Vm in mV, of the shape of `current` J in pA; differentiable but at the rheobase itself.

    `quadrature` is :func:`quadrature_for` the current, for those who call this several times.
    """
    c = constants
    fires = current > c.rheobase
    above = torch.where(fires, current, c.rheobase + 1.0)
    nodes, weights = quadrature_for(current) if quadrature is None else quadrature
    # Nodes stay where they are for a gradient: the integral does not depend on them.
    width = (2.0 * c.D * (above.detach() - c.rheobase) / c.gL).sqrt().clamp(min=1e-6).unsqueeze(-1)
    low, high = torch.asinh((c.Vr - c.VT) / width), torch.asinh((c.Vs - c.VT) / width)
    u = 0.5 * (high + low) + 0.5 * (high - low) * nodes
    v = c.VT + width * torch.sinh(u)
    speed = _current(v, above.unsqueeze(-1), c)
    time = 0.5 * (high - low) * weights * width * torch.cosh(u) * c.C / speed
    interval = time.sum(-1)
    mean = (time * v).sum(-1) / interval
    rate = torch.where(fires, 1.0 / interval, torch.zeros_like(interval))
    return rate, torch.where(fires, mean, _fixed_point(torch.where(fires, c.rheobase, current), c))


def _current(v: Tensor, current: Tensor, c: AdExConstants) -> Tensor:
    """C dV/dt in pA, at potentials v in mV."""
    return c.gL * (c.EL - v + c.D * torch.exp((v - c.VT) / c.D)) + current


Quadrature = tuple[Tensor, Tensor]  # nodes and weights on [-1, 1]


def quadrature_for(like: Tensor) -> Quadrature:
    """Nodes and weights of Gauss and Legendre, of the type of a tensor and beside it; a GPU waits for the copy."""
    nodes, weights = _nodes()
    return torch.as_tensor(nodes).to(like), torch.as_tensor(weights).to(like)


@functools.cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(NODES)


def _fixed_point(current: Tensor, c: AdExConstants) -> Tensor:
    """The stable fixed point in mV, for currents up to the rheobase.

    With y = (V - VT) / D it is exp(y) - y - 1 = k, k = (J0 - J) / (gL D), y <= 0, by Newton's method from
    y = -(2 k)^(1/2), the solution for small k; for large k a step goes to about -(1 + k).
    """
    with torch.no_grad():
        k = ((c.rheobase - current) / (c.gL * c.D)).clamp(min=0.0)
        y = -(2.0 * k).sqrt()
        for _ in range(NEWTON_STEPS):
            y = (y - (torch.exp(y) - y - 1.0 - k) / (torch.exp(y) - 1.0).clamp(max=-1e-9)).clamp(max=0.0)
        slope = c.gL * (torch.exp(y) - 1.0).clamp(max=-1e-9)
    return c.VT + c.D * y - (current - current.detach()) / slope  # with dV/dJ of the fixed point


class AdExCell(TimedCell):
    """Adaptive exponential rate units with dense recurrence.

    Args:
        input_size: inputs, F.
        hidden_size: units, N.
        constants: of the units; None for those of Brette & Gerstner (2005).
        ode_unfolds: exponential Euler steps in each step.

    Raises:
        InputError: an argument is not possible.
    """

    def __init__(
        self, input_size: int, hidden_size: int, constants: AdExConstants | None = None, ode_unfolds: int = 6
    ) -> None:
        super().__init__(input_size, hidden_size, activation="identity")
        if ode_unfolds < 1:
            raise InputError(f"ode_unfolds={ode_unfolds} must be at least 1")
        self.constants, self.ode_unfolds = constants or AdExConstants(), ode_unfolds
        self.input_weight = Linear(input_size, hidden_size)
        self.recurrent_weight = Linear(hidden_size, hidden_size, bias=False)

    @property
    def state_size(self) -> int:
        """Rate in spikes per ms and adaptation in pA of each unit, side by side."""
        return 2 * self.hidden_size

    def advance(
        self, inputs: Tensor, state: Tensor, elapsed: ElapsedTime, training: bool | None
    ) -> tuple[Tensor, Tensor]:
        c = self.constants
        r, w = state.chunk(2, dim=1)
        step = torch.as_tensor(elapsed).to(inputs) / self.ode_unfolds
        gain, gain_w = -torch.expm1(-step / c.tau), -torch.expm1(-step / c.tau_w)
        received, quadrature = self.input_weight(inputs), quadrature_for(r)
        for _ in range(self.ode_unfolds):
            current = c.rheobase * (received + self.recurrent_weight(c.tau * r)) - w
            rate, potential = rate_and_potential(current, c, quadrature)
            w = w + gain_w * (c.a * (potential - c.EL) + c.b * c.tau_w * r - w)
            r = r + gain * (rate - r)
        return MS_PER_S * r, torch.cat([r, w], dim=1)

    @torch.no_grad()
    def rate_of_current(self, current: Tensor, adapted: bool = False) -> Tensor:
        """Stationary rates in spikes per s for currents I in pA, of its shape: without adaptation, or when it has ended."""
        c = self.constants
        quadrature = quadrature_for(current)
        rate, _ = rate_and_potential(current, c, quadrature)
        if not adapted:
            return MS_PER_S * rate
        low = (c.a * current / c.gL).clamp(max=0.0)
        high = c.b * c.tau_w * rate + c.a * (c.VT - c.EL)
        for _ in range(60):  # halve the interval of w in which w is what its equation asks for
            w = 0.5 * (low + high)
            rate, potential = rate_and_potential(current - w, c, quadrature)
            more = c.a * (potential - c.EL) + c.b * c.tau_w * rate > w
            low, high = torch.where(more, w, low), torch.where(more, high, w)
        return MS_PER_S * rate
