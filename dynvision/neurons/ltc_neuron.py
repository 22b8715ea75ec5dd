"""A neuron with a leak conductance, the smallest unit whose time constant is not a constant; and a chain of such neurons.

    cm dh/dt = (I - h) / tau - gleak h
    h(t) = h(t - dt) + (dt / cm) ((I - h(t - dt)) / tau - gleak h(t - dt))          explicit Euler, first order

h state, I input in units of h, tau membrane time constant in ms, gleak leak conductance per ms, cm capacitance relative to
that of tau. For a constant input it goes to I / (1 + gleak tau) with the time constant cm tau / (1 + gleak tau): the larger
the leak, the smaller and the faster the response. With gleak = 0 and cm = 1 it is the leaky unit of
:mod:`dynvision.model_components.solvers`. A gleak of its own in every step makes the time constant follow it ("liquid").

    cm dh_i/dt = (I_i + w_i h_(i-1) - h_i) / tau_i - gleak h_i,      h_(-1) = 0,   tau_i = base_tau ratio^i      a chain

w_i weight of the connection from neuron i - 1, whose new state is used, as of a layer without feedforward delay. A step of
the first input therefore ends at h_i = I_0 w_1 .. w_i / prod_(k <= i) (1 + gleak tau_k).

    dx/dt = -(1 / tau + f) x + f A,      f = weight sigmoid(slope (I + recurrent x - threshold))             LiquidNeuron
    x(t) = (x(t - dt) + dt f A) / (1 + dt (1 / tau + f))               fused step, stable for every dt, first order

f conductance per ms that the input opens, A its reversal potential. It is the liquid time-constant neuron itself: for a
constant input and recurrent = 0 it goes to f A / (1 / tau + f) with the time constant tau / (1 + tau f).

Source: the equation of the leaky neuron is that of the page that :mod:`dynvision.neurons` names; LiquidNeuron is eqs. 1 to
3 of Hasani, Lechner, Amini, Rus & Grosu (2021), AAAI 35:7657, with one sigmoid as f. The coupling of the chain, and that
Euler steps longer than the time constant are refused: ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from dynvision.errors import InputError, unknown_name
from dynvision.functional.leaky_steps import fused_step
from dynvision.neurons.neuron import BaseChain, BaseNeuron, State, check_positive, check_states, namespace


def ltc_rate(h: State, input_signal: State, tau: float, gleak: State, cm: float) -> State:
    """dh/dt per ms; arguments as in the equation of this file, numbers or tensors that broadcast."""
    return ((input_signal - h) / tau - gleak * h) / cm


class _FromZero(BaseNeuron):
    """A neuron that begins at 0."""

    def _initialize_state(self) -> float:
        return 0.0

    def _go_to(self, state: State) -> State:
        """Take a new state, and return it."""
        self.state = state
        self.history.append(state)
        return state

    @staticmethod
    def _refuse(kwargs: Mapping[str, Any], neuron: str, allowed: list[str]) -> None:
        """Raises: InputError: there is an argument that the neuron does not take."""
        if kwargs:
            raise unknown_name(f"argument of {neuron}.update", next(iter(kwargs)), allowed)


class LTCNeuron(_FromZero):
    """A neuron with a leak conductance.

    Args:
        neuron_id, tau, dt, history_size: as of :class:`BaseNeuron`.
        gleak: leak conductance per ms, >= 0.
        cm: capacitance, > 0, relative to that of tau.

    Attributes:
        last_prediction: what the last update returned; 0 before the first.

    Raises:
        InputError: a constant is not possible, or dt is longer than the time constant.
    """

    saved = (*BaseNeuron.saved, "gleak", "cm", "last_prediction")

    def __init__(
        self,
        neuron_id: int,
        tau: float = 1.0,
        dt: float = 0.01,
        gleak: float = 0.5,
        cm: float = 1.0,
        *,
        history_size: int | None = None,
    ) -> None:
        super().__init__(neuron_id, tau, dt, history_size=history_size)
        _check(self.tau, self.dt, gleak, cm)
        self.gleak, self.cm = float(gleak), float(cm)
        self.last_prediction: State = 0.0

    @property
    def time_constant(self) -> float:
        """With which the neuron moves, in ms."""
        return time_constant(self.tau, self.gleak, self.cm)

    @property
    def gain(self) -> float:
        """Ratio of the final state to a constant input."""
        return 1.0 / (1.0 + self.gleak * self.tau)

    def update(
        self, input_signal: State, gleak: State | None = None, training: bool | None = None, **kwargs: Any
    ) -> State:
        """Go one dt further.

        Args:
            input_signal: input during the step, a number or a tensor.
            gleak: leak conductance during the step, per ms, instead of the neuron's own; a number or an array.
            training: has no effect, since nothing differs in training.

        Returns:
            The new state.

        Raises:
            InputError: an argument is unknown, or this gleak is negative or too large for dt.
        """
        self._refuse(kwargs, "LTCNeuron", ["input_signal", "gleak", "training"])
        if gleak is not None:
            xp = namespace(gleak)
            for extreme in (float(xp.min(gleak)), float(xp.max(gleak))):
                _check(self.tau, self.dt, extreme, self.cm)
        leak = self.gleak if gleak is None else gleak
        rate = ltc_rate(self.state, input_signal, self.tau, leak, self.cm)
        self.last_prediction = self._go_to(self.state + self.dt * rate)
        return self.state

    def reset(self) -> None:
        super().reset()
        self.last_prediction = 0.0

    def _check_saved(self, state_dict: Mapping[str, Any]) -> None:
        check_states("last_prediction", [state_dict["last_prediction"]])
        _check(*(state_dict[name] for name in ("tau", "dt", "gleak", "cm")))


LIQUID_CONSTANTS = ("weight", "slope", "threshold", "reversal", "recurrent")


class LiquidNeuron(_FromZero):
    """A liquid time-constant neuron: its input opens a conductance, which pulls it and makes it faster.

    Args:
        neuron_id, tau, dt, history_size: as of :class:`BaseNeuron`.
        weight: largest conductance per ms, >= 0.
        slope: of its opening with the input, per unit of input.
        threshold: input at which half of it is open.
        reversal: A, in units of the state.
        recurrent: input from the neuron to itself, per unit of its state.

    Raises:
        InputError: a constant is not possible.
    """

    saved = (*BaseNeuron.saved, *LIQUID_CONSTANTS)

    def __init__(
        self,
        neuron_id: int,
        tau: float = 1.0,
        dt: float = 0.01,
        weight: float = 1.0,
        slope: float = 5.0,
        threshold: float = 0.5,
        reversal: float = 1.0,
        recurrent: float = 0.0,
        *,
        history_size: int | None = None,
    ) -> None:
        super().__init__(neuron_id, tau, dt, history_size=history_size)
        constants = (weight, slope, threshold, reversal, recurrent)
        _check_liquid(dict(zip(LIQUID_CONSTANTS, constants, strict=True)))
        self.weight, self.slope, self.threshold = float(weight), float(slope), float(threshold)
        self.reversal, self.recurrent = float(reversal), float(recurrent)

    def conductance(self, input_signal: State, state: State) -> State:
        """f per ms, for an input and a state: numbers or arrays that broadcast."""
        drive = self.slope * (input_signal + self.recurrent * state - self.threshold)
        opened = 0.5 * self.weight * (1.0 + namespace(drive).tanh(0.5 * drive))
        return float(opened) if isinstance(drive, Real) else opened

    def time_constant(self, input_signal: State, state: State = 0.0) -> State:
        """With which the neuron moves, in ms: tau / (1 + tau f)."""
        return self.tau / (1.0 + self.tau * self.conductance(input_signal, state))

    def update(self, input_signal: State, training: bool | None = None, **kwargs: Any) -> State:
        """Go one dt further; `training` has no effect.

        Raises:
            InputError: an argument is unknown.
        """
        self._refuse(kwargs, "LiquidNeuron", ["input_signal", "training"])
        f = self.conductance(input_signal, self.state)
        return self._go_to(fused_step(self.state, f * self.reversal, f + 1.0 / self.tau, self.dt))

    def _check_saved(self, state_dict: Mapping[str, Any]) -> None:
        _check_liquid({name: state_dict[name] for name in LIQUID_CONSTANTS})


def _check_liquid(constants: Mapping[str, Any]) -> None:
    for name, value in constants.items():
        if not isinstance(value, Real) or not math.isfinite(value):
            raise InputError(f"{name}={value!r} must be a number")
    if constants["weight"] < 0:
        raise InputError(f"weight={constants['weight']:g} per ms must not be negative")


def time_constant(tau: float, gleak: float, cm: float) -> float:
    """cm tau / (1 + gleak tau), in ms."""
    return cm * tau / (1.0 + gleak * tau)


def _check(tau: float, dt: float, gleak: float, cm: float) -> None:
    check_positive(tau=tau, dt=dt, cm=cm)
    if not (isinstance(gleak, Real) and gleak >= 0):
        raise InputError(f"gleak={gleak} per ms must be zero or a positive number")
    if dt > time_constant(tau, gleak, cm):
        raise InputError(
            f"dt={dt:g} ms is longer than the time constant of the neuron, {time_constant(tau, gleak, cm):g} ms "
            f"(tau={tau:g} ms, gleak={gleak:g}, cm={cm:g}), which Euler steps cannot follow; lower dt"
        )


class LTCChain(BaseChain):
    """A chain of :class:`LTCNeuron`.

    Args:
        num_neurons, base_tau, dt, tau_ratio, history_size: as of :class:`BaseChain`.
        gleak, cm: of every neuron, as of :class:`LTCNeuron`.
        weights: of the connections between neighbours, one number or N - 1; 0 leaves every neuron to its own input.

    Raises:
        InputError: an argument is not possible.
    """

    saved = (*BaseChain.saved, "weights")

    def __init__(
        self,
        num_neurons: int,
        base_tau: float = 1.0,
        dt: float = 0.01,
        gleak: float = 0.5,
        cm: float = 1.0,
        tau_ratio: float = 1.5,
        weights: float | Sequence[float] = 1.0,
        *,
        history_size: int | None = None,
    ) -> None:
        super().__init__(
            num_neurons, LTCNeuron, base_tau, dt, tau_ratio, history_size=history_size, gleak=gleak, cm=cm
        )
        n = num_neurons - 1
        self.weights = [float(w) for w in weights] if isinstance(weights, Sequence) else [float(weights)] * n
        self._check_saved({"weights": self.weights})

    def _check_saved(self, state_dict: Mapping[str, Any]) -> None:
        weights, n = state_dict["weights"], self.num_neurons - 1
        if not isinstance(weights, list) or not all(isinstance(w, Real) for w in weights):
            raise InputError(f"weights={weights!r} must be a list of numbers")
        if len(weights) != n:
            raise InputError(
                f"weights has {len(weights)} values; a chain of {self.num_neurons} neurons has {n} connections"
            )

    def update(self, input_signals: State | Sequence[State]) -> State:
        """Go one dt further; arguments and result as of :meth:`BaseChain.update`."""
        states: list[State] = []
        for i, (neuron, signal) in enumerate(zip(self.neurons, self._inputs(input_signals), strict=True)):
            received = signal if i == 0 else signal + self.weights[i - 1] * states[-1]
            states.append(neuron.update(received))
        xp = namespace(*states)
        made = xp.stack(xp.broadcast_arrays(*states))
        self.state_history.append(made)
        return made
