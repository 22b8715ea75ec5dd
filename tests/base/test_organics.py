"""ORGaNICs: where they rest, that every resting state is stable, bounds for all inputs, and the order of a step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from dynvision.config.run import resolve_model_args
from dynvision.model_components import OrganicsStep
from dynvision.models import create
from tests.base.networks import randomize
from tests.base.registered import assert_refused
from tests.base.small import Small, build, compare

NUMBERS = st.fixed_dictionaries(
    {
        "dt": st.floats(0.01, 10),
        "tau": st.floats(0.1, 100),
        "slower": st.floats(1, 100),
        "sigma": st.floats(0.03, 3),
        "scale": st.floats(0.01, 100),
        "n": st.integers(1, 5),
        "seed": st.integers(0, 1000),
    }
)


def circuit(dt: float, tau: float, slower: float, sigma: float, n: int, seed: int, **_: Any) -> OrganicsStep:
    """A circuit of n channels with random weights; its normalising cells may be faster or slower than the others."""
    solver = OrganicsStep(dt, tau, n_channels=n, tau_n=dt * slower, sigma=sigma).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        solver.log_weights.copy_(2 * torch.randn(n, n, generator=generator, dtype=torch.float64) - 1)
    return solver


def drive(numbers: dict[str, Any], n_steps: int) -> torch.Tensor:
    """Drives (T, 1, C, 1, 1) of both signs."""
    generator = torch.Generator().manual_seed(numbers["seed"] + 1)
    shape = (n_steps, 1, numbers["n"], 1, 1)
    return numbers["scale"] * torch.randn(shape, generator=generator, dtype=torch.float64)


def jacobian(
    solver: OrganicsStep, y: torch.Tensor, a: torch.Tensor, z: torch.Tensor, what: str
) -> np.ndarray:
    """The Jacobian of the rates, or of a step, at a state; of the stacked y and a."""

    def function(state: torch.Tensor) -> torch.Tensor:
        parts = state.reshape(2, *y.shape)
        changed = solver.rates(*parts, z) if what == "rates" else solver.step(z, parts[1], parts[0])
        return torch.stack(changed).flatten()

    found = torch.autograd.functional.jacobian(function, torch.stack((y, a)).detach().flatten())
    return found.numpy()


@given(NUMBERS)
@settings(max_examples=60, deadline=None)
def test_it_rests_in_the_normalisation_equation_and_the_rest_is_stable(numbers: dict[str, Any]) -> None:
    solver, z = circuit(**numbers), drive(numbers, 1)[0]
    y, a = solver.resting(z)
    weights, squares = solver.weights.detach().numpy(), z.flatten().numpy() ** 2
    expected = z.flatten().numpy() / np.sqrt(numbers["sigma"] ** 2 + weights @ squares)
    np.testing.assert_allclose(y.detach().flatten(), expected, rtol=1e-10)
    for rate, size in zip(
        solver.rates(y, a, z), (z, a), strict=True
    ):  # of the rates, what cancels is this large
        assert rate.abs().max() <= 1e-9 * size.abs().max() / min(numbers["tau"], solver.tau_n)
    after = solver.step(z, a, y)
    torch.testing.assert_close(after[0], y, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(after[1], a, rtol=1e-9, atol=1e-12)
    eigenvalues = np.linalg.eigvals(jacobian(solver, y, a, z, "rates"))
    assert eigenvalues.real.max() < 0, eigenvalues
    assert np.abs(np.linalg.eigvals(jacobian(solver, y, a, z, "step"))).max() < 1


@given(NUMBERS)
@settings(max_examples=60, deadline=None)
def test_activity_is_bounded_for_every_input(numbers: dict[str, Any]) -> None:
    solver, drives = circuit(**numbers), drive(numbers, 60)
    y, a = None, solver.start()
    largest, sigma = drives.abs().max().item(), numbers["sigma"]
    most = largest * (1 + numbers["tau"] / (sigma * numbers["dt"]))
    highest = sigma**2 + solver.weights.sum(dim=1).max().item() * most**2
    for z in drives:
        y, a = solver.step(z, a, y)
        assert y.abs().max().item() <= largest / sigma * (1 + 1e-12)
        assert sigma**2 * (1 - 1e-12) <= a.min().item() and a.max().item() <= highest * (1 + 1e-12)


def test_it_settles_from_silence() -> None:
    solver = circuit(dt=1.0, tau=10.0, slower=40.0, sigma=0.5, n=3, seed=4)
    z = torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64).reshape(1, 3, 1, 1)
    y, a = None, None
    largest = 0.0
    for _ in range(3000):
        y, a = solver.step(z, a, y)
        largest = max(largest, y[0, 1].item())
    torch.testing.assert_close(y, solver.resting(z)[0], rtol=1e-9, atol=1e-12)
    assert largest > 1.5 * y[0, 1].item()  # the normalising cells are slower: it overshoots


def test_it_converges_to_the_equation_to_first_order() -> None:
    weights = np.array([[0.8, 0.1], [0.6, 0.3]])

    def z(t: float) -> np.ndarray:
        return np.array([1.5 * np.sin(t / 9.0) + 0.5, np.cos(t / 15.0)])

    def rate(t: float, state: np.ndarray) -> np.ndarray:
        y, a = state[:2], state[2:]
        return np.concatenate([(z(t) - np.sqrt(a) * y) / 8.0, (-a + 0.16 + weights @ (y**2 * a)) / 25.0])

    exact = solve_ivp(rate, (0, 60), [0, 0, 0.16, 0.16], rtol=1e-10, atol=1e-12).y[:, -1]
    errors = []
    for dt in (1.0, 0.5, 0.25, 0.125):
        solver = OrganicsStep(dt, 8.0, n_channels=2, tau_n=25.0, sigma=0.4).double()
        with torch.no_grad():
            solver.log_weights.copy_(torch.tensor(weights).log())
        y, a = None, None
        for k in range(1, round(60 / dt) + 1):
            y, a = solver.step(torch.tensor(z(k * dt)).reshape(1, 2, 1, 1), a, y)
        errors.append(np.abs(np.concatenate([y.detach().flatten(), a.detach().flatten()]) - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(1.0, abs=0.1), (errors, orders)


@pytest.mark.parametrize("position", ["state", "drive"])
def test_outputs_and_gradients_are_those_of_the_textbook_loop(position: str) -> None:
    model = build(
        Small, dynamics_solver="organics", nonlinearity_position=position, feedback="additive", t_feedback=4.0,
        t_recurrence=4.0, t_idle=4.0, sigma={"V2": 0.4}, train=["sigma", "tau.channel"],
        tau_divisive_normalization={"first": 20.0, "last": 80.0},
    )  # fmt: skip
    video = torch.randn(2, 7, 2, 10, 10, dtype=torch.float64)
    compare(model, video, video)


def test_hooks_hear_every_step() -> None:
    model, calls = build(Small, dynamics_solver="organics"), []
    x = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    expected = model(x)
    model.tstep_V2.register_forward_hook(lambda *_: calls.append(1))
    assert torch.equal(model(x), expected) and len(calls) == 7


def test_a_network_of_them_is_by_layer_and_every_parameter_learns() -> None:
    x = torch.randn(2, 3, 16, 16)
    common = {
        "input_dims": (6, 3, 16, 16),
        "n_classes": 4,
        "dynamics_solver": "organics",
        "t_recurrence": 2.0,
    }
    answers = [
        randomize(create("DyRCNNx4", **common, **own))(x)
        for own in (
            {},
            {"sigma": {"V2": 0.3}},
            {"tau_divisive_normalization": {"V2": 20.0}},
            {"tau": {"V2": 9.0}},
        )
    ]
    assert all(not torch.equal(answers[0], other) for other in answers[1:])
    model = randomize(create("DyRCNNx4", **common, train=["tau", "sigma.channel"]))
    model(x).square().sum().backward()
    names = {name for name, _ in model.named_parameters()}
    assert {"tstep_V2.log_weights", "tstep_V2.log_sigma", "tstep_V2.log_tau"} <= names
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"tau_divisive_normalization": 1.0},
            "tau_divisive_normalization=1 ms must not be smaller than dt=2 ms",
        ),
        ({"sigma": {"V1": 0.0}}, "sigma.V1=0 is not valid: it must be above 0"),
        ({"train": ["normalization_gain"]}, "train: normalization_gain is of the normalisation"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_sentence(arguments: dict[str, Any], sentence: str) -> None:
    assert_refused({"dynamics_solver": "organics", **arguments}, sentence)
    assert math.isfinite(resolve_model_args("DyRCNNx4", {"dynamics_solver": "organics"}).tau)
