"""Neurons and chains: the closed form of the Euler map, the differential equation, a plain loop, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from torch import Tensor

from dynvision.errors import InputError
from dynvision.neurons import LiquidNeuron, LTCChain, LTCNeuron, impulse_response, step_response
from tests.schemes import euler_step, leak_rate

CONSTANTS = {"tau": 20.0, "gleak": 0.03, "cm": 0.8}
CONSTANTS_OF_FIVE = {"gleak": 0.03, "cm": 0.8}
TIME_CONSTANT = 0.8 * 20.0 / (1 + 0.03 * 20.0)  # 10 ms
GAIN = 1 / (1 + 0.03 * 20.0)  # 0.625


@given(
    tau=st.floats(0.1, 100),
    gleak=st.floats(0, 5),
    cm=st.floats(0.1, 10),
    part=st.floats(0.01, 1.0),
    signal=st.floats(-10, 10),
)
@settings(max_examples=50, deadline=None)
def test_a_constant_input_is_approached_geometrically(tau, gleak, cm, part, signal):
    """h_n = h_inf (1 - (1 - dt / T)^n), the exact solution of the Euler map."""
    end, constant = signal / (1 + gleak * tau), cm * tau / (1 + gleak * tau)
    neuron = LTCNeuron(0, tau, part * constant * (1 - 1e-12), gleak, cm)
    for n in range(1, 30):
        exact = end * (1 - (1 - neuron.dt / constant) ** n)
        assert neuron.update(signal) == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_it_converges_to_the_exponential_with_order_one():
    errors = []
    for dt in (0.4, 0.2, 0.1, 0.05):
        response = step_response(LTCNeuron(0, dt=dt, **CONSTANTS), 12.0, amplitude=2.0)
        exact = 2.0 * GAIN * (1 - np.exp(-response.time_ms / TIME_CONSTANT))
        errors.append(np.abs(response.states - exact).max())
    orders = [math.log2(coarse / fine) for coarse, fine in zip(errors, errors[1:], strict=False)]
    assert orders == pytest.approx([1.0] * 3, abs=0.05)
    assert errors[-1] < 3e-3


def test_time_constant_and_gain_are_those_of_the_equation():
    neuron = LTCNeuron(0, dt=0.1, **CONSTANTS)
    assert (neuron.time_constant, neuron.gain) == (pytest.approx(TIME_CONSTANT), pytest.approx(GAIN))
    assert step_response(neuron, 300.0).states[-1] == pytest.approx(GAIN, rel=1e-9)


def test_without_leak_it_is_the_leaky_unit():
    neuron, r = LTCNeuron(0, tau=5.0, dt=2.0, gleak=0.0), torch.zeros((), dtype=torch.float64)
    for z in torch.randn(10, dtype=torch.float64):
        target = z
        r = euler_step(lambda s, x, target=target: leak_rate(x, target, 5.0), r, 2.0)
        torch.testing.assert_close(neuron.update(z), r)


def test_an_impulse_is_answered_by_the_derivative_of_the_step():
    neuron = LTCNeuron(0, dt=0.1, **CONSTANTS)
    step, impulse = step_response(neuron, 20.0), impulse_response(neuron, 20.0)
    np.testing.assert_allclose(impulse.states, np.diff(step.states, prepend=0.0) / 0.1, rtol=1e-9)
    exact = np.exp(-impulse.time_ms / TIME_CONSTANT) / (
        0.8 * 20.0
    )  # of unit area: GAIN / TIME_CONSTANT at onset
    np.testing.assert_allclose(impulse.states, exact, atol=1e-3)
    assert impulse.time_ms[0] == 0.1 and impulse.time_ms[-1] == pytest.approx(20.0)
    assert (neuron.state, neuron.history) == (0.0, [])  # the neuron itself was not touched


def test_a_leak_of_each_step_makes_the_time_constant_liquid():
    """A plain loop in which the conductance follows the input, and numbers are as tensors."""
    rng = np.random.default_rng(0)
    neuron, many, h = LTCNeuron(0, 20.0, 1.0), LTCNeuron(0, 20.0, 1.0), 0.0
    for signal in rng.normal(size=20):
        g = 0.5 / (1 + math.exp(-signal))
        h = h + 1.0 * ((signal - h) / 20.0 - g * h)
        assert neuron.update(signal, gleak=g) == pytest.approx(h, rel=1e-12)
        both = many.update(
            torch.full((2, 3), signal, dtype=torch.float64), gleak=torch.tensor(g, dtype=torch.float64)
        )
        torch.testing.assert_close(both, torch.full((2, 3), h, dtype=torch.float64))


def test_gradients_reach_the_inputs():
    """dh_n / dI_k = (dt / (cm tau)) (1 - dt / T)^(n - k)."""
    neuron = LTCNeuron(0, dt=1.0, **CONSTANTS)
    signals = torch.randn(6, dtype=torch.float64, requires_grad=True)
    for signal in signals:
        neuron.update(signal)
    (gradient,) = torch.autograd.grad(neuron.state, signals)
    expected = [1.0 / (0.8 * 20.0) * (1 - 1.0 / TIME_CONSTANT) ** (5 - k) for k in range(6)]
    torch.testing.assert_close(gradient, torch.tensor(expected, dtype=torch.float64))
    assert neuron.at_rest().state == 0.0 and len(neuron.history) == 6


def test_a_chain_is_a_loop_over_its_neurons():
    chain = LTCChain(4, base_tau=5.0, dt=0.5, gleak=0.1, cm=1.5, tau_ratio=2.0, weights=[0.5, -1.0, 2.0])
    assert chain.taus == [5.0, 10.0, 20.0, 40.0]
    rng, h = np.random.default_rng(0), [0.0] * 4
    for _ in range(15):
        signals = rng.normal(size=4)
        for i, (tau, w) in enumerate(zip([5.0, 10.0, 20.0, 40.0], [0.0, 0.5, -1.0, 2.0], strict=True)):
            drive = signals[i] + (w * h[i - 1] if i else 0.0)
            h[i] += 0.5 / 1.5 * ((drive - h[i]) / tau - 0.1 * h[i])
        for given_as in (signals, list(signals), torch.tensor(signals)):
            copy = chain.at_rest()
            copy.load_state(chain.save_state())
            last = copy.update(given_as)
            np.testing.assert_allclose(last, h, rtol=1e-12)
        chain.update(signals)
    assert np.stack([np.asarray(s) for s in chain.state_history]).shape == (15, 4)
    assert chain.neurons[2].history[-1] == pytest.approx(h[2])


def test_a_step_passes_through_a_chain():
    chain = LTCChain(3, base_tau=4.0, dt=0.5, gleak=0.1, weights=0.9)
    found = step_response(chain, 400.0).states
    ends = [
        0.9**i / math.prod(1 + 0.1 * tau for tau in chain.taus[: i + 1]) for i in range(3)
    ]  # as the file says
    np.testing.assert_allclose(found[-1], ends, rtol=1e-9)
    halfway = [int(np.argmax(found[:, i] > ends[i] / 2)) for i in range(3)]
    assert halfway == sorted(halfway) and len(set(halfway)) == 3  # later and later


def test_neurons_on_their_own_in_a_chain():
    chain = LTCChain(5, dt=0.01, weights=0.0)
    alone = [LTCNeuron(i, 1.5**i, 0.01) for i in range(5)]
    for _ in range(10):
        states = chain.update([0.1, 0.2, 0.3, 0.4, 0.5])
        expected = [neuron.update(0.1 * (i + 1)) for i, neuron in enumerate(alone)]
        np.testing.assert_allclose(states, expected, rtol=1e-12)


@pytest.mark.parametrize("size", [None, 0, 3])
def test_histories_are_bounded_and_keep_no_graph(size):
    """The memory of a long run is that of the states that were asked for."""
    neuron, chain = LTCNeuron(0, history_size=size), LTCChain(2, history_size=size)
    unbounded = LTCNeuron(0)
    signal = torch.ones(2, requires_grad=True)
    for _ in range(7):
        state, states = neuron.update(signal), chain.update(signal)
        unbounded.update(signal)
    kept = 7 if size is None else size
    assert len(neuron.history) == len(chain.state_history) == len(chain.neurons[1].history) == kept
    for found, expected in zip(neuron.history, unbounded.history[7 - kept :], strict=True):
        assert torch.equal(found, expected) and not found.requires_grad
    assert not any(kept.requires_grad for kept in chain.state_history)
    (gradient,) = torch.autograd.grad(state.sum() + states.sum(), signal)
    assert gradient.all()  # those of the present state pass
    other = LTCChain(2, history_size=size)
    other.load_state(chain.save_state())
    other.update(signal)
    assert len(other.state_history) == (8 if size is None else size)
    chain.history_size = 1
    assert len(chain.state_history) == len(chain.neurons[0].history) == min(kept, 1)
    neuron.reset()
    neuron.update(1.0)
    assert len(neuron.history) == (1 if size is None else min(size, 1))


@pytest.mark.parametrize(
    "make",
    [lambda: LTCNeuron(0, 5.0, 0.5, **CONSTANTS_OF_FIVE), lambda: LiquidNeuron(0, 5.0, 0.5, recurrent=0.3)],
)
def test_numpy_and_torch_alike(make):
    """The same numbers in arrays of the library that the inputs are of."""
    signals = np.random.default_rng(0).normal(size=(6, 3))
    by_number = [make() for _ in range(3)]
    of_numpy, of_torch = make(), make()
    for row in signals:
        expected = [neuron.update(float(x)) for neuron, x in zip(by_number, row, strict=True)]
        found, other = of_numpy.update(row), of_torch.update(torch.tensor(row))
        assert isinstance(found, np.ndarray) and isinstance(other, Tensor)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_allclose(other, expected, rtol=1e-12)
        assert all(type(x) is float for x in expected)


def test_a_chain_of_arrays_is_of_their_library():
    chains = [LTCChain(2, 5.0, 0.5) for _ in range(3)]
    first, second = np.arange(3.0), np.ones(3)
    found = chains[0].update([first, second])
    assert isinstance(found, np.ndarray) and found.shape == (2, 3)
    other = chains[1].update([torch.tensor(first), torch.tensor(second)])
    assert isinstance(other, Tensor)
    np.testing.assert_array_equal(found, other)
    np.testing.assert_array_equal(chains[2].update(np.stack([first, second]).astype(int)), found)
    mixed = LTCChain(2, 5.0, 0.5).update([1.0, np.ones(3)])
    np.testing.assert_array_equal(mixed, LTCChain(2, 5.0, 0.5).update([np.ones(3), np.ones(3)]))
    with pytest.raises(InputError, match="give all of one library"):
        LTCChain(2).update([np.ones(3), torch.ones(3)])


def test_a_liquid_neuron_is_the_liquid_equation():
    """Fused steps against an adaptive solver, and the end and the time constant of a constant input."""
    neuron = LiquidNeuron(0, tau=8.0, dt=0.01, weight=0.4, slope=3.0, threshold=0.2, reversal=-2.0)
    neuron.recurrent = 0.7

    def rate(t, x):
        f = 0.4 / (1 + np.exp(-3.0 * (0.9 + 0.7 * x - 0.2)))
        return -(1 / 8.0 + f) * x + f * -2.0

    exact = solve_ivp(rate, (0, 10.0), [0.0], rtol=1e-10, atol=1e-12).y[0, -1]
    for _ in range(1000):
        neuron.update(0.9)
    assert neuron.state == pytest.approx(exact, rel=2e-3)
    neuron = LiquidNeuron(0, tau=8.0, dt=0.01, weight=0.4, slope=3.0, threshold=0.2, reversal=-2.0)
    f = 0.4 / (1 + math.exp(-3.0 * 0.7))
    assert neuron.time_constant(0.9) == pytest.approx(8.0 / (1 + 8.0 * f))
    states = step_response(neuron, 100.0, amplitude=0.9).states
    end = f * -2.0 / (1 / 8.0 + f)
    assert states[-1] == pytest.approx(end)
    half = 0.01 * (1 + int(np.argmax(states / end > 0.5)))
    assert half == pytest.approx(math.log(2) * neuron.time_constant(0.9), rel=0.01)
    assert neuron.time_constant(5.0) < neuron.time_constant(0.9) < neuron.time_constant(-5.0) <= 8.0
    saved = json.loads(json.dumps(neuron.save_state()))
    other = LiquidNeuron(1)
    other.load_state(saved)
    assert other.update(0.9) == neuron.update(0.9)


def test_a_chain_is_loaded_whole_or_not_at_all():
    chain = LTCChain(3, 5.0, 0.5)
    chain.update([1.0, 0.0, 0.0])
    before, saved = chain.save_state(), LTCChain(3, 7.0, 0.5).save_state()
    saved["neuron_states"][2] = saved["neuron_states"][2] | {"dt": 100.0}
    for wrong, message in (
        (saved, "longer than the time constant"),
        (before | {"weights": [1.0]}, "1 values"),
        (before | {"weights": ["a", "b"]}, "list of numbers"),
        (before | {"base_tau": -1.0}, "base_tau=-1"),
        (before | {"neuron_states": before["neuron_states"][:2]}, "2 states"),
        (before | {"neuron_states": None}, "neuron_states has no list of states; the chain has 3 neurons"),
        (before | {"state_history": None}, "state_history of the saved state must be a list"),
        (
            before | {"state_history": ["x"]},
            "state_history of the saved state must be a finite number or an array of them, not 'x'",
        ),
        (None, "it is a NoneType, not a dictionary"),
        *(
            (
                before
                | {
                    "neuron_states": [
                        *before["neuron_states"][:2],
                        before["neuron_states"][2] | {name: wrong},
                    ]
                },
                said,
            )
            for name, wrong, said in (
                (
                    "state",
                    "x",
                    "state of the saved state must be a finite number or an array of them, not 'x'",
                ),
                (
                    "state",
                    None,
                    "state of the saved state must be a finite number or an array of them, not None",
                ),
                ("state", math.nan, "state of the saved state must be a finite number .* not nan"),
                (
                    "last_prediction",
                    torch.tensor([1.0, math.inf]),
                    "last_prediction of the saved state must be a finite number",
                ),
                ("history", None, "history of the saved state must be a list, not a NoneType"),
                (
                    "history",
                    [0.0, "x"],
                    "history of the saved state must be a finite number or an array of them",
                ),
            )
        ),
    ):
        with pytest.raises(InputError, match=message):
            chain.load_state(wrong)
        after = chain.save_state()
        assert after["neuron_states"] == before["neuron_states"] and after["base_tau"] == 5.0


def test_a_saved_neuron_goes_on_where_it_was():
    neuron = LTCNeuron(3, dt=0.5, **CONSTANTS)
    for signal in (1.0, -2.0, 0.5):
        neuron.update(signal)
    saved = json.loads(json.dumps(neuron.save_state()))
    ahead = [neuron.update(signal) for signal in (0.3, 0.2)]
    other = LTCNeuron(0)
    other.load_state(saved)
    assert other.history == neuron.history[:3] and other.last_prediction == other.state
    assert [other.update(signal) for signal in (0.3, 0.2)] == ahead
    assert len(saved["history"]) == 3  # what was saved is not the neuron's own
    other.reset()
    assert (other.state, other.history, other.last_prediction, other.tau) == (0.0, [], 0.0, 20.0)


def test_a_saved_chain_goes_on_where_it_was():
    chain = LTCChain(3, 5.0, 0.5, weights=[0.3, 0.4])
    for _ in range(4):
        chain.update([1.0, 0.0, 0.5])
    saved = chain.save_state()
    ahead = [chain.update([0.2, 0.1, 0.0]) for _ in range(3)]
    other = LTCChain(3)
    other.load_state(saved)
    assert len(other.state_history) == 4 and other.weights == [0.3, 0.4] and other.taus == chain.taus
    for expected in ahead:
        assert torch.equal(other.update([0.2, 0.1, 0.0]), expected)
    assert len(saved["state_history"]) == 4
    other.reset()
    assert other.state_history == [] and [neuron.state for neuron in other.neurons] == [0.0] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LTCNeuron(0, tau=0.0), "tau=0 must be a positive"),
        (lambda: LTCNeuron(0, dt=math.nan), "dt=nan"),
        (lambda: LTCNeuron(0).load_state(LTCNeuron(0).save_state() | {"tau": None}), "tau=None"),
        (lambda: LTCNeuron(0, gleak=-1.0), "gleak=-1"),
        (lambda: LTCNeuron(0, cm=0.0), "cm=0"),
        (lambda: LTCNeuron(0, tau=5.0, dt=2.0, gleak=0.5), r"longer than the time constant .* 1.42857 ms"),
        (lambda: LTCNeuron(0).update(1.0, gleek=1.0), "did you mean 'gleak'"),
        (lambda: LTCNeuron(0).update(1.0, gleak=-0.1), "gleak=-0.1"),
        (lambda: LTCNeuron(0).update(1.0, gleak=torch.tensor([0.1, 200.0])), "longer than the time constant"),
        (lambda: LTCNeuron(0).load_state({"state": 1.0}), "lacks cm, dt, gleak"),
        (lambda: LTCNeuron(0).load_state(LTCNeuron(0).save_state() | {"dt": 3.0}), "longer than"),
        (lambda: LTCNeuron(0).load_state(LTCNeuron(0).save_state() | {"v": 3.0}), "has v, which it does"),
        (lambda: LTCNeuron(0, history_size=-1), "history_size=-1"),
        (lambda: LTCChain(2, history_size=2.5), "history_size=2.5"),
        (lambda: LiquidNeuron(0, weight=-1.0), "weight=-1"),
        (lambda: LiquidNeuron(0, slope=math.nan), "slope=nan"),
        (lambda: LiquidNeuron(0).load_state(LiquidNeuron(0).save_state() | {"weight": -2.0}), "weight=-2"),
        (lambda: LiquidNeuron(0).load_state({"state": 1.0}), "lacks dt, history"),
        (lambda: LiquidNeuron(0).update(1.0, gleak=1.0), "'gleak'"),
        (lambda: LTCChain(0), "at least one"),
        (lambda: LTCChain(3, tau_ratio=0.0), "tau_ratio=0"),
        (lambda: LTCChain(3, weights=[1.0]), "1 values; a chain of 3 neurons has 2"),
        (lambda: LTCChain(3).update([1.0, 2.0]), "2 signals; the chain takes one signal for each of its 3"),
        (lambda: LTCChain(3).update(1.0), "has one number"),
        (lambda: LTCChain(3).load_state(LTCChain(2).save_state()), "of 2 neurons, this one has 3"),
        (lambda: step_response(LTCNeuron(0), 0.015), "duration_ms=0.015 ms is not a multiple"),
        (lambda: step_response(LTCNeuron(0), 0.0), "too small"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
