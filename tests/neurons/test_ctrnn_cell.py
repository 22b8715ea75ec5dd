"""The continuous-time recurrent network: the leaky solvers of the convolutional networks, and the equation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from dynvision.errors import InputError
from dynvision.model_components import EulerStep, ExponentialEulerStep
from dynvision.neurons import RNN, CTRNNCell


def build(tau, n_units=4, **kwargs):
    torch.manual_seed(0)
    return CTRNNCell(3, n_units, tau, **kwargs).double()


def leaky_loop(cell, solver, inputs, n_steps):
    """The same network from the solver of a convolutional layer: drive from the state one step ago."""
    r = torch.zeros(len(inputs), cell.hidden_size, dtype=torch.float64)
    for _ in range(n_steps):
        drive = torch.tanh(
            inputs @ cell.input_weight.weight.T + cell.input_weight.bias + r @ cell.recurrent_weight.weight.T
        )
        r = solver([drive], r)
    return r


def test_a_step_is_the_exponential_euler_step_of_the_leaky_unit():
    cell, inputs = build(5.0, ode_unfolds=4), torch.randn(2, 3, dtype=torch.float64)
    expected = leaky_loop(cell, ExponentialEulerStep(dt=2.0, tau=5.0), inputs, 4)
    torch.testing.assert_close(cell(inputs, None, 8.0)[0], expected)


def test_it_agrees_with_euler_steps_to_first_order():
    cell, inputs, differences = build(5.0), torch.randn(2, 3, dtype=torch.float64), []
    for n in (10, 20, 40):
        cell.ode_unfolds = n
        euler = leaky_loop(cell, EulerStep(dt=20.0 / n, tau=5.0), inputs, n)
        differences.append((cell(inputs, None, 20.0)[0] - euler).abs().max().item())
    assert differences[0] / differences[2] > 3


def test_it_converges_to_the_rate_equation_with_order_one():
    taus = [2.0, 4.0, 8.0, 16.0]
    cell, x = build(taus), torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    with torch.no_grad():
        cell.recurrent_weight.weight.mul_(4.0)
    W, b = cell.input_weight.weight.detach().numpy(), cell.input_weight.bias.detach().numpy()
    U = cell.recurrent_weight.weight.detach().numpy()

    def rate(t, r):
        return (-r + np.tanh(W @ x[0].numpy() + b + U @ r)) / np.array(taus)

    exact, errors = solve_ivp(rate, (0, 10), np.zeros(4), rtol=1e-11, atol=1e-13).y[:, -1], []
    for cell.ode_unfolds in (20, 40, 80):
        errors.append(np.abs(cell(x, None, 10.0)[0][0].detach().numpy() - exact).max())
    orders = [math.log2(coarse / fine) for coarse, fine in zip(errors, errors[1:], strict=False)]
    assert orders[-1] == pytest.approx(1.0, abs=0.1)


def test_without_recurrence_it_is_exact_at_irregular_times():
    cell = build([1.0, 5.0, 25.0, 125.0], ode_unfolds=1)
    with torch.no_grad():
        cell.recurrent_weight.weight.zero_()
    inputs = torch.randn(2, 1, 3, dtype=torch.float64).expand(2, 6, 3)
    times = torch.tensor([[0.1, 3.0, 0.0, 50.0, 7.0, 1.0], [2.0] * 6], dtype=torch.float64)
    found, _ = RNN(cell)(inputs, elapsed_time=times)
    z = torch.tanh(cell.input_weight(inputs[:, 0]))
    passed = times.cumsum(1)[:, :, None] / torch.tensor([1.0, 5.0, 25.0, 125.0], dtype=torch.float64)
    torch.testing.assert_close(found, z[:, None] * (1 - torch.exp(-passed)))


def test_time_constants_are_learned_only_where_that_is_asked_for():
    fixed, learned = build(5.0), build([5.0, 6.0, 7.0, 8.0], train_tau=True)
    assert "log_tau" not in dict(fixed.named_parameters()) and "log_tau" in fixed.state_dict()
    assert "log_tau" in dict(learned.named_parameters())
    torch.testing.assert_close(learned.tau, torch.tensor([5.0, 6.0, 7.0, 8.0]).double(), rtol=1e-6, atol=0)
    learned(torch.randn(2, 3).double())[0].sum().backward()
    assert learned.log_tau.grad.all()


@pytest.mark.parametrize("tau", [0.0, -1.0, math.inf, [1.0, 2.0], [1.0, 2.0, 3.0, 0.0]])
def test_impossible_time_constants_are_refused(tau):
    with pytest.raises(InputError, match="one positive number of ms, or one for each of the 4 units"):
        build(tau)
    with pytest.raises(InputError, match="ode_unfolds=0"):
        build(5.0, ode_unfolds=0)
