"""Delayed normalisation of a layer's output: the closed form, the order of the solver, and what a fit finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from dynvision.base import CoreModel
from dynvision.model_components import (
    DivisiveNormalization,
    EulerStep,
    ExponentialEulerStep,
    RecurrentConnectedConv2d,
)


class OneUnit(CoreModel):
    """A leaky unit whose output is normalised; its weight is 1."""

    def __init__(
        self, solver: type, tau: float, tau_n: float, sigma: float, n: float, **kwargs: object
    ) -> None:
        self.settings = solver, tau, tau_n, sigma, n
        super().__init__(input_dims=(1, 1, 1, 1), n_classes=1, **kwargs)
        self.double()

    def _define_architecture(self) -> None:
        solver, tau, tau_n, sigma, n = self.settings
        self.layer_names = ["V1"]
        self.layer_operations = ["layer", "tstep", "nonlin", "norm", "record", "delay"]
        self.V1 = RecurrentConnectedConv2d(1, 1, 1, recurrence_type="none", bias=False, dt=self.dt)
        self.tstep = solver(self.dt, tau)
        self.nonlin = nn.ReLU()
        self.norm = DivisiveNormalization(tau_n, self.dt, sigma, n)
        self.classifier = nn.Linear(1, 1)

    @torch.no_grad()
    def _init_parameters(self) -> None:
        self.V1.conv.weight.fill_(1.0)


def response(dt: float, duration_ms: float, solver: type = EulerStep, **numbers: float) -> np.ndarray:
    """The unit's output at the ends of its steps, for a step of drive 1."""
    model = OneUnit(solver, dt=dt, n_timesteps=round(duration_ms / dt), **numbers)
    seen: list[torch.Tensor] = []
    with torch.no_grad():
        model(torch.ones(1, 1, 1, 1, dtype=torch.float64), observer=lambda _, f: seen.extend(f.steps()))
    return np.array([float(r) for r in seen])


def closed_form(t: np.ndarray, tau: float, tau_n: float, sigma: float, n: float) -> np.ndarray:
    """The output for a step of drive 1: y and its low-pass p solved by hand, r from both."""
    y = 1 - np.exp(-t / tau)
    p = 1 - (tau_n * np.exp(-t / tau_n) - tau * np.exp(-t / tau)) / (tau_n - tau)
    return sigma**n * y**n / (sigma**n + p**n)


NUMBERS = {"tau": 20.0, "tau_n": 90.0, "sigma": 0.4, "n": 1.6}


def test_a_unit_driven_by_a_step_follows_the_closed_form_to_first_order() -> None:
    errors = []
    for dt in (2.0, 1.0, 0.5, 0.25):
        t = dt * np.arange(1, round(200 / dt) + 1)
        errors.append(np.abs(response(dt, 200, **NUMBERS) - closed_form(t, **NUMBERS)).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(orders - 1) < 0.2), orders
    assert errors[-1] < 0.01


def test_the_response_overshoots_and_settles_where_the_equation_says() -> None:
    r = response(1.0, 1500, **NUMBERS)
    settled = NUMBERS["sigma"] ** 1.6 / (NUMBERS["sigma"] ** 1.6 + 1)
    assert r[-1] == pytest.approx(settled, rel=1e-4) and r.max() > 2 * settled


def test_the_gain_of_a_silent_pool_is_one() -> None:
    norm = DivisiveNormalization(100.0, 2.0, sigma=0.3, n=1.0)
    y = torch.rand(2, 3, 4, 4)
    r, _ = norm.step(y, torch.zeros_like(y), None)
    assert torch.all(r <= y) and torch.all(r >= 0.9 * y * 0.3 / (0.3 + 0.02))
    learned = DivisiveNormalization(100.0, 2.0, sigma=0.3, learned=("sigma", "gain.channel"), n_channels=3)
    assert torch.allclose(learned.step(y, None, None)[0], norm.step(y, None, None)[0])
    assert learned.log_gain is not None and learned.log_gain.shape == (3, 1, 1)


@pytest.mark.parametrize(
    ("pool", "size"), [("unit", 0), ("channel", 0), ("channel", 3), ("layer", 1), ("layer", 5)]
)
def test_pools_are_means_over_their_neighbourhood(pool: str, size: int) -> None:
    y = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    norm = DivisiveNormalization(2.0, 2.0, pool=pool, size=size)
    _, p = norm.step(y, None, None)  # of tau_n = dt, p is the pool
    for b, c, i, j in ((0, 0, 0, 0), (1, 2, 3, 4)):
        rows = slice(None) if not size else slice(max(0, i - size // 2), i + size // 2 + 1)
        columns = slice(None) if not size else slice(max(0, j - size // 2), j + size // 2 + 1)
        expected = {
            "unit": y[b, c, i, j],
            "channel": y[b, c, rows, columns].mean(),
            "layer": y[b, :, rows, columns].mean(),
        }[pool]
        got = p.expand(2, 3, 6, 6)[b, c, i, j]
        assert float(got) == pytest.approx(float(expected))


def test_steps_at_once_are_single_steps() -> None:
    norm = DivisiveNormalization(
        50.0, 2.0, sigma=0.5, n=2.0, learned=("sigma.channel",), n_channels=3
    ).double()
    x = torch.randn(5 * 2, 3, 4, 4, dtype=torch.float64)
    start = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    at_once, last = norm.run(x, 5, start)
    state, single = start, []
    for frame in x.split(2):
        r, state = norm.step(frame, state, None)
        single.append(r)
    torch.testing.assert_close(at_once, torch.cat(single), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last, state, rtol=1e-12, atol=1e-12)


def test_the_leak_and_the_recurrence_hear_the_plain_activity() -> None:
    """Activity before normalisation does not depend on the normalisation at all."""
    plain = response(2.0, 100, ExponentialEulerStep, **{**NUMBERS, "sigma": 1e6, "n": 1.0})
    assert plain == pytest.approx([1 - math.exp(-t / 20) for t in np.arange(2, 102, 2)], rel=1e-4)
