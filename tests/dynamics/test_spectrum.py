"""The linearised step of a layer against the dense matrix, the characteristic polynomial and finite differences."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigs

from dynvision.base import Frames
from dynvision.base.frames import Trace
from dynvision.dynamics import layer_spectra, leading_eigenvalues, linearize, time_constant_ms
from dynvision.models import create
from tests.base.networks import randomize
from tests.dynamics.one_layer import DT, TAU, OneLayer, image


def recurrent_matrix(model, channels=2, size=3):
    """W, one column for each unit."""
    units = torch.eye(channels * size * size, dtype=torch.float64).view(-1, channels, size, size)
    with torch.no_grad():
        zero = model.V1.recurrent_signal(torch.zeros_like(units[:1]))
        return (model.V1.recurrent_signal(units) - zero).flatten(1).T.numpy()


def companion(w, gain, steps):
    """J of a leaky layer with all units active, written out."""
    n = len(w)
    j = np.zeros((n * steps, n * steps))
    j[: n * (steps - 1), n:] = np.eye(n * (steps - 1))
    j[-n:, -n:] += (1 - gain) * np.eye(n)
    j[-n:, :n] += gain * w
    return j


def by_modulus(values):
    return values[np.lexsort((-values.imag, -values.real, -np.abs(values).round(9)))]


@pytest.mark.parametrize("t_recurrence", [2.0, 6.0])
def test_the_operator_is_the_companion_matrix_of_the_layer(t_recurrence):
    model = randomize(OneLayer(t_recurrence=t_recurrence), gain=0.5)
    (layer_map,) = linearize(model, image(), 30, all_active=True)
    expected = companion(recurrent_matrix(model), DT / TAU, round(t_recurrence / DT))
    np.testing.assert_allclose(layer_map.dense(), expected, atol=1e-12)


def test_units_below_threshold_pass_nothing():
    model = randomize(OneLayer(), gain=0.5)
    (layer_map,) = linearize(model, image(), 60)
    state = []
    with torch.no_grad():
        model.advance(
            Frames(0, 61, image(), constant=True),
            model.initial_state(1),
            observer=lambda _, f: state.append(f),
        )
    active = (state[-1].steps()[-1] > 0).flatten().numpy()
    assert 0 < active.sum() < len(active)
    expected = companion(recurrent_matrix(model), DT / TAU, 3)
    expected[-len(active) :] *= active[:, None]
    np.testing.assert_allclose(layer_map.dense(), expected, atol=1e-12)


def test_eigenvalues_solve_the_characteristic_polynomial():
    model = randomize(OneLayer(), gain=0.5)
    (layer_map,) = linearize(model, image(), 30, all_active=True)
    gain, steps = DT / TAU, 3
    roots = [
        np.roots([1, -(1 - gain), *[0] * (steps - 2), -gain * mu])
        for mu in np.linalg.eigvals(recurrent_matrix(model))
    ]
    expected = by_modulus(np.concatenate(roots))[:6]
    np.testing.assert_allclose(leading_eigenvalues(layer_map, 6)[0], expected, atol=1e-9)


def test_arnoldi_agrees_with_the_dense_matrix():
    model = randomize(OneLayer(channels=4), gain=0.7)
    (layer_map,) = linearize(model, image(), 30, all_active=True)
    assert layer_map.n_states == 4 * 9 * 3 > 64  # so that the iteration is used
    dense = by_modulus(np.linalg.eigvals(layer_map.dense()))
    found, tolerance = leading_eigenvalues(layer_map, 6)
    assert tolerance == 1e-8
    np.testing.assert_allclose(np.abs(found), np.abs(dense[:6]), rtol=1e-7)
    direct = eigs(layer_map.dense(), 1, which="LM", return_eigenvectors=False)
    assert abs(found[0]) == pytest.approx(abs(direct[0]), rel=1e-7)


@pytest.mark.parametrize("weight", [-0.5, 0.3, 0.9])
def test_self_recurrence_without_delay_has_a_time_constant_in_closed_form(weight):
    """tau dr/dt = -r + w r decays with tau / (1 - w); Euler has (1 - g (1 - w))^(t / dt)."""
    model = OneLayer("self", t_recurrence=2.0)
    with torch.no_grad():
        model.V1.recurrence.weight.fill_(weight)
    (layer_map,) = linearize(model, image(), 30, all_active=True)
    values, _ = leading_eigenvalues(layer_map, 3)
    np.testing.assert_allclose(values, 1 - DT / TAU * (1 - weight))
    exact = -DT / math.log(1 - DT / TAU * (1 - weight))
    assert time_constant_ms(complex(values[0]), DT) == pytest.approx(exact)
    assert exact == pytest.approx(TAU / (1 - weight), abs=1.1)


def test_time_constants_at_the_borders():
    assert time_constant_ms(0, 2.0) == 0
    assert time_constant_ms(1, 2.0) == math.inf
    assert time_constant_ms(-math.exp(-0.1), 2.0) == pytest.approx(20)
    assert time_constant_ms(math.exp(0.1), 2.0) == pytest.approx(-20)


@pytest.mark.parametrize("leak", [True, False])
def test_a_layer_without_recurrence_has_its_leak_or_nothing(leak):
    model = randomize(OneLayer("none", channels=16, leak=leak))
    (layer_map,) = linearize(model, image(), 20, all_active=True)
    np.testing.assert_allclose(leading_eigenvalues(layer_map, 4)[0], 1 - DT / TAU if leak else 0, atol=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [
        {"recurrence_type": "depthpointwise", "recurrence_target": "input"},
        {"recurrence_type": "full", "recurrence_merge": "multiplicative"},
        {"recurrence_type": "local", "nonlinearity_position": "drive"},
        {"recurrence_type": "pointwise", "divisive_normalization": True},
        {"recurrence_type": "depthwise", "intrinsic_suppression": 0.5},
    ],
    ids=lambda arguments: "-".join(map(str, arguments.values())),
)
def test_j_is_the_derivative_of_the_step_whatever_the_layer_is_made_of(arguments):
    """J^T w . e against the change of w . r(t) when the network's past is changed by a little e."""
    model = create(
        "DyRCNNx2", input_dims=(5, 1, 6, 6), n_classes=3, t_feedforward=0.0, t_recurrence=4.0, **arguments
    )
    model = randomize(model.double().eval(), gain=0.7)
    plan = replace(model.plan(), settled=2**62)
    with torch.no_grad():
        _, state = model.advance(
            Frames(0, 40, image(1, 6), constant=True), model.initial_state(1, plan), plan
        )
    generator = torch.Generator().manual_seed(3)
    for layer_map in linearize(model, image(1, 6), 40):
        past, present = layer_map.inputs[0].detach(), layer_map.outputs[0].detach()
        change = torch.randn(past.shape, generator=generator, dtype=past.dtype)
        weight = torch.randn(present.shape, generator=generator, dtype=past.dtype)

        def step(changed, layer=layer_map.layer):
            traces = {**state.traces, layer: Trace((Frames(state.age - 2, 2, changed),))}
            with torch.no_grad():
                _, after = model.advance(Frames(0, 1, image(1, 6)), replace(state, traces=traces), plan)
            return after.traces[layer].last()

        assert torch.equal(step(past), present)
        difference = (step(past + 1e-6 * change) - step(past - 1e-6 * change)) / 2e-6
        vector = np.zeros(layer_map.n_states)
        n = present.numel()
        vector[n : 2 * n] = weight.flatten()
        along = torch.from_numpy(layer_map.adjoint(vector)[: 2 * n]) @ change.flatten()
        assert along.item() == pytest.approx((weight * difference).sum().item(), rel=1e-5)


