"""A single neuron, and a chain of neurons whose time constants grow: a state in time, its history, saving and loading.

    h(t) = update(h(t - dt), input(t))                          times in ms
    tau_i = base_tau ratio^i,   i = 0 .. N - 1                  time constants along a chain

A neuron is a plain object: its constants are attributes, its state is a number or a tensor of any shape (many copies of
the neuron, each with an input of its own, and gradients where the inputs have them). Time constants grow along a chain as
those of cortical areas do along the hierarchy (Murray et al. 2014, Nat Neurosci 17:1661).

Source: ours, after the page that :mod:`dynvision.neurons` names; the ratio of 1.5 is that of the page.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Self

import torch
from torch import Tensor

from dynvision.errors import InputError

State = float | Tensor


def check_positive(**values: float) -> None:
    """Raises: InputError: one of the named values is no positive number."""
    for name, value in values.items():
        if not isinstance(value, Real):
            raise InputError(f"{name}={value!r} must be a positive number")
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name}={value:g} must be a positive number")


class BaseNeuron(ABC):
    """What all neurons share.

    Args:
        neuron_id: number of the neuron, e.g. its place in a chain.
        tau: time constant in ms, > 0.
        dt: integration step in ms, > 0.

    Attributes:
        state: the present state.
        history: the state after every update since the last reset, oldest first.

    Raises:
        InputError: tau or dt is not positive.
    """

    saved: tuple[str, ...] = ("neuron_id", "tau", "dt", "state", "history")  # what save_state keeps

    def __init__(self, neuron_id: int, tau: float = 1.0, dt: float = 0.01) -> None:
        check_positive(tau=tau, dt=dt)
        self.neuron_id, self.tau, self.dt = neuron_id, float(tau), float(dt)
        self.state: State = self._initialize_state()
        self.history: list[State] = []

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
        self.history = []

    def at_rest(self) -> Self:
        """Another neuron with the same constants, before its first input."""
        other = copy.copy(self)
        other.reset()
        return other

    def save_state(self) -> dict[str, Any]:
        """The neuron's constants, state and history; JSON can hold them where states are numbers."""
        return {name: _copied(getattr(self, name)) for name in self.saved}

    def load_state(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where the neuron stopped that `state_dict` is of, with its constants.

        Raises:
            InputError: `state_dict` is not of such a neuron; nothing is changed then.
        """
        check_saved(type(self).__name__, state_dict, self.saved)
        check_positive(tau=state_dict["tau"], dt=state_dict["dt"])
        for name in self.saved:
            setattr(self, name, _copied(state_dict[name]))


def check_saved(owner: str, state_dict: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raises: InputError: a saved state has not exactly these names."""
    missing, unknown = sorted(set(names) - set(state_dict)), sorted(set(state_dict) - set(names))
    if missing or unknown:
        said = [f"lacks {', '.join(missing)}"] * bool(missing)
        said += [f"has {', '.join(unknown)}, which it does not know"] * bool(unknown)
        raise InputError(f"the saved state is not of a {owner}: it {' and '.join(said)}")


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


class BaseChain(ABC):
    """What all chains share.

    Args:
        num_neurons: how many neurons, >= 1.
        neuron_class: class of the neurons.
        base_tau: time constant of the first, in ms.
        dt: integration step in ms.
        tau_ratio: time constant of a neuron over that of the one before it, > 0.
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
        **neuron_args: Any,
    ) -> None:
        if num_neurons < 1:
            raise InputError(f"num_neurons={num_neurons}: a chain has at least one neuron")
        check_positive(base_tau=base_tau, dt=dt, tau_ratio=tau_ratio)
        self.num_neurons = num_neurons
        self.base_tau, self.dt, self.tau_ratio = float(base_tau), float(dt), float(tau_ratio)
        taus = [base_tau * tau_ratio**i for i in range(num_neurons)]
        self.neurons = [neuron_class(i, tau, dt, **neuron_args) for i, tau in enumerate(taus)]
        self.state_history: list[Tensor] = []

    @property
    def taus(self) -> list[float]:
        """Time constants of the neurons, in ms."""
        return [neuron.tau for neuron in self.neurons]

    @abstractmethod
    def update(self, input_signals: Tensor | Sequence[float]) -> Tensor:
        """Go one dt further.

        Args:
            input_signals: one input for each neuron, N numbers or a tensor (N, ...).

        Returns:
            The new states, (N, ...), which are also at the end of `state_history`.
        """

    def _inputs(self, input_signals: Tensor | Sequence[float]) -> list[Tensor]:
        """The inputs as tensors; numbers in double precision, as Python has them.

        Raises:
            InputError: there is not one input for each neuron.
        """
        if isinstance(input_signals, (int, float)) or len(input_signals) != self.num_neurons:
            given = (
                "one number" if isinstance(input_signals, (int, float)) else f"{len(input_signals)} signals"
            )
            raise InputError(
                f"input_signals has {given}; the chain takes one signal for each of its {self.num_neurons} neurons, "
                f"first to last, 0 for those without"
            )
        tensors = [
            s if isinstance(s, Tensor) else torch.tensor(s, dtype=torch.float64) for s in input_signals
        ]
        return [s if s.is_floating_point() else s.double() for s in tensors]

    def reset(self) -> None:
        """Back to the states before the first input, without history."""
        for neuron in self.neurons:
            neuron.reset()
        self.state_history = []

    def at_rest(self) -> Self:
        """Another chain with the same constants, before its first input."""
        other = copy.copy(self)
        other.neurons = [neuron.at_rest() for neuron in self.neurons]
        other.state_history = []
        return other

    def save_state(self) -> dict[str, Any]:
        """The chain's constants and history, and the state of every neuron as ``neuron_states``."""
        kept = {name: getattr(self, name) for name in self.saved}
        kept["state_history"] = list(self.state_history)
        return kept | {"neuron_states": [neuron.save_state() for neuron in self.neurons]}

    def load_state(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where the chain stopped that `state_dict` is of, with its constants.

        Raises:
            InputError: `state_dict` is not of such a chain, or of one with more or fewer neurons.
        """
        check_saved(type(self).__name__, state_dict, (*self.saved, "neuron_states"))
        if state_dict["num_neurons"] != self.num_neurons:
            raise InputError(
                f"the saved state is of a chain of {state_dict['num_neurons']} neurons, this one has {self.num_neurons}"
            )
        for neuron, state in zip(self.neurons, state_dict["neuron_states"], strict=True):
            neuron.load_state(state)
        for name in self.saved:
            setattr(self, name, state_dict[name])
        self.state_history = list(state_dict["state_history"])
