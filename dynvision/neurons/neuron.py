"""A single neuron, and a chain of neurons whose time constants grow: a state in time, its history, saving and loading.

    h(t) = update(h(t - dt), input(t))                          times in ms
    tau_i = base_tau ratio^i,   i = 0 .. N - 1                  time constants along a chain

A neuron is a plain object: its constants are attributes, its state is a number or an array of any shape (many copies of
the neuron, each with an input of its own): of NumPy, torch (with gradients where the inputs have them), or another library
with the array API. Histories keep no graph, and as many states as `history_size`. Time constants grow along a chain as
those of cortical areas do along the hierarchy (Murray et al. 2014, Nat Neurosci 17:1661).

What a neuron or a chain answers to a step and to an impulse, from rest:

    step      I(t) = amplitude,  0 < t <= duration
    impulse   I(t) = area / dt   in the first dt, then 0            (area in units of the state times ms)

The response to an impulse of unit area is the derivative of the one to a step of unit height.
Times in ms from onset, at the end of each integration step.

Source: ours, after the page that :mod:`dynvision.neurons` names; the ratio of 1.5 is that of the page.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from array_api_compat import array_namespace
from torch import Tensor

from dynvision.errors import InputError
from dynvision.units import ms_to_steps

State = Any  # a number, or an array of NumPy, torch or another library with the array API


def namespace(*values: State) -> Any:
    """The functions (``exp``, ``stack``, ...) for some states; NumPy's for numbers.

    Raises:
        InputError: arrays of different libraries.
    """
    arrays = [value for value in values if not isinstance(value, Real)]
    try:
        return array_namespace(*arrays) if arrays else np
    except TypeError:
        kinds = sorted({type(value).__name__ for value in arrays})
        raise InputError(f"arrays of types {', '.join(kinds)} together; give all of one library") from None


class History(list[State]):
    """States, oldest first, without graph; of more than `size`, the latest are kept."""

    def __init__(self, size: int | None = None, states: Iterable[State] = ()) -> None:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise InputError(f"history_size={size!r} must be a number of states, 0 for none, or None for all")
        self.size = size
        super().__init__()
        self.extend(states)

    def append(self, state: State) -> None:
        """Add the state after an update."""
        super().append(state.detach() if isinstance(state, Tensor) else state)
        if self.size is not None and len(self) > self.size:
            del self[: len(self) - self.size]

    def extend(self, states: Iterable[State]) -> None:
        """Add several states, in their order."""
        for state in states:
            self.append(state)


def check_positive(**values: float) -> None:
    """Raises: InputError: one of the named values is no positive number."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise InputError(f"{name}={value!r} must be a positive number")
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name}={value:g} must be a positive number")