def test_spectra_of_a_network_that_remembers_more_than_activity():
    model = create(
        "DyRCNNx2", input_dims=(5, 1, 4, 4), n_classes=3, recurrence_type="self", dynamics_solver="rk4"
    )
    table = layer_spectra(randomize(model.double().eval(), gain=0.5), image(1, 4), 40, k=3)
    assert list(table["layer"].unique()) == ["layer1", "layer2"] and set(table["point"]) == {
        "stimulus",
        "all_active",
    }
    assert table["n_states"].iloc[0] == (3 + 3) * 36 * 16  # three steps of recurrence, three drives


def test_disturbances_decay_as_the_spectrum_says():
    """A small change of the state shrinks with the leading eigenvalue's modulus, in the network itself."""
    model = randomize(OneLayer("full", t_recurrence=4.0), gain=0.9)
    with torch.no_grad():
        model.V1.conv.bias.fill_(5.0)  # every unit active
    (layer_map,) = linearize(model, image(), 400)
    leading = leading_eigenvalues(layer_map, 1)[0][0]
    plan = model.plan()

    def run(first):
        rest = Frames(0, 160, image(), constant=True)
        _, state = model.advance(Frames(0, 1, first, constant=True), settled, plan)
        record = []
        model.advance(rest, state, plan, lambda _, f: record.append(f))
        return torch.cat([f.folded() for f in record]).flatten(1)

    with torch.no_grad():
        _, settled = model.advance(Frames(0, 400, image(), constant=True), model.initial_state(1), plan)
        size = (run(image() + 1e-3) - run(image())).norm(dim=1).numpy()
    slope = np.polyfit(np.arange(60, 140), np.log(size[60:140]), 1)[0]
    assert slope == pytest.approx(math.log(abs(leading)), rel=0.05)


@pytest.mark.parametrize("channels", [2, 16])
@pytest.mark.parametrize("t_recurrence", [2.0, 6.0, 40.0])
def test_a_silent_layer_remembers_nothing(channels, t_recurrence):
    """All units are below threshold: J only moves the past on, and all of its eigenvalues are 0."""
    model = randomize(OneLayer(t_recurrence=t_recurrence, channels=channels), gain=0.5)
    with torch.no_grad():
        model.V1.conv.bias.fill_(-100.0)
    (layer_map,) = linearize(model, image(), 30)
    values, _ = leading_eigenvalues(layer_map)
    assert (values == 0).all()
    assert time_constant_ms(values[0], DT) == 0
