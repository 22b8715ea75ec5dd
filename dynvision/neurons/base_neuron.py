"""A single neuron: a state in time, what it was, and how to keep it.

    h(t) = update(h(t - dt), input(t))                          times in ms

A neuron is a plain object: its constants are attributes, its state is a number or a tensor of any shape (many copies of
the neuron, each with an input of its own, and gradients where the inputs have them).

Source: ours, after the page that :mod:`dynvision.neurons` names.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from numbers import Real
from typing import Any, Self

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