class BaseNeuron(ABC):
    """The base of all neurons.

    Args:
        neuron_id: number of the neuron, e.g. its place in a chain.
        tau: time constant in ms, > 0.
        dt: integration step in ms, > 0.
        history_size: how many states are kept in the history: None for all, 0 for none.

    Attributes:
        state: the present state.
        history: the state after every update since the last reset, oldest first, without graph.

    Raises:
        InputError: tau or dt is not positive.
    """

    saved: tuple[str, ...] = ("neuron_id", "tau", "dt", "state", "history")  # what save_state keeps

    def __init__(
        self, neuron_id: int, tau: float = 1.0, dt: float = 0.01, *, history_size: int | None = None
    ) -> None:
        check_positive(tau=tau, dt=dt)
        self.neuron_id, self.tau, self.dt = neuron_id, float(tau), float(dt)
        self.history = History(history_size)
        self.state: State = self._initialize_state()

    @property
    def history_size(self) -> int | None:
        """Number of states that are kept; can be set."""
        return self.history.size

    @history_size.setter
    def history_size(self, size: int | None) -> None:
        self.history = History(size, self.history)

    @abstractmethod
    def _initialize_state(self) -> State:
        """The state before the first input."""

    @abstractmethod
    def update(self, input_signal: State, **kwargs: Any) -> State:
        """Go one dt further.

        Args:
            input_signal: input during the step, a number or a tensor.
            **kwargs: what a neuron takes besides.

        Returns:
            The new state, which is also in `state` and at the end of `history`.
        """

    def reset(self) -> None:
        """Back to the state before the first input, without history."""
        self.state = self._initialize_state()
        self.history = History(self.history_size)

    def at_rest(self) -> Self:
        """Another neuron with the same constants, before its first input."""
        other = copy.copy(self)
        other.reset()
        return other

    def save_state(self) -> dict[str, Any]:
        """The neuron's constants, state and history; JSON can hold them where states are numbers."""
        return {name: _copied(getattr(self, name)) for name in self.saved}

    def load_state(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where the neuron stopped that `state_dict` is of, with its constants.

        Raises:
            InputError: `state_dict` is not of such a neuron; nothing is changed then.
        """
        check_saved(type(self).__name__, state_dict, self.saved)
        check_positive(tau=state_dict["tau"], dt=state_dict["dt"])
        check_states("history", state_dict["history"])
        check_states("state", [state_dict["state"]])
        self._check_saved(state_dict)
        size = self.history_size
        for name in self.saved:
            setattr(self, name, _copied(state_dict[name]))
        self.history = History(size, state_dict["history"])

    def _check_saved(self, state_dict: Mapping[str, Any]) -> None:  # noqa: B027  # a neuron may save no more
        """Check what a subclass saves besides.

        Raises:
            InputError: something is not possible.
        """


def check_saved(owner: str, state_dict: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raises: InputError: a saved state has not exactly these names."""
    if not isinstance(state_dict, Mapping):
        raise InputError(
            f"the saved state is not of a {owner}: it is a {type(state_dict).__name__}, not a dictionary"
        )
    missing, unknown = sorted(set(names) - set(state_dict)), sorted(set(state_dict) - set(names))
    if missing or unknown:
        said = [f"lacks {', '.join(missing)}"] * bool(missing)
        said += [f"has {', '.join(unknown)}, which it does not know"] * bool(unknown)
        raise InputError(f"the saved state is not of a {owner}: it {' and '.join(said)}")


def check_states(name: str, values: Any) -> None:
    """Raises: InputError: saved values are no list of finite numbers or arrays of them."""
    if not isinstance(values, list):
        raise InputError(f"{name} of the saved state must be a list, not a {type(values).__name__}")
    for value in values:
        known = isinstance(value, Real) or hasattr(value, "shape")
        if not known or not bool((torch if isinstance(value, Tensor) else np).isfinite(value).all()):
            raise InputError(
                f"{name} of the saved state must be a finite number or an array of them, not {value!r}"
            )


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


class BaseChain(ABC):
    """The base of all chains.

    Args:
        num_neurons: how many neurons, >= 1.
        neuron_class: class of the neurons.
        base_tau: time constant of the first, in ms.
        dt: integration step in ms.
        tau_ratio: time constant of a neuron over that of the one before it, > 0.
        history_size: as of :class:`BaseNeuron`, of the chain and of every neuron.
        **neuron_args: further arguments of every neuron.

    Attributes:
        neurons: the neurons, first to last.
        state_history: states of all neurons, (N, ...), after every update since the last reset.

    Raises:
        InputError: an argument is not possible.
    """

    saved: tuple[str, ...] = ("num_neurons", "base_tau", "dt", "tau_ratio", "state_history")

    def __init__(
        self,
        num_neurons: int,
        neuron_class: type[BaseNeuron],
        base_tau: float = 1.0,
        dt: float = 0.01,
        tau_ratio: float = 1.5,
        *,
        history_size: int | None = None,
        **neuron_args: Any,
    ) -> None:
        if num_neurons < 1:
            raise InputError(f"num_neurons={num_neurons}: a chain has at least one neuron")
        check_positive(base_tau=base_tau, dt=dt, tau_ratio=tau_ratio)
        self.num_neurons = num_neurons
        self.base_tau, self.dt, self.tau_ratio = float(base_tau), float(dt), float(tau_ratio)
        taus = [base_tau * tau_ratio**i for i in range(num_neurons)]
        self.neurons = [neuron_class(i, tau, dt, **neuron_args) for i, tau in enumerate(taus)]
        self.state_history = History()
        self.history_size = history_size

    @property
    def history_size(self) -> int | None:
        """Number of states that are kept, of the chain and of every neuron; can be set."""
        return self.state_history.size

    @history_size.setter
    def history_size(self, size: int | None) -> None:
        self.state_history = History(size, self.state_history)
        for neuron in self.neurons:
            neuron.history_size = size

    @property
    def taus(self) -> list[float]:
        """Time constants of the neurons, in ms."""
        return [neuron.tau for neuron in self.neurons]

    @abstractmethod
    def update(self, input_signals: State | Sequence[State]) -> State:
        """Go one dt further.

        Args:
            input_signals: one input for each neuron: N numbers, N arrays, or an array (N, ...).

        Returns:
            The new states, (N, ...), which are also at the end of `state_history`.
        """

    def _inputs(self, input_signals: State | Sequence[State]) -> list[State]:
        """The inputs as arrays of one library; numbers as tensors in double precision, as Python has them.

        Raises:
            InputError: there is not one input for each neuron, or they are of several libraries.
        """
        if isinstance(input_signals, Real) or len(input_signals) != self.num_neurons:
            given = "one number" if isinstance(input_signals, Real) else f"{len(input_signals)} signals"
            raise InputError(
                f"input_signals has {given}; the chain takes one signal for each of its {self.num_neurons} neurons, "
                f"first to last, 0 for those without"
            )
        several = isinstance(input_signals, (list, tuple))
        arrays = [s for s in input_signals if not isinstance(s, Real)] if several else [input_signals]
        xp = namespace(*arrays) if arrays else array_namespace(torch.empty(0))
        signals = [
            xp.asarray(signal, dtype=xp.float64) if isinstance(signal, Real) else signal
            for signal in input_signals
        ]
        return [s if xp.isdtype(s.dtype, "real floating") else xp.astype(s, xp.float64) for s in signals]

    def reset(self) -> None:
        """Back to the states before the first input, without history."""
        for neuron in self.neurons:
            neuron.reset()
        self.state_history = History(self.history_size)

    def at_rest(self) -> Self:
        """Another chain with the same constants, before its first input."""
        other = copy.copy(self)
        other.neurons = [neuron.at_rest() for neuron in self.neurons]
        other.state_history = History(self.history_size)
        return other

    def save_state(self) -> dict[str, Any]:
        """The chain's constants and history, and the state of every neuron as ``neuron_states``."""
        kept = {name: _copied(getattr(self, name)) for name in self.saved}
        return kept | {"neuron_states": [neuron.save_state() for neuron in self.neurons]}

    def load_state(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where the chain stopped that `state_dict` is of, with its constants.

        Raises:
            InputError: `state_dict` is not of such a chain, or of one with more or fewer neurons; nothing is changed then.
        """
        check_saved(type(self).__name__, state_dict, (*self.saved, "neuron_states"))
        if state_dict["num_neurons"] != self.num_neurons:
            raise InputError(
                f"the saved state is of a chain of {state_dict['num_neurons']} neurons, this one has {self.num_neurons}"
            )
        states = state_dict["neuron_states"]
        check_states("state_history", state_dict["state_history"])
        n_states = len(states) if isinstance(states, list) else "no list of"
        if n_states != self.num_neurons:
            raise InputError(f"neuron_states has {n_states} states; the chain has {self.num_neurons} neurons")
        check_positive(**{name: state_dict[name] for name in ("base_tau", "dt", "tau_ratio")})
        self._check_saved(state_dict)
        neurons = [neuron.at_rest() for neuron in self.neurons]
        for neuron, state in zip(neurons, states, strict=True):
            neuron.load_state(state)
        size = self.history_size
        self.neurons = neurons
        for name in self.saved:
            setattr(self, name, _copied(state_dict[name]))
        self.state_history = History(size, state_dict["state_history"])

    def _check_saved(self, state_dict: Mapping[str, Any]) -> None:  # noqa: B027  # a chain may save no more
        """Check what a subclass saves besides.

        Raises:
            InputError: something is not possible.
        """


class Response(NamedTuple):
    """time_ms (T,), and states (T,) of a neuron or (T, N) of a chain."""

    time_ms: np.ndarray
    states: np.ndarray


def step_response(unit: BaseNeuron | BaseChain, duration_ms: float, amplitude: float = 1.0) -> Response:
    """Response to a constant input, of a chain to its first neuron; the unit itself stays as it is.

    Args:
        unit: a neuron or a chain.
        duration_ms: how long, a multiple of the unit's dt.
        amplitude: the input, in units of the state.

    Raises:
        InputError: the duration is no multiple of dt.
    """
    return _run(unit, [amplitude] * _steps(unit, duration_ms))


def impulse_response(unit: BaseNeuron | BaseChain, duration_ms: float, area: float = 1.0) -> Response:
    """Response to a brief input, of a chain to its first neuron; the unit itself stays as it is.

    Args:
        unit: a neuron or a chain.
        duration_ms: how long to look, a multiple of the unit's dt.
        area: of the input, in units of the state times ms.

    Raises:
        InputError: the duration is no multiple of dt.
    """
    return _run(unit, [area / unit.dt] + [0.0] * (_steps(unit, duration_ms) - 1))


def _steps(unit: BaseNeuron | BaseChain, duration_ms: float) -> int:
    return ms_to_steps(duration_ms, unit.dt, "duration_ms", minimum_ms=unit.dt)


def _run(unit: BaseNeuron | BaseChain, signals: list[float]) -> Response:
    at_rest = unit.at_rest()
    at_rest.history_size = 0  # all states are kept here
    if isinstance(at_rest, BaseChain):
        silent = [0.0] * (at_rest.num_neurons - 1)
        states = [np.asarray(at_rest.update([signal, *silent])) for signal in signals]
    else:
        states = [np.asarray(at_rest.update(signal)) for signal in signals]
    return Response(unit.dt * np.arange(1, len(signals) + 1), np.stack(states))
