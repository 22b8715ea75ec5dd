"""What a neuron or a chain answers to a step and to an impulse.

    step      I(t) = amplitude,  0 < t <= duration
    impulse   I(t) = area / dt   in the first dt, then 0            (area in units of the state times ms)

from rest. The response to an impulse of unit area is the derivative of the one to a step of unit height.
Times in ms from onset, at the end of each integration step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dynvision.neurons.neuron import BaseChain, BaseNeuron
from dynvision.units import ms_to_steps


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
