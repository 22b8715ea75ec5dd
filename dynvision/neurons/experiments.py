"""Experiments on a single unit: what it answers to a step, an impulse, a sine and several strengths of input.

    step        I(t) = A,  0 < t <= on;  then 0           response in time
    impulse     I(t) = A in the first dt, then 0          response in time
    frequency   I(t) = A / 2 (1 + sin 2 pi f t)           gain g and lag p, r(t) = m + g A / 2 sin(2 pi f t - p)
    f-I curve   I(t) = A for several A                    largest response, and the mean of the last tenth
    phase line  the steps once more                       dr/dt beside r

A unit is anything that turns inputs in time into responses in time, from rest: a neuron, a cell with one input and one
unit, a unit of a layer of a network. Time is in ms from onset, at the end of each step. Gain and lag are by least squares
over the second half, which has two periods at least. Of a unit that one number describes, the phase line is dr/dt as a
function of r; of one that adapts it is its path, which is another for each strength and on the way back.

Source: textbook measures, e.g. Dayan & Abbott (2001), Theoretical Neuroscience, chapters 2 and 5.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dynvision.errors import InputError, unknown_name
from dynvision.neurons.adex_cell import AdExCell, AdExConstants
from dynvision.neurons.cell import ModuleCell
from dynvision.neurons.cfc_cell import CfCCell
from dynvision.neurons.ltc_cell import LTCCell
from dynvision.neurons.ltc_neuron import LiquidNeuron, LTCNeuron
from dynvision.neurons.neuron import BaseNeuron, check_positive
from dynvision.neurons.rnn import RNN, CTRNNCell
from dynvision.neurons.wirings import Wiring
from dynvision.units import ms_to_steps

Signals = NDArray[np.float64]
ON_PART = 0.6  # of the duration, for which a step is on
MOST_STEPS = 100_000
PERIODS = 4  # of the lowest frequency, in the duration
STEPS_PER_PERIOD = 8  # of the highest
STRENGTHS = (0.5, 1.0, 1.5)  # of steps, times the amplitude
N_STRENGTHS, N_FREQUENCIES = 13, 12
LAST_PART = 0.1


@dataclass(frozen=True)
class Unit:
    """A unit to experiment on.

    Attributes:
        name: for titles.
        dt: step in ms.
        respond: takes inputs (K, T) and returns responses (K, T), each row from rest.
        input_label, response_label: of axes.
    """

    name: str
    dt: float
    respond: Callable[[Signals], Signals]
    input_label: str = "input (a.u.)"
    response_label: str = "response (a.u.)"


def unit_of_neuron(neuron: BaseNeuron) -> Unit:
    """A neuron as a unit; it stays as it is."""

    def respond(signals: Signals) -> Signals:
        at_rest = neuron.at_rest()
        at_rest.history_size = 0
        return np.stack([np.asarray(at_rest.update(x)) for x in signals.T], axis=1)

    return Unit(type(neuron).__name__, neuron.dt, respond, response_label="state (a.u.)")


def unit_of_cell(cell: ModuleCell, dt: float) -> Unit:
    """The first output of a cell as a unit; all its inputs are the same."""
    check_positive(dt=dt)
    is_rate = isinstance(cell, AdExCell)

    def respond(signals: Signals) -> Signals:
        like = next(cell.parameters())
        inputs = torch.as_tensor(signals).to(like)[..., None].expand(-1, -1, cell.input_size)
        with torch.no_grad():
            outputs, _ = RNN(cell)(inputs, elapsed_time=dt, training=False)
        return outputs[..., 0].double().cpu().numpy()

    labels = ("current (rheobases)", "rate (spikes/s)") if is_rate else ("input (a.u.)", "output (a.u.)")
    return Unit(type(cell).__name__, dt, respond, *labels)


def _plain(cell: Any) -> ModuleCell:
    """A cell whose unit receives its input as it is, and nothing from itself."""
    with torch.no_grad():
        cell.input_weight.weight.fill_(1.0)
        cell.input_weight.bias.zero_()
        cell.recurrent_weight.weight.zero_()
    return cell


# What makes a neuron or a cell, and what its arguments are those of.
NEURONS: dict[str, type[BaseNeuron]] = {"LTCNeuron": LTCNeuron, "LiquidNeuron": LiquidNeuron}
CELLS: dict[str, tuple[Callable[..., ModuleCell], Callable[..., Any]]] = {
    "AdExCell": (lambda **given: _plain(AdExCell(1, 1, AdExConstants(**given))), AdExConstants),
    "CTRNNCell": (lambda **given: _plain(CTRNNCell(1, 1, **given)), CTRNNCell),
    "CfCCell": (lambda **given: CfCCell(1, 1, **given), CfCCell),
    "LTCCell": (lambda **given: LTCCell(Wiring([[0]], [[1]]), **given), LTCCell),
}
FIXED = (
    "self",
    "neuron_id",
    "input_size",
    "hidden_size",
    "wiring",
    "in_features",
    "history_size",
    "ode_unfolds",
)


def make_unit(name: str, arguments: Mapping[str, Any], seed: int = 0) -> Unit:
    """A neuron or a cell of one unit by name, in double precision.

    Args:
        name: of :data:`NEURONS` or :data:`CELLS`.
        arguments: of the class; of cells also ``dt``, the length of a step in ms (1).
        seed: of the weights of a cell that has some; those of CTRNNCell and AdExCell are 1 from the input and 0 else.

    Raises:
        InputError: the name or an argument is not known, or a value is not possible.
    """
    if name not in NEURONS and name not in CELLS:
        raise unknown_name("neuron or cell", name, sorted([*NEURONS, *CELLS]))
    made_by = NEURONS[name] if name in NEURONS else CELLS[name][1]
    known = [key for key in inspect.signature(made_by).parameters if key not in FIXED]
    known += [] if name in NEURONS else ["dt"]
    for key in arguments:
        if key not in known:
            raise unknown_name(f"argument of {name}", key, known)
    try:
        if name in NEURONS:
            return unit_of_neuron(NEURONS[name](0, **arguments))
        others = {key: value for key, value in arguments.items() if key != "dt"}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            cell = CELLS[name][0](**others).double()
        return unit_of_cell(cell, arguments.get("dt", 1.0))
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} cannot be made with {dict(arguments)}: {error}") from None


def measure_unit(unit: Unit, duration_ms: float = 400.0, amplitude: float = 1.0) -> dict[str, pd.DataFrame]:
    """All experiments on a unit.

    Args:
        unit: the unit.
        duration_ms: of each, a multiple of its dt.
        amplitude: A.

    Returns:
        Tables by name: ``step`` and ``impulse`` (`amplitude`, `time_ms`, `input`, `response`), ``frequency``
        (`frequency_hz`, `gain`, `lag_deg`, `lag_ms`), ``f_i`` (`amplitude`, `peak`, `steady`), ``phase`` (`amplitude`,
        `time_ms`, `response`, `is_on`, `rate_per_ms`).

    Raises:
        InputError: the duration is too short for a period of the highest frequency, or no multiple of dt.
    """
    check_positive(duration_ms=duration_ms, amplitude=amplitude)
    n = ms_to_steps(duration_ms, unit.dt, "duration_ms", minimum_ms=unit.dt)
    if n < 2 * PERIODS * STEPS_PER_PERIOD:
        raise InputError(
            f"duration_ms={duration_ms:g} ms is {n} steps of {unit.dt:g} ms; give at least "
            f"{2 * PERIODS * STEPS_PER_PERIOD * unit.dt:g} ms"
        )
    if n > MOST_STEPS:
        raise InputError(
            f"duration_ms={duration_ms:g} ms is {n} steps of {unit.dt:g} ms, and at most {MOST_STEPS} are taken; lower it, "
            "or raise dt"
        )
    time_ms: Signals = unit.dt * np.arange(1, n + 1, dtype=np.float64)
    strengths = amplitude * np.array(STRENGTHS)
    steps = strengths[:, None] * (time_ms <= ON_PART * duration_ms)
    stepped = unit.respond(steps)
    impulses = strengths[:, None] * (np.arange(n) == 0)
    tables = {
        "step": _in_time(time_ms, strengths, steps, stepped),
        "impulse": _in_time(time_ms, strengths, impulses, unit.respond(impulses)),
        "frequency": _frequency_response(unit, time_ms, amplitude),
        "f_i": _strength_response(unit, n, amplitude),
    }
    phase = tables["step"][["amplitude", "time_ms", "response"]].copy()
    phase["is_on"] = tables["step"]["input"] > 0
    before = np.concatenate([np.zeros((len(stepped), 1)), stepped[:, :-1]], axis=1)
    phase["response"] = before.ravel()
    phase["rate_per_ms"] = ((stepped - before) / unit.dt).ravel()
    return {**tables, "phase": phase}


def _in_time(time_ms: Signals, strengths: Signals, inputs: Signals, responses: Signals) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "amplitude": np.repeat(strengths, len(time_ms)),
            "time_ms": np.tile(time_ms, len(strengths)),
            "input": inputs.ravel(),
            "response": responses.ravel(),
        }
    )


def _frequency_response(unit: Unit, time_ms: Signals, amplitude: float) -> pd.DataFrame:
    lowest, highest = PERIODS / time_ms[-1], 1 / (STEPS_PER_PERIOD * unit.dt)  # per ms
    frequency = np.geomspace(lowest, highest, N_FREQUENCIES)
    # An input is held during a step, so that its middle is what counts; the response is at the end.
    angle = 2 * np.pi * frequency[:, None] * (time_ms - 0.5 * unit.dt)
    responses = unit.respond(0.5 * amplitude * (1 + np.sin(angle)))
    late = slice(len(time_ms) // 2, None)
    gain, lag = np.zeros(N_FREQUENCIES), np.zeros(N_FREQUENCIES)
    for k, f in enumerate(frequency):
        end = 2 * np.pi * f * time_ms[late]
        design = np.stack([np.ones_like(end), np.sin(end), np.cos(end)], axis=1)
        _, in_phase, out_of_phase = np.linalg.lstsq(design, responses[k, late], rcond=None)[0]
        gain[k] = np.hypot(in_phase, out_of_phase) / (0.5 * amplitude)
        lag[k] = np.arctan2(-out_of_phase, in_phase)
    lag = np.where(gain > 1e-9, np.unwrap(lag), np.nan)  # a unit that is silent has no lag
    return pd.DataFrame(
        {
            "frequency_hz": 1000 * frequency,
            "gain": gain,
            "lag_deg": np.degrees(lag),
            "lag_ms": lag / (2 * np.pi * frequency),
        }
    )


def _strength_response(unit: Unit, n: int, amplitude: float) -> pd.DataFrame:
    strengths = np.linspace(0.0, 2.0 * amplitude, N_STRENGTHS)
    responses = unit.respond(np.repeat(strengths[:, None], n, axis=1))
    steady = responses[:, -max(1, round(LAST_PART * n)) :].mean(axis=1)
    return pd.DataFrame({"amplitude": strengths, "peak": responses.max(axis=1), "steady": steady})
