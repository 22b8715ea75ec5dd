"""The code of the page "Comparison: ember_ml.core.base vs ember_ml.nn.modules.base_module"; what had to be adapted says so.

What the page imports from ember_ml is imported from dynvision.neurons, and its `ops` are plain arithmetic and torch.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from dynvision.neurons import (
    LSTM,
    BaseChain,
    BaseModule,
    BaseNeuron,
    FullyConnected,
    Linear,
    LSTMCell,
    LTCCell,
    LTCChain,
    LTCNeuron,
    Module,
    ModuleCell,
    Parameter,
)


def signature(function):
    return {
        name: p.default
        for name, p in inspect.signature(function).parameters.items()
        if name not in ("self", "kwargs") and p.kind != inspect.Parameter.KEYWORD_ONLY  # which are ours
    }


EMPTY = inspect.Parameter.empty


# --- classes and signatures ------------------------------------------------------------------------------------------


def test_hierarchy():
    assert issubclass(LTCNeuron, BaseNeuron) and issubclass(LTCChain, BaseChain)
    assert inspect.isabstract(BaseNeuron) and inspect.isabstract(BaseChain)
    assert Module is BaseModule and all(issubclass(c, Module) for c in (Linear, LSTM, LSTMCell, LTCCell))
    assert issubclass(ModuleCell, Module)


def test_signatures():
    assert signature(LTCNeuron) == {"neuron_id": EMPTY, "tau": 1.0, "dt": 0.01, "gleak": 0.5, "cm": 1.0}
    assert signature(BaseNeuron) == {"neuron_id": EMPTY, "tau": 1.0, "dt": 0.01}
    assert list(signature(BaseNeuron.update)) == ["input_signal"]
    assert "kwargs" in inspect.signature(LTCNeuron.update).parameters
    assert list(signature(BaseChain.update)) == ["input_signals"]
    assert signature(LTCChain)["base_tau"] == 1.0
    # **kwargs of the page's LTCCell go to Module, which takes none; here they are refused at once.
    assert signature(LTCCell) == {
        "wiring": EMPTY,
        "in_features": None,
        "input_mapping": "affine",
        "output_mapping": "affine",
        "ode_unfolds": 6,
        "epsilon": 1e-8,
        "implicit_param_constraints": False,
    }
    # The page gives `states` no default; here None is the state before the first input, as of the other cells.
    # `training` is what the page says of ModuleCell.forward.
    assert signature(LTCCell.forward) == {
        "inputs": EMPTY,
        "states": None,
        "elapsed_time": 1.0,
        "training": None,
    }
    assert list(signature(ModuleCell.forward)) == ["inputs", "state"]
    with pytest.raises(TypeError):
        LTCCell(FullyConnected(3), 2, wire=1)


# --- a neuron of one's own -------------------------------------------------------------------------------------------


class PageNeuron(BaseNeuron):
    """LTCNeuron as the page defines it, with operators in place of `ops`."""

    def __init__(self, neuron_id, tau=1.0, dt=0.01, gleak=0.5, cm=1.0):
        super().__init__(neuron_id, tau, dt)
        self.gleak = gleak
        self.cm = cm
        self.last_prediction = 0.0

    def _initialize_state(self):  # abstract on the page as well, which does not show one
        return 0.0

    def update(self, input_signal, **kwargs):
        # Calculate state update using differential equation
        dh = 1.0 / self.tau * (input_signal - self.state)
        dh = dh - self.gleak * self.state

        # Update state using numerical integration
        state_change = self.dt * dh / self.cm
        self.state = self.state + state_change

        # Store history
        self.history.append(self.state)

        return self.state


def test_ltc_neuron_computes_what_the_page_does():
    theirs, ours = PageNeuron(0, 2.0, 0.1, 0.3, 1.5), LTCNeuron(0, 2.0, 0.1, 0.3, 1.5)
    for signal in torch.randn(30, dtype=torch.float64).tolist():
        assert ours.update(signal) == pytest.approx(theirs.update(signal), rel=1e-12)
    assert ours.history == pytest.approx(theirs.history, rel=1e-12)
    assert theirs.save_state()["state"] == theirs.state
    theirs.reset()
    assert (theirs.state, theirs.history) == (0.0, [])


# --- examples --------------------------------------------------------------------------------------------------------


def test_usage_of_neurons():
    # Create a neuron
    neuron = LTCNeuron(neuron_id=0, tau=1.0, dt=0.01)

    # Update state with input
    state = neuron.update(input_signal=0.5)
    assert state == pytest.approx(0.005) and neuron.state == state and neuron.history == [state]

    # Create a chain
    chain = LTCChain(num_neurons=5, base_tau=1.0)

    # Update chain with inputs
    states = chain.update(input_signals=[0.1, 0.2, 0.3, 0.4, 0.5])
    assert states.shape == (5,) and (states > 0).all()
    assert chain.taus == pytest.approx([1.5**i for i in range(5)])  # progressive


def test_states_are_saved_and_loaded():
    neuron = LTCNeuron(neuron_id=0)
    neuron.update(0.5)
    saved = neuron.save_state()
    neuron.reset()
    assert neuron.state == 0.0 and neuron.history == []
    neuron.load_state(saved)
    assert neuron.state == pytest.approx(0.005) and neuron.history == [neuron.state]


def test_usage_of_modules():
    input_sequence, input_step = torch.randn(2, 7, 10), torch.randn(2, 10)  # not shown on the page
    state = None

    # Create a module
    module = LSTM(input_size=10, hidden_size=20)

    # Forward pass
    output, (h_n, c_n) = module(input_sequence)
    assert output.shape == (2, 7, 20) and h_n.shape == c_n.shape == (1, 2, 20)

    # Create a cell
    cell = LSTMCell(input_size=10, hidden_size=20)

    # Single step
    output, new_state = cell(input_step, state)
    assert output.shape == (2, 20)
    output, _ = cell(input_step, new_state)  # a state can be given back
    assert output.shape == (2, 20)


def test_parameters_register_themselves():
    class Dense(Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.weight = Parameter(torch.randn((input_size, hidden_size)))
            self.bias = Parameter(torch.zeros(hidden_size))

    dense = Dense(3, 4).to(torch.float64)
    assert [name for name, _ in dense.named_parameters()] == ["weight", "bias"]
    assert dense.weight.dtype == torch.float64 and dense.weight.requires_grad


def test_a_cell_of_ones_own():
    class MyCell(ModuleCell):
        def __init__(self, input_size, hidden_size):
            super().__init__(
                input_size, hidden_size
            )  # sets self.activation; the page does not show this part
            self.input_projection = nn.Linear(input_size, hidden_size)

        def forward(self, inputs, state=None, **kwargs):
            # Project inputs
            projected_input = self.input_projection(inputs)

            # Apply activation
            activated = self.activation(projected_input)

            # Update state
            new_state = activated

            return activated, new_state

    cell, inputs = MyCell(3, 4), torch.randn(2, 3)
    output, new_state = cell(inputs, cell.reset_state(2), training=True)
    torch.testing.assert_close(output, torch.tanh(cell.input_projection(inputs)))
    assert new_state is output
    with pytest.raises(NotImplementedError):
        ModuleCell(3, 4)(inputs)


def test_ltc_cell():
    cell = LTCCell(FullyConnected(8, 2), in_features=3)
    assert all(isinstance(p, Parameter) and p.shape == (8,) for p in (cell.gleak, cell.vleak, cell.cm))
    outputs, next_state = cell(torch.randn(5, 3), torch.zeros(5, 8), elapsed_time=0.5)
    assert outputs.shape == (5, 2) and next_state.shape == (5, 8)
    assert outputs.requires_grad
