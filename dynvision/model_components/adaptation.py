"""Adaptation: what a unit has received or done lowers what it does next.

Input adaptation, a gain that falls with the recent input:

    tau_a da/dt = -a + |x|          a(0) = 0, tau_a in ms
    x'(t) = x(t) / (1 + w max(a(t - dt) - o, 0))          w strength, o offset; w = 0 is the identity

Source: ours; contrast gain control with the form of Carandini & Heeger (2012), Nature Reviews Neuroscience 13:51, eq. 10.

Intrinsic suppression, a unit's own recent activity lowers its drive:

    s(t) = a s(t - dt) + (1 - a) r(t - dt),   a = 1 - dt / tau_s          s(0) = 0, tau_s in ms
    z'(t) = z(t) - b max(s(t) - o, 0)                                     b strength, o offset

Source: Vinken, Boix & Kreiman (2020), Science Advances 6:eabd4205, eqs. 1 and 2 (a about .96, b about .7, no offset).

Synaptic depression, resources that are used up and recover in two stages:

    dR/dt = I / tau_rec - u y R,     dE/dt = -E / tau_in + u y R,     I = 1 - R - E          R(0) = 1, E(0) = 0
    r(t) = R(t - dt) y(t)                        what next layers and connections receive

R recovered, E effective, I inactive part of the resources; y >= 0 activity, u what an activity of 1 uses in a ms, tau_rec
and tau_in in ms. For a constant activity R goes to 1 / (1 + u y (tau_rec + tau_in)).

Source: Tsodyks & Markram (1997), PNAS 94:719, eqs. 1 and 2 (tau_in 3 ms, tau_rec 800 ms), with a rate in place of spikes as
Tsodyks, Pawelzik & Markram (1998), Neural Computation 10:821.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynvision.functional.maps import is_transformed
from dynvision.functional.recurrent_scan import recurrent_scan
from dynvision.functional.unit_steps import DepressionStep, above, scan
from dynvision.model_components.timing import Clocked, LowPass, StatefulOperation, check_time_constant


class InputAdaptation(LowPass):
    """Leaky gain control of the input.

    Args:
        weight: w, strength, >= 0.
        tau: tau_a in ms, >= dt.
        dt: as of :class:`Clocked`.
        offset: o, >= 0, in units of the input.

    Raises:
        InputError: tau is shorter than dt.
    """

    tau_name = "tau_input_adaptation"

    def __init__(
        self, weight: float, tau: float = 50.0, dt: float | None = None, offset: float = 0.0
    ) -> None:
        super().__init__(tau, dt)
        self.weight, self.offset = weight, float(offset)

    def step(self, x: Tensor, state: Tensor | None, r: Tensor | None) -> tuple[Tensor, Tensor]:
        new = self.followed(x.abs(), state)
        return (x if state is None else x / (1.0 + self.weight * above(state, self.offset))), new

    def run(self, x: Tensor, n: int, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """As of the base; on a GPU all steps at once, by its kernel for leaky units."""
        if n == 1 or not x.is_cuda or is_transformed():
            return super().run(x, n, state)
        return self.run_at_once(x, n, state)

    def run_at_once(self, x: Tensor, n: int, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """All steps at once: the low-pass is a leaky unit, the rest needs no memory; equal but for rounding."""
        batch = len(x) // n
        a = recurrent_scan(x.abs(), n, batch, state, self.rate, "none")
        first = torch.zeros_like(a[:batch]) if state is None else state
        before = torch.cat([first, a[:-batch]])
        return x / (1.0 + self.weight * above(before, self.offset)), a[-batch:]


class IntrinsicSuppression(LowPass):
    """Activity-silent adaptation within each unit.

    Args:
        strength: b, >= 0.
        tau: tau_s in ms, >= dt.
        dt: as of :class:`Clocked`.
        offset: o, >= 0, in units of activity.

    Raises:
        InputError: tau is shorter than dt.
    """

    needs_activity = True
    tau_name = "tau_intrinsic_suppression"

    def __init__(
        self, strength: float, tau: float = 50.0, dt: float | None = None, offset: float = 0.0
    ) -> None:
        super().__init__(tau, dt)
        self.strength, self.offset = strength, float(offset)

    def step(self, x: Tensor, state: Tensor | None, r: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if r is None:
            return x, state
        state = self.followed(r, state)
        return x - self.strength * above(state, self.offset), state


class SynapticDepression(StatefulOperation, Clocked):
    """Depression of a layer's output, by unit.

    A step is implicit in what is used and inactivated, so that R, E and I stay between 0 and 1 and sum to 1 for every
    activity; first order in dt.

    Args:
        use: u, >= 0, in 1/ms.
        tau_recovery: tau_rec in ms, >= dt.
        tau_inactivation: tau_in in ms, > 0.
        dt: as of :class:`Clocked`.

    Raises:
        InputError: tau_recovery is shorter than dt.
    """

    on_output = True

    def __init__(
        self,
        use: float,
        tau_recovery: float = 800.0,
        tau_inactivation: float = 3.0,
        dt: float | None = None,
    ) -> None:
        super().__init__(dt)
        self.use = float(use)
        self.tau_recovery, self.tau_inactivation = float(tau_recovery), float(tau_inactivation)
        if dt is not None:
            self.check_dt(self.dt)

    def check_dt(self, dt: float) -> None:
        check_time_constant(self.tau_recovery, dt, "tau_recovery")

    def step(self, x: Tensor, state: Tensor | None, r: Tensor | None) -> tuple[Tensor, Tensor]:
        """One step; the state is R and E, (B, 2, C, H, W)."""
        recovered, effective = (torch.ones_like(x), torch.zeros_like(x)) if state is None else state.unbind(1)
        left, effective, y = self.unit_step(recovered, effective, x, ())
        return y, torch.stack((left, effective), dim=1)

    @property
    def unit_step(self) -> DepressionStep:
        """The step as a function of R, E and y."""
        return DepressionStep(
            self.dt / self.tau_recovery, self.dt * self.use, self.dt / self.tau_inactivation
        )

    def run(self, x: Tensor, n: int, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """As of the base; on a GPU all steps at once, by its kernel for steps of units."""
        return (
            self.run_at_once(x, n, state) if x.is_cuda and not is_transformed() else super().run(x, n, state)
        )

    def run_at_once(self, x: Tensor, n: int, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """All steps at once; equal but for rounding."""
        recovered, effective = (None, None) if state is None else state.unbind(1)
        y, recovered, effective = scan(self.unit_step, x, n, len(x) // n, recovered, effective)
        assert recovered is not None and effective is not None
        return y, torch.stack((recovered, effective), dim=1)

    def extra_repr(self) -> str:
        return f"use={self.use:g} per ms, tau={self.tau_recovery:g} and {self.tau_inactivation:g} ms"
