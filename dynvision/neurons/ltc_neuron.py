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

Source: the equation of the neuron is that of the page that :mod:`dynvision.neurons` names; a time constant that inputs set:
Hasani, Lechner, Amini, Rus & Grosu (2021), AAAI 35:7657, eqs. 1 and 2. The coupling of the chain, and that Euler steps
longer than the time constant are refused: ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from dynvision.errors import InputError, unknown_name
from dynvision.neurons.neuron import BaseChain, BaseNeuron, State, check_positive


def ltc_rate(h: State, input_signal: State, tau: float, gleak: State, cm: float) -> State:
    """dh/dt per ms; arguments as in the equation of this file, numbers or tensors that broadcast."""
    return ((input_signal - h) / tau - gleak * h) / cm


class LTCNeuron(BaseNeuron):
    """A neuron with a leak conductance.

    Args:
        neuron_id, tau, dt: as of :class:`BaseNeuron`.
        gleak: leak conductance per ms, >= 0.
        cm: capacitance, > 0, relative to that of tau.

    Attributes:
        last_prediction: what the last update returned; 0 before the first.

    Raises:
        InputError: a constant is not possible, or dt is longer than the time constant.
    """

    saved = (*BaseNeuron.saved, "gleak", "cm", "last_prediction")

    def __init__(
        self, neuron_id: int, tau: float = 1.0, dt: float = 0.01, gleak: float = 0.5, cm: float = 1.0
    ) -> None:
        super().__init__(neuron_id, tau, dt)
        _check(self.tau, self.dt, gleak, cm)
        self.gleak, self.cm = float(gleak), float(cm)
        self.last_prediction: State = 0.0

    def _initialize_state(self) -> float:
        return 0.0

    @property
    def time_constant(self) -> float:
        """With which the neuron moves, in ms."""
        return time_constant(self.tau, self.gleak, self.cm)

    @property
    def gain(self) -> float:
        """What of a constant input the state goes to."""
        return 1.0 / (1.0 + self.gleak * self.tau)

    def update(self, input_signal: State, gleak: State | None = None, **kwargs: Any) -> State:
        """Go one dt further.

        Args:
            input_signal: input during the step, a number or a tensor.
            gleak: leak conductance during the step, per ms, instead of the neuron's own; a number or a tensor.

        Returns:
            The new state.

        Raises:
            InputError: an argument is unknown, or this gleak is negative or too large for dt.
        """
        if kwargs:
            raise unknown_name("argument of LTCNeuron.update", next(iter(kwargs)), ["input_signal", "gleak"])
        if gleak is not None:
            low, high = torch.as_tensor(gleak).aminmax()
            for extreme in (low.item(), high.item()):
                _check(self.tau, self.dt, extreme, self.cm)
        leak = self.gleak if gleak is None else gleak
        self.state = self.state + self.dt * ltc_rate(self.state, input_signal, self.tau, leak, self.cm)
        self.history.append(self.state)
        self.last_prediction = self.state
        return self.state

    def reset(self) -> None:
        super().reset()
        self.last_prediction = 0.0

    def load_state(self, state_dict: Mapping[str, Any]) -> None:
        if set(self.saved) == set(state_dict):
            _check(*(state_dict[name] for name in ("tau", "dt", "gleak", "cm")))
        super().load_state(state_dict)


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
        num_neurons, base_tau, dt, tau_ratio: as of :class:`BaseChain`.
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
    ) -> None:
        super().__init__(num_neurons, LTCNeuron, base_tau, dt, tau_ratio, gleak=gleak, cm=cm)
        n = num_neurons - 1
        self.weights = [float(w) for w in weights] if isinstance(weights, Sequence) else [float(weights)] * n
        if len(self.weights) != n:
            raise InputError(
                f"weights has {len(self.weights)} values; a chain of {num_neurons} neurons has {n} connections"
            )

    def update(self, input_signals: Tensor | Sequence[float]) -> Tensor:
        """Go one dt further; arguments and result as of :meth:`BaseChain.update`."""
        states: list[Tensor] = []
        for i, (neuron, signal) in enumerate(zip(self.neurons, self._inputs(input_signals), strict=True)):
            heard = signal if i == 0 else signal + self.weights[i - 1] * states[-1]
            states.append(torch.as_tensor(neuron.update(heard)))
        self.state_history.append(torch.stack(states))
        return self.state_history[-1]
