"""Wirings: how many synapses, where they may be, and that equal arguments give equal ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynvision.errors import InputError
from dynvision.neurons import NCP, AutoNCP, FullyConnected, Random, Wiring


def sensory(wiring, n_inputs):
    wiring.build(n_inputs)
    return wiring.sensory_adjacency_matrix


def test_fully_connected():
    wiring = FullyConnected(30, 4)
    assert np.abs(wiring.adjacency_matrix).all() and np.abs(sensory(wiring, 7)).all()
    assert (wiring.synapse_count, wiring.sensory_synapse_count) == (900, 210)
    assert (wiring.units, wiring.output_dim, wiring.input_dim) == (30, 4, 7)
    assert 0.6 < (wiring.adjacency_matrix > 0).mean() < 0.73  # two thirds, within 3 sd
    without = FullyConnected(30, self_connections=False)
    assert without.synapse_count == 870 and not without.adjacency_matrix.diagonal().any()


@given(
    units=st.integers(1, 12), n_inputs=st.integers(1, 8), sparsity=st.floats(0, 0.99), seed=st.integers(0, 99)
)
@settings(max_examples=50, deadline=None)
def test_random(units, n_inputs, sparsity, seed):
    wiring = Random(units, None, sparsity, seed)
    wiring.build(n_inputs)
    assert wiring.synapse_count == round((1 - sparsity) * units**2)
    assert wiring.sensory_synapse_count == round((1 - sparsity) * units * n_inputs)


@st.composite
def policies(draw):
    inter, command, motor = (draw(st.integers(1, 8)) for _ in range(3))
    return (
        inter,
        command,
        motor,
        draw(st.integers(1, inter)),
        draw(st.integers(1, command)),
        draw(st.integers(0, 10)),
        draw(st.integers(1, command)),
        draw(st.integers(0, 99)),
    )


@given(arguments=policies(), n_inputs=st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_neural_circuit_policy(arguments, n_inputs):
    inter, command, motor, sensory_fanout, inter_fanout, recurrent, motor_fanin, _ = arguments
    wiring = NCP(*arguments)
    present = np.abs(wiring.adjacency_matrix)
    m, c, i = slice(0, motor), slice(motor, motor + command), slice(motor + command, None)
    inputs = np.abs(sensory(wiring, n_inputs))

    # only from layer to layer, and among command units
    allowed = np.zeros_like(present)
    allowed[i, c] = allowed[c, m] = allowed[c, c] = 1
    assert not (present & ~allowed & 1).any() and not inputs[:, : motor + command].any()

    # everybody is heard and hears, and has at least the synapses that were asked for
    assert (inputs.sum(1) >= sensory_fanout).all() and inputs[:, i].any(0).all()
    assert (present[i, c].sum(1) >= inter_fanout).all() and present[i, c].any(0).all()
    assert (present[c, m].sum(0) >= motor_fanin).all() and present[c, m].any(1).all()
    assert present[c, c].sum() <= recurrent and (recurrent == 0 or present[c, c].any())
    if n_inputs * sensory_fanout and inputs[:, i].sum() > n_inputs * sensory_fanout:
        assert inputs[:, i].sum(1).max() > sensory_fanout  # only units that would hear nothing add to that
    assert wiring.layers == [
        list(range(motor + command, motor + command + inter)),
        list(range(motor, motor + command)),
        list(range(motor)),
    ]
    assert wiring.output_dim == motor


def test_synapses_of_a_policy_where_nobody_is_left_out():
    """With full fan-outs the counts are products."""
    wiring = NCP(5, 4, 2, sensory_fanout=5, inter_fanout=4, recurrent_command_synapses=0, motor_fanin=4)
    wiring.build(3)
    assert wiring.sensory_synapse_count == 3 * 5
    assert wiring.synapse_count == 5 * 4 + 4 * 2


def test_policy_by_number_of_units():
    """Two fifths of what is not motor are command units, rounded down."""
    wiring = AutoNCP(19, 1, sparsity_level=0.5)
    assert [len(layer) for layer in wiring.layers] == [11, 7, 1]
    wiring.build(4)
    dense = AutoNCP(19, 1, sparsity_level=0.1)
    dense.build(4)
    assert wiring.synapse_count < dense.synapse_count
    assert wiring.sensory_synapse_count < dense.sensory_synapse_count


@pytest.mark.parametrize(
    "make",
    [lambda s: FullyConnected(9, seed=s), lambda s: Random(9, seed=s), lambda s: AutoNCP(9, 2, seed=s)],
)
def test_a_seed_fixes_everything(make):
    one, same, other = make(1), make(1), make(2)
    assert np.array_equal(one.adjacency_matrix, same.adjacency_matrix)
    assert not np.array_equal(one.adjacency_matrix, other.adjacency_matrix)
    assert np.array_equal(sensory(one, 4), sensory(same, 4))
    assert not np.array_equal(sensory(one, 4), sensory(other, 4))
    before = sensory(one, 4)
    assert sensory(one, 4) is before  # built once


def test_a_measured_wiring():
    wiring = Wiring([[0, -1, 0], [1, 0, 0], [0, 1, 0]], [[1, 0, 0]], output_dim=2)
    assert (wiring.units, wiring.input_dim, wiring.output_dim) == (3, 1, 2)
    assert (wiring.synapse_count, wiring.sensory_synapse_count) == (3, 1)
    assert repr(wiring) == "Wiring(units=3, output_dim=2, input_dim=1, synapses=3, sensory_synapses=1)"
    assert sensory(Wiring([[1]]), 3).tolist() == [[1], [1], [1]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Wiring([[2]]), "adjacency_matrix must be a matrix of -1"),
        (lambda: Wiring([1, 0]), "must be a matrix"),
        (lambda: Wiring([[1, 0]]), "must be square"),
        (lambda: Wiring([[1]], [[1, 1]]), r"must be \(inputs, 1\)"),
        (lambda: Wiring([[1]], output_dim=2), "output_dim=2 must be between 1 and the number of units, 1"),
        (lambda: Wiring([[1]]).build(0), "at least one"),
        (lambda: FullyConnected(-3), "units=-3: a wiring has at least one"),
        (lambda: Random(0), "units=0"),
        (lambda: Random(4, sparsity_level=1.0), "sparsity_level=1"),
        (lambda: NCP(2, 2, 1, 3, 1, 1, 1), "sensory_fanout=3 must be between 1 and inter_neurons=2"),
        (lambda: NCP(2, 2, 0, 1, 1, 1, 1), "motor_neurons=0"),
        (lambda: NCP(2, 2, 1, 1, 1, -1, 1), "must not be negative"),
        (lambda: AutoNCP(5, 3), "at most units - 3 = 2"),
        (lambda: AutoNCP(9, 3, sparsity_level=0.95), "between 0.1"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
