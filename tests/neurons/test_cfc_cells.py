"""Closed-form cells: a plain loop, limits in time, masks, and strides as cells on part of the input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynvision.errors import InputError
from dynvision.neurons import RNN, CfCCell, Random, StrideAwareCfC, StrideAwareCfCCell, WiredCfCCell, Wiring
from tests.neurons.cells import F, make, policy


def rows(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dense(layer, x):
    return layer.weight.detach().numpy() @ x + layer.bias.detach().numpy()


@pytest.mark.parametrize("name", ["cfc", "cfc_no_gate", "cfc_pure"])
def test_a_step_is_the_closed_form(name):
    """The equations of ncps 1.0.1 (Lechner & Hasani), `ncps.torch.CfCCell`; against it: test_ncps.py."""
    cell = make(name)
    inputs, state, times = rows(5, F), rows(5, 4), torch.rand(5, dtype=torch.float64) * 5
    found, new = cell(inputs, state, times)
    assert found is new
    for b in range(5):
        y = np.concatenate([inputs[b].numpy(), state[b].numpy()])
        for layer in cell.backbone:
            y = 1.7159 * np.tanh(0.666 * dense(layer, y))
        f, t = dense(cell.head.f, y), times[b].item()
        if name == "cfc_pure":
            w, A = cell.head.w.detach().numpy(), cell.head.A.detach().numpy()
            expected = -A * np.exp(-t * (np.abs(w) + np.abs(f))) * f + A
        else:
            s = sigmoid(dense(cell.head.a, y) * t + dense(cell.head.b, y))
            f, g = np.tanh(f), np.tanh(dense(cell.head.g, y))
            expected = f + s * g if name == "cfc_no_gate" else f * (1 - s) + s * g
        np.testing.assert_allclose(found[b].detach(), expected, rtol=1e-10)


def test_limits_in_time():
    """From the one state to the other as time goes on, the way that the sign of the rate says; the pure form to A."""
    cell = make("cfc")
    inputs, state = rows(50, F), rows(50, 4)
    y = cell.activation(cell.backbone[0](torch.cat([inputs, state], 1)))
    f, g = torch.tanh(cell.head.f(y)), torch.tanh(cell.head.g(y))
    late = torch.where(cell.head.a(y) > 0, g, f)
    torch.testing.assert_close(cell(inputs, state, 1e9)[0], late, rtol=0, atol=1e-6)
    with torch.no_grad():
        cell.head.b.weight.zero_()
        cell.head.b.bias.zero_()
    torch.testing.assert_close(cell(inputs, state, 0.0)[0], (f + g) / 2)  # halfway, where b = 0
    pure = make("cfc_pure")
    with torch.no_grad():
        pure.head.w.fill_(0.1)
    torch.testing.assert_close(pure(inputs, state, 1e4)[0], pure.head.A.expand(50, 4))
    y = pure.activation(pure.backbone[0](torch.cat([inputs, state], 1)))
    y = pure.activation(pure.backbone[1](y))
    torch.testing.assert_close(pure(inputs, state, 0.0)[0], pure.head.A * (1 - pure.head.f(y)))


def test_dropout_follows_the_mode_unless_told_otherwise():
    cell = CfCCell(F, 4, backbone_dropout=0.5).double()
    inputs = rows(6, F)
    torch.manual_seed(0)
    trained = cell(inputs)[0]
    assert not torch.equal(cell(inputs)[0], trained)
    quiet = cell(inputs, training=False)[0]
    cell.eval()
    assert torch.equal(cell(inputs)[0], quiet)
    torch.manual_seed(0)
    torch.testing.assert_close(cell(inputs, training=True)[0], trained)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
@pytest.mark.parametrize("make_wiring", [policy, lambda: Random(6, 2, 0.7)])
def test_what_is_not_wired_has_no_effect_and_no_gradient(mode, make_wiring):
    torch.manual_seed(0)
    cell = WiredCfCCell(make_wiring(), F, mode).double()
    inputs, state = rows(8, F), rows(8, cell.state_size)
    cell(inputs, state, 1.5)[1].square().sum().backward()
    weights = [(module.weight, module.mask.bool()) for head in cell.heads for module in head.children()]
    assert weights and sum(int((~present).sum()) for _, present in weights) > 0
    for weight, present in weights:
        assert not weight.grad[~present].any() and weight.grad[present].all()


def test_who_hears_whom_is_what_the_wiring_says():
    """The Jacobian of one step, unit by unit: input and state reach a unit along synapses and through new states."""
    wiring = policy()
    cell = WiredCfCCell(wiring, F).double()
    inputs, state = rows(1, F), rows(1, 11)
    by_input, by_state = torch.autograd.functional.jacobian(lambda x, v: cell(x, v)[1][0], (inputs, state))
    reached = np.eye(11, dtype=bool)
    from_input = np.zeros((F, 11), dtype=bool)
    A, S = wiring.adjacency_matrix != 0, wiring.sensory_adjacency_matrix != 0
    layers = wiring.layers
    within = np.zeros_like(A)
    for layer in layers:
        within[np.ix_(layer, layer)] = A[np.ix_(layer, layer)]
    reached |= within
    from_input |= S
    for below, layer in zip(layers, layers[1:], strict=False):
        across = np.zeros_like(A)
        across[np.ix_(below, layer)] = A[np.ix_(below, layer)]
        reached |= (reached.astype(int) @ across.astype(int)) > 0
        from_input |= (from_input.astype(int) @ across.astype(int)) > 0
    assert np.array_equal(by_state[:, 0].numpy().T != 0, reached)
    assert np.array_equal(by_input[:, 0].numpy().T != 0, from_input)
    assert torch.equal(
        cell(inputs, state)[0], cell(inputs, state)[1][:, :2]
    )  # the output are the motor units


def test_a_single_wired_unit_is_a_cell_without_backbone():
    wired, plain = WiredCfCCell(Wiring([[1]]), 2).double(), CfCCell(2, 1, backbone_layers=0).double()
    plain.head.load_state_dict(
        {name: t for name, t in wired.heads[0].state_dict().items() if "mask" not in name}
    )
    inputs, state = rows(4, 2), rows(4, 1)
    torch.testing.assert_close(wired(inputs, state, 2.0), plain(inputs, state, 2.0))


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_a_stride_is_a_cell_on_every_nth_input_with_its_time(stride):
    torch.manual_seed(0)
    strided = StrideAwareCfC(F, 4, stride, time_scale_factor=0.5, backbone_units=8).double()
    plain = CfCCell(F, 4, backbone_units=8).double()
    plain.load_state_dict(strided.cell.state_dict())
    inputs, times = rows(2, 11, F), torch.rand(2, 11, dtype=torch.float64) + 0.5
    found, last = strided(inputs, None, times)
    n = 11 // stride
    sums = times[:, : n * stride].reshape(2, n, stride).sum(2)
    at_strides, state = RNN(plain)(inputs[:, stride - 1 :: stride][:, :n], elapsed_time=0.5 * sums)
    held = torch.cat([torch.zeros(2, 1, 4).double(), at_strides], 1)
    expected = torch.stack([held[:, (t + 1) // stride] for t in range(11)], 1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(last, state)
    first, carried = strided(inputs[:, : 2 * stride], None, times[:, : 2 * stride])
    second, _ = strided(inputs[:, 2 * stride :], carried, times[:, 2 * stride :])
    torch.testing.assert_close(torch.cat([first, second], 1), found)
    strided.return_sequences = False
    torch.testing.assert_close(strided(inputs, None, times)[0], last)


def test_without_times_a_step_is_one_ms():
    torch.manual_seed(0)
    strided, inputs = StrideAwareCfC(F, 4, 2, backbone_units=8).double(), rows(2, 6, F)
    assert torch.equal(strided(inputs)[0], strided(inputs, elapsed_time=1.0)[0])
    assert torch.equal(strided(inputs)[0], strided(inputs, elapsed_time=torch.ones(6).double())[0])
    assert not torch.equal(strided(inputs)[0], strided(inputs, elapsed_time=2.0)[0])


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: CfCCell(3, 4, mode="defaults"), "did you mean 'default'"),
        (lambda: CfCCell(3, 4, activation="tanhh"), "did you mean 'tanh'"),
        (lambda: CfCCell(3, 0), "hidden_size=0"),
        (lambda: CfCCell(3, 4, backbone_dropout=1.0), "backbone_dropout=1"),
        (lambda: StrideAwareCfCCell(3, 4, stride_length=0), "stride_length=0"),
        (lambda: StrideAwareCfCCell(3, 4, time_scale_factor=0.0), "time_scale_factor=0"),
        (lambda: StrideAwareCfC(3, 4)(torch.randn(2, 3)), "a sequence is"),
        (lambda: StrideAwareCfC(3, 4)(torch.randn(2, 5, 4)), r"takes \(batch, 3\)"),
    ],
)
def test_what_cannot_be_is_refused(make_it, message):
    with pytest.raises(InputError, match=message):
        make_it()


def test_strides_of_several_groups_are_a_plain_loop():
    """Each group moves at the end of its strides by the time that they lasted, and sees the state of all."""
    torch.manual_seed(0)
    strided = StrideAwareCfC(F, 6, [1, 2, 3], time_scale_factor=0.5, backbone_units=8).double()
    inputs, times = rows(2, 7, F), torch.rand(2, 7, dtype=torch.float64) + 0.5
    found, last = strided(inputs, None, times)
    cell, x = strided.cell, torch.zeros(2, 6, dtype=torch.float64)
    for t in range(7):
        before = x.clone()
        for group, n in enumerate([1, 2, 3]):
            if (t + 1) % n == 0:
                lasted = 0.5 * times[:, t + 1 - n : t + 1].sum(1)
                units = slice(2 * group, 2 * group + 2)
                plain = CfCCell.forward(cell, inputs[:, t], before, lasted)[0]
                x = torch.cat([x[:, : units.start], plain[:, units], x[:, units.stop :]], 1)
        torch.testing.assert_close(found[:, t], x)
    torch.testing.assert_close(last, x)
    assert StrideAwareCfC(F, 6, [2, 2, 2], backbone_units=8).cell.strides == [2, 2, 2]
    with pytest.raises(InputError, match="hidden_size=5 units cannot be in 2 groups"):
        StrideAwareCfCCell(F, 5, [1, 2])
    with pytest.raises(InputError, match="stride_length"):
        StrideAwareCfCCell(F, 4, [1, 0])
