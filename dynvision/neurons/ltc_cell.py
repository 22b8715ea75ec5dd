"""Liquid time-constant cell: units with conductance-based synapses, whose time constants depend on their inputs.

    cm_j dv_j/dt = gleak_j (vleak_j - v_j) + sum_i g_ij(v_i) (E_ij - v_j) + sum_k s_kj(x_k) (E_kj - v_j)
    g_ij(v) = w_ij M_ij sigmoid(sigma_ij (v - mu_ij)),   s_kj alike
    time constant   cm_j / (gleak_j + sum_i g_ij(v_i) + sum_k s_kj(x_k))

v state of the units, x inputs (held during a step), g and s conductances of the synapses from units and from inputs; w >= 0
their maximum, sigma and mu slope and threshold of their opening, E reversal potential, all learned; M mask of the synapses
that exist (the others have no effect and no gradient). Times are in ms: cm in units of conductance times ms. A step of
`elapsed_time` is `ode_unfolds` fused steps (:func:`dynvision.functional.leaky_steps.fused_step`), first order in
elapsed_time / ode_unfolds.

Source: Hasani, Lechner, Amini, Rus & Grosu (2021), AAAI 35:7657; with a wiring: Lechner et al. (2020), Nature Machine
Intelligence 2:642. Ranges of the initial values as in the authors' package ncps 1.0.1. That time zero leaves the state
as it is, and that implicit constraints start from the same values as explicit ones: ours.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.functional.leaky_steps import fused_step
from dynvision.functional.maps import is_transformed
from dynvision.neurons.cell import ElapsedTime, FeatureMap, Module, Parameter, TimedCell, one_each
from dynvision.neurons.wirings import Wiring, built

logger = logging.getLogger(__name__)


@functools.cache
def has_numba() -> bool:
    """Whether numba is installed; if not, it is logged once what that costs."""
    if importlib.util.find_spec("numba") is not None:
        return True
    logger.info("numba is not installed; LTC cells are about 5 times slower without it: pip install numba")
    return False


class Values(NamedTuple):
    """Of each synapse: sigma, -sigma mu, w, w E."""

    slope: Tensor
    offset: Tensor
    strength: Tensor
    pulling: Tensor


class Synapses(Module):
    """All synapses from one group of units to another; their parameters are one number for each, ordered by target.

    Args:
        signs: (from, to), -1 inhibitory, 0 absent, 1 excitatory; E starts there.
        implicit: keep w positive by a softplus; otherwise :meth:`constrain` after every step of an optimizer does.

    Attributes:
        source, target: units from and to which each synapse goes, (synapses,).
    """

    source: Tensor
    target: Tensor

    def __init__(self, signs: Tensor, implicit: bool) -> None:
        super().__init__()
        self.n_from, self.n_to = signs.shape
        self.implicit = implicit
        target, source = signs.T.nonzero().unbind(1)
        self.register_buffer("source", source.contiguous())
        self.register_buffer("target", target.contiguous())
        shape = source.shape
        self.w = Parameter(unpositive(uniform(shape, 0.001, 1.0), implicit))
        self.mu = Parameter(uniform(shape, 0.3, 0.8))
        self.sigma = Parameter(uniform(shape, 3.0, 8.0))
        self.erev = Parameter(signs[source, target])

    @property
    def is_dense(self) -> bool:
        """Whether there is a synapse from each to each."""
        return len(self.source) == self.n_from * self.n_to

    def values(self) -> Values:
        """The values that the parameters stand for, for as many evaluations as they stay the same."""
        strength = positive(self.w, self.implicit)
        return Values(self.sigma, -self.sigma * self.mu, strength, strength * self.erev)

    def forward(self, v: Tensor, values: Values | None = None) -> tuple[Tensor, Tensor]:
        """Conductance and pull on each unit, (B, to), for v (B, from)."""
        slope, offset, strength, pulling = values or self.values()
        if self.is_dense:
            shape = (self.n_to, self.n_from)
            opened = torch.sigmoid(torch.addcmul(offset.view(shape), slope.view(shape), v.unsqueeze(1)))
            return (opened * strength.view(shape)).sum(2), (opened * pulling.view(shape)).sum(2)
        opened = torch.sigmoid(torch.addcmul(offset, slope, v[:, self.source]))
        zeros = v.new_zeros(len(v), self.n_to)
        conductance = zeros.index_add(1, self.target, opened * strength)
        return conductance, zeros.index_add(1, self.target, opened * pulling)

    def by_target(self) -> tuple[Tensor, ...]:
        """First synapse of each unit, and the end, (to + 1,); source and values of each synapse."""
        counts = torch.bincount(self.target, minlength=self.n_to)
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)]), self.source, *self.values()

    def as_matrix(self, name: str) -> Tensor:
        """A parameter as a matrix (from, to), 0 where there is no synapse."""
        values = self.get_parameter(name).detach()
        matrix = values.new_zeros(self.n_from, self.n_to)
        matrix[self.source, self.target] = values
        return matrix

    @torch.no_grad()
    def constrain(self) -> None:
        """Set conductances that became negative to zero, where no softplus keeps them positive."""
        if not self.implicit:
            self.w.clamp_(min=0.0)

    def extra_repr(self) -> str:
        return f"{self.n_from}, {self.n_to}, synapses={len(self.source)}"


def uniform(shape: torch.Size | tuple[int, ...], low: float, high: float) -> Tensor:
    """Independent values, uniform in [low, high)."""
    return torch.empty(shape).uniform_(low, high)


def positive(x: Tensor, implicit: bool) -> Tensor:
    """The positive quantity that the parameter `x` stands for."""
    return nn.functional.softplus(x) if implicit else x


def unpositive(value: Tensor, implicit: bool) -> Tensor:
    """The parameter that stands for the quantity `value` > 0: the inverse of :func:`positive`."""
    return value.expm1().log() if implicit else value


class LTCCell(TimedCell):
    """A liquid time-constant cell.

    Args:
        wiring: which unit receives which, and which of them are the output.
        in_features: inputs, F; None where the wiring is built.
        input_mapping, output_mapping: gain and offset of every input and output: ``affine``, ``linear`` or ``none``.
        ode_unfolds: fused steps in each step.
        epsilon: added to the conductance of each unit, so that none is zero; the smallest capacitance.
        implicit_param_constraints: keep capacitances and conductances positive by a softplus. Otherwise call
            :meth:`apply_weight_constraints` after every step of an optimizer.

    Attributes:
        fused: compute sequences on a CPU by :mod:`dynvision.neurons.fused_ltc`, where numba is installed; False for second
            derivatives.

    Raises:
        InputError: an argument is not possible, or the wiring does not fit.
    """

    def __init__(
        self,
        wiring: Wiring,
        in_features: int | None = None,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        implicit_param_constraints: bool = False,
    ) -> None:
        adjacency, sensory = built(wiring, in_features)
        super().__init__(len(sensory), wiring.units, activation="sigmoid")
        if ode_unfolds < 1 or epsilon < 0:
            raise InputError(f"ode_unfolds={ode_unfolds}, epsilon={epsilon:g}: at least 1, and not negative")
        self.wiring, self.ode_unfolds, self.epsilon = wiring, ode_unfolds, epsilon
        self.fused = True
        self.implicit_param_constraints = implicit_param_constraints
        self.gleak = Parameter(self._get_init_value(0.001, 1.0))
        self.cm = Parameter(self._get_init_value(0.4, 0.6))
        self.vleak = Parameter(uniform((self.state_size,), -0.2, 0.2))
        self.recurrent = Synapses(adjacency, implicit_param_constraints)
        self.sensory = Synapses(sensory, implicit_param_constraints)
        self.input_map = FeatureMap(input_mapping, self.input_size, "input_mapping")
        self.output_map = FeatureMap(output_mapping, self.output_size, "output_mapping")

    def _get_init_value(self, low: float, high: float) -> Tensor:
        return unpositive(uniform((self.state_size,), low, high), self.implicit_param_constraints)

    @property
    def output_size(self) -> int:
        return self.wiring.output_dim

    def forward(  # type: ignore[override]
        self,
        inputs: Tensor,
        states: Tensor | None = None,
        elapsed_time: ElapsedTime = 1.0,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step, as of :meth:`TimedCell.forward`; the output is a map of the first units."""
        return super().forward(inputs, states, elapsed_time, training)

    def advance(
        self, inputs: Tensor, state: Tensor, elapsed: ElapsedTime, training: bool | None
    ) -> tuple[Tensor, Tensor]:
        state = self._ode_solver(self.input_map(inputs), state, elapsed)
        return self.output_map(state[:, : self.output_size]), state

    def steps(
        self,
        inputs: Tensor,
        state: Tensor | None = None,
        times: Sequence[ElapsedTime] | None = None,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """All steps of a sequence, as of :meth:`ModuleCell.steps`; fused where that is possible."""
        own = self.start(inputs[:, 0], state)
        if not self._is_fusible(inputs, own):
            return super().steps(inputs, own, times, training)
        from dynvision.neurons.fused_ltc import LiquidSteps, SynapseSums

        mapped = self.input_map(inputs).transpose(0, 1)  # (T, B, F)
        conductance, pull = SynapseSums.apply(mapped.flatten(0, 1), *self.sensory.by_target())
        gleak = positive(self.gleak, self.implicit_param_constraints)
        shape = (*mapped.shape[:2], self.state_size)
        states = LiquidSteps.apply(
            own,
            _durations(times, inputs) / self.ode_unfolds,
            conductance.view(shape) + (gleak + self.epsilon),
            pull.view(shape) + gleak * self.vleak,
            1 / positive(self.cm, self.implicit_param_constraints),
            self.ode_unfolds,
            *self.recurrent.by_target(),
        ).transpose(0, 1)
        return self.output_map(states[..., : self.output_size]), states[:, -1]

    def _is_fusible(self, inputs: Tensor, state: Tensor) -> bool:
        """Whether a sequence can be computed by compiled code, which gives the same to rounding."""
        return (
            self.fused
            and {inputs.device.type, state.device.type} == {"cpu"}
            and inputs.dtype in (torch.float32, torch.float64)
            and inputs.dtype == state.dtype == self.gleak.dtype
            and not (is_transformed() or torch.is_autocast_enabled("cpu"))
            # a subclass, or hooks, expect a call for every step
            and (type(self).forward, type(self).advance) == (LTCCell.forward, LTCCell.advance)
            and not (self._forward_hooks or self._forward_pre_hooks)
            and has_numba()
        )

    def _ode_solver(self, inputs: Tensor, state: Tensor, elapsed_time: ElapsedTime) -> Tensor:
        a = elapsed_time / (self.ode_unfolds * positive(self.cm, self.implicit_param_constraints))
        held, held_pull = self._held(inputs)
        recurrent = self.recurrent.values()
        for _ in range(self.ode_unfolds):
            conductance, pull = self.recurrent(state, recurrent)
            state = fused_step(state, pull + held_pull, conductance + held, a)
        return state

    def _held(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Conductance and pull of leak and inputs, which stay the same during a step, (B, N)."""
        gleak = positive(self.gleak, self.implicit_param_constraints)
        conductance, pull = self.sensory(inputs)
        return conductance + gleak + self.epsilon, pull + gleak * self.vleak

    def _driven(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Conductance and pull of everything, (B, N)."""
        held, recurrent = self._held(self.input_map(inputs)), self.recurrent(state)
        return held[0] + recurrent[0], held[1] + recurrent[1]

    def rate(self, inputs: Tensor, states: Tensor) -> Tensor:
        """dv/dt per ms, (B, N), for inputs (B, F) and states (B, N): the equation that steps integrate."""
        conductance, pull = self._driven(inputs, states)
        return (pull - conductance * states) / positive(self.cm, self.implicit_param_constraints)

    def time_constant(self, inputs: Tensor, states: Tensor) -> Tensor:
        """Time constant of each unit in ms, (B, N), for inputs (B, F) and states (B, N)."""
        conductance, _ = self._driven(inputs, states)
        return positive(self.cm, self.implicit_param_constraints) / conductance

    @torch.no_grad()
    def apply_weight_constraints(self) -> None:
        """Bring back into their range the capacitances and conductances that an optimizer took out of it."""
        self.sensory.constrain()
        self.recurrent.constrain()
        if not self.implicit_param_constraints:
            self.gleak.clamp_(min=0.0)
            self.cm.clamp_(min=self.epsilon)

    def extra_repr(self) -> str:
        return f"{self.wiring!r}, ode_unfolds={self.ode_unfolds}"


def _durations(times: Sequence[ElapsedTime] | None, inputs: Tensor) -> Tensor:
    """Elapsed time of every step, (T, B), of a sequence (B, T, F)."""
    n_batch, n_steps, _ = inputs.shape
    each = [1.0] * n_steps if times is None else [one_each(time, inputs[:, 0]) for time in times]
    rows = [torch.as_tensor(time).to(inputs).reshape(-1).expand(n_batch) for time in each]
    return torch.stack(rows)
