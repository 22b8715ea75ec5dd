"""Liquid units: a plain loop over scalars, the differential equation, bounds, and the leaky unit as a special case."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from dynvision.model_components import LiquidStep
from dynvision.models import create
from tests.base.networks import randomize

DT, TAU = 2.0, 5.0


def build(n_channels, seed=0, **kwargs):
    solver = LiquidStep(DT, TAU, n_channels=n_channels, **kwargs).double()
    return randomize(solver, seed, gain=1.0)


def run(solver, drives):
    """Activity at every step for drives (T, B, C, H, W)."""
    r, found = None, []
    for z in drives:
        r = solver([z], r)
        found.append(r)
    return torch.stack(found)


def test_a_layer_is_a_loop_over_its_units():
    solver = build(3)
    drives = torch.randn(6, 2, 3, 4, 5, dtype=torch.float64)
    found = run(solver, drives)
    for b, c, y, x in np.ndindex(2, 3, 4, 5):
        w, s = math.exp(solver.log_strength[c].item()), solver.slope[c].item()
        m, reversal = solver.threshold[c].item(), solver.reversal[c].item()
        r = 0.0
        for t in range(6):
            z = drives[t, b, c, y, x].item()
            g = w / (1.0 + math.exp(-s * (z - m)))
            # tau (r' - r) / dt = -r' + z + g (E - r'), solved for r'
            r = (r * TAU / DT + z + g * reversal) / (TAU / DT + 1.0 + g)
            assert found[t, b, c, y, x].item() == pytest.approx(r, rel=1e-12)


def test_it_converges_to_the_liquid_equation():
    """First order in dt, for a drive that changes in time."""

    def drive(t):
        return 1.5 * np.sin(t / 7.0) + 0.5

    solver = build(1)
    w, s, m, reversal = (
        float(p.detach())
        for p in (solver.log_strength.exp(), solver.slope, solver.threshold, solver.reversal)
    )

    def rate(t, r):
        z = drive(t)
        return (-r + z + w / (1 + np.exp(-s * (z - m))) * (reversal - r)) / TAU

    exact = solve_ivp(rate, (0, 40), [0.0], rtol=1e-10, atol=1e-12).y[0, -1]
    errors = []
    for dt in (1.0, 0.5, 0.25, 0.125):
        solver.dt, r = dt, None
        for k in range(1, round(40 / dt) + 1):
            r = solver([torch.tensor([[[[drive(k * dt)]]]], dtype=torch.float64)], r)
        errors.append(abs(r.item() - exact))
    orders = [math.log2(coarse / fine) for coarse, fine in zip(errors, errors[1:], strict=False)]
    assert orders[-1] == pytest.approx(1.0, abs=0.1)


@given(
    dt=st.floats(0.01, 1000),
    tau=st.floats(0.01, 1000),
    scale=st.floats(0.01, 1000),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_activity_stays_between_what_it_is_drawn_to(dt, tau, scale, seed):
    solver = randomize(LiquidStep(dt, tau, n_channels=2).double(), seed)
    drives = scale * torch.randn(20, 1, 2, 3, 3, dtype=torch.float64)
    found = run(solver, drives)
    bound = max(drives.abs().max().item(), solver.reversal.abs().max().item())
    assert found.abs().max().item() <= bound * (1 + 1e-12)


def test_without_conductance_it_is_the_leaky_unit():
    solver = build(2)
    with torch.no_grad():
        solver.log_strength.fill_(-math.inf)
    drives = torch.randn(8, 2, 2, 3, 3, dtype=torch.float64)
    r = torch.zeros_like(drives[0])
    for z, found in zip(drives, run(solver, drives), strict=True):
        r = (r + DT / TAU * z) / (1 + DT / TAU)  # implicit Euler: r' = r + dt / tau (z - r')
        torch.testing.assert_close(found, r)


def test_a_stronger_conductance_is_faster():
    """One step closes dt / (dt + tau / (1 + g)) of the way to the resting value (z + g E) / (1 + g)."""
    solver, z = build(1), torch.full((1, 1, 1, 1), 0.7, dtype=torch.float64)
    g = solver.conductance(z)
    rest = (z + g * solver.reversal) / (1 + g)
    assert solver.gain() == pytest.approx(DT / (DT + TAU))
    torch.testing.assert_close(solver([z], None) / rest, DT / (DT + TAU / (1 + g)))


def test_every_parameter_of_a_liquid_network_learns():
    model = create(
        "DyRCNNx4",
        input_dims=(4, 3, 16, 16),
        n_classes=3,
        dynamics_solver="liquid",
        t_recurrence=2.0,
        train_tau=True,
    )
    names = {name for name, _ in model.named_parameters()}
    assert {f"tstep_IT.{p}" for p in ("log_strength", "slope", "threshold", "reversal", "log_tau")} <= names
    assert model.tstep_IT.slope.shape == (256, 1, 1)
    randomize(model)
    model(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
