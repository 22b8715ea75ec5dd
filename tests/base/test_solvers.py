"""Solvers: measured order of convergence on a delay equation with a known solution, and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from dynvision.errors import InputError
from dynvision.model_components import (
    SOLVERS,
    EulerStep,
    ExponentialEulerStep,
    RungeKuttaStep,
    StatefulOperation,
    find_solver,
)
from tests.schemes import euler_step, leak_rate, rk4_step

TAU, W, D = 10.0, 1.7, 16.0  # ms, 1, ms
# x = exp(lambda t) solves tau x' = -x + w x(t - D) where tau lambda = -1 + w exp(-lambda D)
RATE = brentq(lambda rate: TAU * rate + 1 - W * math.exp(-rate * D), 0, 1)


def tensor(value):
    return torch.tensor([value], dtype=torch.float64)


def solve(solver, dt, end=64.0):
    """tau x' = -x + w x(t - D) from an exact history; returns x at the end.

    The solver is given z at t, t - dt, ... for the step that ends at t.
    """
    delay = round(D / dt)
    x = {k: math.exp(RATE * k * dt) for k in range(-delay - solver.history, 1)}
    for k in range(1, round(end / dt) + 1):
        drives = [tensor(W * x[k - j - delay]) for j in range(solver.history + 1)]
        x[k] = one_step(solver, drives, tensor(x[k - 1])).item()
    return x[round(end / dt)]


def leaky(name, dt):
    """A solver of the leaky unit; liquid units are that without their conductance, organics without weights."""
    solver = find_solver(name)(dt, TAU).double()
    if name == "liquid":
        torch.nn.init.constant_(solver.log_strength, -math.inf)
    if name == "organics":
        torch.nn.init.constant_(solver.log_weights, -math.inf)
    return solver


def one_step(solver, drives, h):
    """A step of a unit; of a solver with a state of its own the first one."""
    if not isinstance(solver, StatefulOperation):
        return solver(drives, h)
    shaped = [x.reshape(-1, 1, 1, 1) for x in (drives[0], h)]
    return solver(shaped[0], None, shaped[1])[0].reshape(drives[0].shape)


@pytest.mark.parametrize(
    ("name", "order"), [("euler", 1), ("exponential_euler", 1), ("rk4", 4), ("liquid", 1), ("organics", 1)]
)
def test_measured_order_of_convergence(name, order):
    steps = [2.0, 1.0, 0.5, 0.25]
    errors = [abs(solve(leaky(name, dt), dt) - math.exp(RATE * 64.0)) for dt in steps]
    orders = [math.log2(coarse / fine) for coarse, fine in zip(errors, errors[1:], strict=False)]
    assert orders[-1] == pytest.approx(order, abs=0.2), (errors, orders)
    assert len(SOLVERS) == 5  # a new solver needs its order here


def test_exponential_euler_is_exact_for_a_constant_drive():
    solver, r = ExponentialEulerStep(dt=7.0, tau=5.0), None
    for n in range(1, 6):
        r = solver([tensor(3.0)], r)
        assert r.item() == pytest.approx(3.0 * (1 - math.exp(-n * 7.0 / 5.0)), rel=1e-14)


def test_euler_is_the_textbook_step():
    r, z = torch.randn(2, 5, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(EulerStep(2.0, 5.0)([z], r), r + 2.0 / 5.0 * (z - r))
    torch.testing.assert_close(
        EulerStep(2.0, 5.0)([z], r), euler_step(lambda s, x: leak_rate(x, z, 5.0), r, 2.0)
    )
    torch.testing.assert_close(EulerStep(2.0, 5.0)([z], None), 2.0 / 5.0 * z)  # before the start, r = 0


@pytest.mark.parametrize("n_known", [1, 2, 3, 4])
@pytest.mark.parametrize("tau", [1.0, 5.0, 40.0])
def test_rk4_is_the_generic_scheme_on_the_interpolated_drive(n_known, tau):
    """The drive is a polynomial through all drives that are known: a cubic, and fewer right after a start."""
    torch.manual_seed(n_known)
    drives = list(torch.randn(n_known, 6, dtype=torch.float64))
    r = torch.randn(6, dtype=torch.float64)
    at = -np.arange(n_known)  # the newest is the end of the step, in units of dt
    fitted = np.polyfit(at, torch.stack(drives).numpy(), n_known - 1)

    def drive(s):  # s = 0 begins the step, s = 1 ends it
        return torch.tensor(sum(c * (s - 1.0) ** (n_known - 1 - i) for i, c in enumerate(fitted)))

    expected = rk4_step(lambda s, x: leak_rate(x, drive(s), tau), r, 2.0)
    torch.testing.assert_close(RungeKuttaStep(dt=2.0, tau=tau)(drives, r), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_learned_time_constant_is_positive_and_learns(name):
    solver = find_solver(name)(2.0, 5.0, train_tau=True).double()
    assert float(solver.tau.detach()) == pytest.approx(5.0)
    z, r = tensor(1.0), tensor(0.2)
    fixed = find_solver(name)(2.0, 5.0).double()
    torch.testing.assert_close(one_step(solver, [z], r), one_step(fixed, [z], r), rtol=1e-6, atol=0)
    one_step(solver, [z], r).sum().backward()
    assert solver.log_tau.grad.abs() > 0
    with torch.no_grad():
        solver.log_tau.fill_(-30.0)
    assert float(solver.tau.detach()) > 0
    assert one_step(solver, [z], r).isfinite().all()


def test_euler_refuses_a_step_longer_than_tau():
    with pytest.raises(InputError, match="dt=6 ms is larger than tau=5 ms.*exponential_euler"):
        EulerStep(dt=6.0, tau=5.0)
    with pytest.raises(InputError, match="tau=0 ms must be a positive"):
        ExponentialEulerStep(tau=0.0)
    with pytest.raises(InputError, match="did you mean 'euler'"):
        find_solver("eulr")
