"""The liquid time-constant cell: a plain loop over scalars, the differential equation, bounds, masks and constraints.

And sequences in one compiled function against steps of torch. Against the authors' package: test_ncps.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from dynvision.errors import InputError
from dynvision.model_components import LiquidStep
from dynvision.neurons import RNN, FullyConnected, LTCCell, Random, Wiring
from tests.base.networks import randomize
from tests.neurons.cells import F, make, policy


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def numbers(cell):
    """All parameters by name, those of synapses as matrices (from, to), and which synapses there are."""
    found = {name: tensor.detach().numpy() for name, tensor in cell.named_parameters()}
    for group in ("sensory", "recurrent"):
        synapses = cell.get_submodule(group)
        found |= {
            f"{group}.{name}": synapses.as_matrix(name).numpy() for name in ("w", "mu", "sigma", "erev")
        }
        found[f"{group}.mask"] = np.zeros((synapses.n_from, synapses.n_to))
        found[f"{group}.mask"][synapses.source, synapses.target] = 1
    return found


def scalar_step(cell, x, v, elapsed):
    """One step of one element of the batch, synapse by synapse, as the authors write their fused step."""
    p, n, d = numbers(cell), cell.state_size, elapsed / cell.ode_unfolds
    x = [p["input_map.w"][k] * x[k] + p["input_map.b"][k] for k in range(len(x))]
    for _ in range(cell.ode_unfolds):
        new = []
        for j in range(n):
            numerator = p["cm"][j] / d * v[j] + p["gleak"][j] * p["vleak"][j]
            denominator = p["cm"][j] / d + p["gleak"][j] + cell.epsilon
            for group, values in (("sensory", x), ("recurrent", v)):
                for i, value in enumerate(values):
                    if p[f"{group}.mask"][i, j]:
                        opened = sigmoid(p[f"{group}.sigma"][i, j] * (value - p[f"{group}.mu"][i, j]))
                        g = p[f"{group}.w"][i, j] * opened
                        numerator, denominator = numerator + g * p[f"{group}.erev"][i, j], denominator + g
            new.append(numerator / denominator)
        v = new
    output = [p["output_map.w"][j] * v[j] + p["output_map.b"][j] for j in range(cell.output_size)]
    return output, v


@pytest.mark.parametrize("name", ["ltc", "ltc_sparse"])
def test_fused_steps_are_a_loop_over_scalars(name):
    """The same equation as in ncps 1.0.1 (Lechner & Hasani), `ncps.torch.LTCCell`; against it: test_ncps.py."""
    cell = make(name)
    with torch.no_grad():
        for parameter in (cell.input_map.w, cell.input_map.b, cell.output_map.w, cell.output_map.b):
            parameter.uniform_(0.5, 1.5)
    state, states = None, [[0.0] * cell.state_size for _ in range(2)]
    for step in range(4):
        inputs, elapsed = torch.randn(2, F, dtype=torch.float64), torch.tensor([0.3, 2.0]) * (step + 1)
        output, state = cell(inputs, state, elapsed.double())
        for b in range(2):
            expected, states[b] = scalar_step(cell, inputs[b].tolist(), states[b], elapsed[b].item())
            np.testing.assert_allclose(output[b].detach(), expected, rtol=1e-10)
            np.testing.assert_allclose(state[b].detach(), states[b], rtol=1e-10)


def test_it_converges_to_the_liquid_equation_with_order_one():
    cell = make("ltc_sparse")
    x = [0.9, -0.2, 0.5]
    p, elapsed = numbers(cell), 3.0

    def rate(t, v):
        change = p["gleak"] * (p["vleak"] - v)
        for group, values in (("sensory", x), ("recurrent", v)):
            opened = 1 / (1 + np.exp(-p[f"{group}.sigma"] * (np.asarray(values)[:, None] - p[f"{group}.mu"])))
            g = p[f"{group}.w"] * p[f"{group}.mask"] * opened
            change = change + (g * (p[f"{group}.erev"] - v)).sum(0)
        return change / p["cm"]

    exact = solve_ivp(rate, (0, elapsed), np.zeros(6), rtol=1e-11, atol=1e-13).y[:, -1]
    errors = []
    for cell.ode_unfolds in (6, 12, 24, 48, 96):
        _, state = cell(torch.tensor([x]).double(), None, elapsed)
        errors.append(np.abs(state[0].detach().numpy() - exact).max())
    orders = [math.log2(coarse / fine) for coarse, fine in zip(errors, errors[1:], strict=False)]
    assert all(fine < coarse for coarse, fine in zip(errors, errors[1:], strict=False)), errors
    assert orders[-1] == pytest.approx(1.0, abs=0.1), orders
    v = torch.randn(1, 6, dtype=torch.float64)
    found = cell.rate(torch.tensor([x]).double(), v)[0].detach()
    np.testing.assert_allclose(found, rate(0, v[0].numpy()), rtol=1e-6, atol=1e-7)  # without epsilon


def test_its_time_constant_is_that_of_a_small_disturbance():
    """Without recurrence the unit is linear in its state, and a disturbance decays with C / G."""
    wiring = Wiring(np.zeros((2, 2)), [[1, -1], [1, 1]])
    cell = LTCCell(wiring, ode_unfolds=4000).double()
    inputs, state = torch.tensor([[0.7, 0.2]]).double(), torch.tensor([[0.1, -0.3]]).double()
    constant = cell.time_constant(inputs, state)
    moved = cell(inputs, state + 0.5, 1.0)[1] - cell(inputs, state, 1.0)[1]
    torch.testing.assert_close(moved / 0.5, torch.exp(-1.0 / constant), rtol=1e-3, atol=0)
    assert (cell.time_constant(inputs * 3, state) < constant).all()  # what opens conductances makes it faster


def test_one_unit_is_the_liquid_unit_of_convolutional_layers():
    """There the drive is both what the leak pulls to and what opens the conductance."""
    solver = randomize(LiquidStep(dt=2.0, tau=5.0).double(), seed=3)
    cell = LTCCell(
        Wiring([[0]], [[1]]), input_mapping=None, output_mapping=None, ode_unfolds=1, epsilon=0.0
    ).double()
    z, r, state = torch.tensor([[0.7]]).double(), None, None
    with torch.no_grad():
        cell.gleak.fill_(1.0)
        cell.vleak.copy_(z[0])
        cell.cm.fill_(5.0)
        for name, value in (
            ("w", solver.log_strength.exp()),
            ("sigma", solver.slope),
            ("mu", solver.threshold),
        ):
            cell.sensory.get_parameter(name).fill_(value.item())
        cell.sensory.erev.fill_(solver.reversal.item())
    for _ in range(5):
        r = solver([z[:, :, None, None]], r)
        _, state = cell(z, state, 2.0)
        torch.testing.assert_close(state, r[:, :, 0, 0])


@given(seed=st.integers(0, 1000), elapsed=st.floats(0, 1e6), scale=st.floats(0.01, 100))
@settings(max_examples=50, deadline=None)
def test_states_stay_between_the_potentials(seed, elapsed, scale):
    cell = make("ltc_sparse", seed)
    state = None
    for _ in range(5):
        _, state = cell(scale * torch.randn(4, F, dtype=torch.float64), state, elapsed)
    assert state.abs().max() <= 1.0 + 1e-12  # reversal potentials are -1 and 1, resting ones within


def test_time_that_does_not_pass_changes_nothing():
    cell, state = make("ltc"), torch.randn(2, 4, dtype=torch.float64)
    torch.testing.assert_close(cell(torch.randn(2, F).double(), state, 0.0)[1], state, rtol=0, atol=0)


@pytest.mark.parametrize("implicit", [False, True])
def test_synapses_are_those_of_the_wiring_and_nothing_else_is_kept(implicit):
    wiring = policy()
    cell = LTCCell(wiring, F, implicit_param_constraints=implicit).double()
    inputs, state = torch.randn(5, F).double(), torch.randn(5, 11).double()
    output, new = cell(inputs, state, 2.0)
    (output.square().sum() + new.square().sum()).backward()
    for group, signs in (
        (cell.recurrent, wiring.adjacency_matrix),
        (cell.sensory, wiring.sensory_adjacency_matrix),
    ):
        assert not group.is_dense and len(group.w) == int((signs != 0).sum())
        assert (signs[group.source, group.target] != 0).all()
        for parameter in (group.w, group.mu, group.sigma, group.erev):
            assert parameter.grad.all()


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.7])
def test_fused_sequences_are_those_of_torch(sparsity):
    """Values, and gradients by everything, with units that have no synapse at all among them."""
    torch.manual_seed(0)
    wiring = Random(10, 3, sparsity)
    wiring.adjacency_matrix[:, 4] = 0
    cell = LTCCell(wiring, F, epsilon=1e-3).double()
    inputs = torch.rand(20, 7, F, dtype=torch.float64, requires_grad=True)
    times = (3 * torch.rand(20, 7, dtype=torch.float64)).requires_grad_()
    start = torch.rand(20, 10, dtype=torch.float64, requires_grad=True)
    found = {}
    for fused in (True, False):
        cell.fused = fused
        outputs, state = RNN(cell)(inputs, start, times)
        asked = [inputs, times, start, *cell.parameters()]
        found[fused] = [
            outputs,
            state,
            *torch.autograd.grad(outputs.square().sum() + state.sin().sum(), asked),
        ]
        with torch.no_grad():
            torch.testing.assert_close(RNN(cell)(inputs, start, times)[0], outputs)  # nothing is kept then
    for one, other in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_fused_sequences_in_parts_of_the_batch(monkeypatch):
    """Each thread takes a part; the sums of the parts are those of all."""
    cell = make("ltc_sparse")
    inputs, found = torch.rand(33, 5, F, dtype=torch.float64), {}
    for threads in (1, 4):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        outputs, _ = RNN(cell)(inputs, elapsed_time=2.0)
        found[threads] = [outputs, *torch.autograd.grad(outputs.square().sum(), list(cell.parameters()))]
    for one, other in zip(found[1], found[4], strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1.2e-7), (torch.float64, 2.3e-16)])
def test_the_sigmoid_of_fused_sequences(dtype, tolerance):
    """The conductance of one synapse, within one unit in the last place of 1."""
    fused = pytest.importorskip("dynvision.neurons.fused_ltc")
    x = torch.cat([torch.linspace(-100, 100, 2001), torch.linspace(-1, 1, 1001)]).double()
    x = torch.cat([x, torch.tensor([-1e4, 1e4, math.inf, -math.inf, math.nan]).double()]).to(dtype)
    one, zero = torch.ones(1, dtype=dtype), torch.zeros(1, dtype=dtype)
    rows, source = torch.tensor([0, 1]), torch.tensor([0])
    found, _ = fused.SynapseSums.apply(x[:, None], rows, source, one, zero, one, one)
    expected = torch.sigmoid(x.double())
    assert found[-1, 0].isnan() and found[-3, 0] == 1 and found[-2, 0] < 1e-37
    assert (found[:-1, 0].double() - expected[:-1]).abs().max() <= tolerance


def test_fused_sequences_are_left_to_torch_where_a_step_must_be_called():
    cell, inputs, calls = make("ltc"), torch.rand(2, 5, F, dtype=torch.float64), []
    expected = RNN(cell)(inputs)[0]
    handle = cell.register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(RNN(cell)(inputs)[0], expected)
    assert len(calls) == 5
    handle.remove()
    RNN(cell)(inputs)
    assert len(calls) == 5
    cell.fused = False
    inputs.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: RNN(cell)(x)[0], (inputs[:1, :2],))
    cell.fused = True
    (first,) = torch.autograd.grad(RNN(cell)(inputs)[0].square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_transformations_of_torch_take_a_fused_cell():
    """Gradient, mapping and derivative along a direction by torch.func are those of the fused sequence."""
    rnn, inputs = RNN(make("ltc")), torch.rand(2, 5, F, dtype=torch.float64, requires_grad=True)

    def energy(x):
        return rnn(x)[0].square().sum()

    expected = rnn(inputs)[0]
    (gradient,) = torch.autograd.grad(energy(inputs), inputs)
    torch.testing.assert_close(torch.func.grad(energy)(inputs), gradient)
    mapped = torch.func.vmap(lambda x: rnn(x[None])[0][0])(inputs)
    torch.testing.assert_close(mapped, expected)
    _, along = torch.func.jvp(energy, (inputs,), (inputs,))
    torch.testing.assert_close(along, (gradient * inputs).sum())


def test_reversal_potentials_start_with_the_signs_of_the_wiring():
    wiring = FullyConnected(4)
    cell = LTCCell(wiring, F)
    np.testing.assert_array_equal(cell.recurrent.as_matrix("erev"), wiring.adjacency_matrix)
    np.testing.assert_array_equal(cell.sensory.as_matrix("erev"), wiring.sensory_adjacency_matrix)


def test_constraints_hold_implicitly_and_explicitly():
    explicit, implicit = make("ltc"), make("ltc_policy")
    for cell in (explicit, implicit):
        with torch.no_grad():
            for parameter in (cell.cm, cell.gleak, cell.recurrent.w, cell.sensory.w):
                parameter.sub_(5.0)
        cell.apply_weight_constraints()
    for name in ("cm", "gleak", "recurrent.w", "sensory.w"):
        found = explicit.get_parameter(name)
        assert (found == (explicit.epsilon if name == "cm" else 0.0)).all()
        assert (implicit.get_parameter(name) < 0).all()
    for cell in (explicit, implicit):
        output, state = cell(torch.randn(3, F).double(), None, 1.0)
        assert output.isfinite().all() and state.abs().max() <= 1.0


def test_constraints_of_both_kinds_start_from_the_same_values():
    torch.manual_seed(0)
    explicit = LTCCell(FullyConnected(4), F)
    torch.manual_seed(0)
    implicit = LTCCell(FullyConnected(4), F, implicit_param_constraints=True)
    inputs = torch.randn(3, F)
    torch.testing.assert_close(explicit(inputs)[1], implicit(inputs)[1], rtol=1e-5, atol=1e-6)
    assert 0.4 <= explicit.cm.min() <= explicit.cm.max() <= 0.6


@pytest.mark.parametrize(("mapping", "parameters"), [("affine", 2), ("linear", 1), ("none", 0), (None, 0)])
def test_mappings(mapping, parameters):
    cell = LTCCell(FullyConnected(4, 2), F, input_mapping=mapping, output_mapping=mapping)
    assert len(list(cell.input_map.parameters())) == len(list(cell.output_map.parameters())) == parameters
    output, state = cell(torch.randn(3, F))
    assert torch.equal(output, state[:, :2])


def test_number_of_parameters():
    """3 for each unit, 4 for each synapse, gain and offset of each input and output."""
    n = sum(p.numel() for p in LTCCell(Random(6, 2, 0.6), F).parameters())
    assert n == 3 * 6 + 4 * (round(0.4 * 6 * 6) + round(0.4 * F * 6)) + 2 * F + 2 * 2


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: LTCCell(8, 3), r"wiring=8 is no wiring; .* give FullyConnected\(8\)"),
        (lambda: LTCCell(FullyConnected(4)), "does not know its inputs; give in_features"),
        (lambda: LTCCell(FullyConnected(4), 3, input_mapping="afine"), "did you mean 'affine'"),
        (lambda: LTCCell(FullyConnected(4), 3, ode_unfolds=0), "ode_unfolds=0"),
        (lambda: LTCCell(Wiring([[1]], [[1]]), 2), "built for 1 inputs and cannot be used for 2"),
        (lambda: make("ltc")(torch.randn(2, 4)), r"inputs of shape \(2, 4\): LTCCell takes \(batch, 3\)"),
        (lambda: make("ltc")(torch.randn(2, 5, 3)), r"RNN\(cell\) takes sequences"),
        (lambda: make("ltc")(torch.randn(2, 3), torch.zeros(2, 3)), r"has \(2, 4\) here"),
        (lambda: make("ltc")(torch.randn(2, 3), None, -1.0), "elapsed_time=-1 ms"),
        (lambda: make("ltc")(torch.randn(2, 3), None, torch.ones(3)), "one for each of the 2 elements"),
    ],
)
def test_what_cannot_be_is_refused(make_it, message):
    with pytest.raises(InputError, match=message):
        make_it()
