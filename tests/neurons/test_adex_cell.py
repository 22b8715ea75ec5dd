"""Adaptive exponential rate units: integrals by SciPy, the leaky limit, and the spiking neuron that they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from dynvision.errors import InputError
from dynvision.neurons import AdExCell, AdExConstants
from dynvision.neurons.adex_cell import rate_and_potential

CURRENTS = [-300.0, 100.0, 500.0, 545.9, 546.1, 560.0, 700.0, 1500.0, 5000.0]


def test_rate_and_potential_are_the_integrals():
    """Also close to the rheobase, where the neuron waits at the threshold; below it the potential rests."""
    c = AdExConstants()
    assert c.rheobase == pytest.approx(546.0) and c.tau == pytest.approx(9.3667, rel=1e-4)
    rate, potential = rate_and_potential(torch.tensor(CURRENTS, dtype=torch.float64), c)
    for current, found, mean in zip(CURRENTS, rate.tolist(), potential.tolist(), strict=True):

        def speed(v, current=current):
            return (c.gL * (c.EL - v + c.D * math.exp((v - c.VT) / c.D)) + current) / c.C

        if current < c.rheobase:
            assert found == 0.0 and speed(mean) == pytest.approx(0.0, abs=1e-9) and mean < c.VT
            continue
        parts = ((c.Vr, c.VT), (c.VT, c.Vs))
        time = sum(quad(lambda v: 1 / speed(v), *part, limit=500, epsabs=1e-12)[0] for part in parts)
        area = sum(quad(lambda v: v / speed(v), *part, limit=500, epsabs=1e-10)[0] for part in parts)
        assert found == pytest.approx(1 / time, rel=1e-9) and mean == pytest.approx(area / time, rel=1e-9)


def test_gradients_are_finite_differences():
    currents = torch.tensor([100.0, 500.0, 560.0, 900.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda j: rate_and_potential(j, AdExConstants()), currents)


def test_a_sharp_threshold_gives_the_leaky_neuron():
    """1 / F = tau ln((J / gL + EL - Vr) / (J / gL + EL - VT)), as D goes to 0."""
    c = AdExConstants(D=0.002)
    current = torch.tensor([700.0, 1000.0, 2000.0], dtype=torch.float64)
    end = current / c.gL + c.EL
    expected = 1 / (c.tau * torch.log((end - c.Vr) / (end - c.VT)))
    torch.testing.assert_close(rate_and_potential(current, c)[0], expected, rtol=5e-3, atol=0)


def spiking(current, c, duration_ms, dt=0.005):
    """Times of the spikes of the neuron of Brette & Gerstner (2005), by Euler steps."""
    v, w, spikes = c.EL, 0.0, []
    for step in range(round(duration_ms / dt)):
        drive = c.gL * (c.EL - v + c.D * math.exp(min((v - c.VT) / c.D, 30.0))) + current - w
        v, w = v + dt * drive / c.C, w + dt * (c.a * (v - c.EL) - w) / c.tau_w
        if v >= c.Vs:
            v, w = c.Vr, w + c.b
            spikes.append(step * dt)
    return np.array(spikes)


def test_it_fires_and_adapts_as_the_spiking_neuron():
    """At the onset as without adaptation, in the end as the neuron does; adaptation is slow (a third of its jumps)."""
    c, current = AdExConstants(b=25.0), 1500.0
    spikes = spiking(current, c, 900.0)
    cell = AdExCell(1, 1, c, ode_unfolds=2).double()
    with torch.no_grad():
        cell.input_weight.weight.fill_(current / c.rheobase)
        cell.input_weight.bias.zero_()
        cell.recurrent_weight.weight.zero_()
        rates, state = [], None
        for _ in range(900):
            rate, state = cell(torch.ones(1, 1, dtype=torch.float64), state, 1.0)
            rates.append(rate.item())
    last = 1000.0 * (len(spikes[spikes > 500.0]) - 1) / np.ptp(spikes[spikes > 500.0])
    assert rates[-1] == pytest.approx(last, rel=0.03)
    alone, adapted = (
        cell.rate_of_current(torch.tensor([current]).double(), on).item() for on in (False, True)
    )
    assert adapted == pytest.approx(rates[-1], rel=1e-3)
    assert max(rates) > 1.3 * adapted and max(rates) < alone
    first = 1000.0 / (spikes[1] - spikes[0])
    assert alone == pytest.approx(first, rel=0.15)
    assert rates[round(c.tau_w)] < 0.9 * max(rates)  # it adapts within the time constant of w


def test_fixed_points_below_rheobase_adapt_to_the_potential():
    """Without spikes w goes to a (V - EL), and J = I - w rests at V."""
    c = AdExConstants()
    cell = AdExCell(1, 1, c).double()
    with torch.no_grad():
        cell.input_weight.weight.fill_(0.5)
        cell.input_weight.bias.zero_()
    state = None
    for _ in range(400):
        rate, state = cell(torch.ones(1, 1, dtype=torch.float64), state, 5.0)
    w = state[0, 1].item()
    assert rate.item() == 0.0
    _, potential = rate_and_potential(torch.tensor(0.5 * c.rheobase - w).double(), c)
    assert w == pytest.approx(c.a * (potential.item() - c.EL), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdExConstants(C=0.0), "C=0 must be a positive"),
        (lambda: AdExConstants(VT=-80.0), "VT must be above"),
        (lambda: AdExConstants(a=-1.0), "a=-1"),
        (lambda: AdExConstants(EL=math.nan), "EL=nan"),
        (lambda: AdExCell(1, 1, ode_unfolds=0), "ode_unfolds=0"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
