"""Layers and cells against the authors' package ncps: the same weights, the same outputs and gradients."""

from __future__ import annotations

import ncps.torch
import ncps.wirings
import numpy as np
import pytest
import torch

from dynvision.errors import InputError
from dynvision.neurons import LTC, CfC, Wiring

B, T, F, N = 9, 20, 3, 12
WIRINGS = {
    "full": lambda: ncps.wirings.FullyConnected(N, 4),
    "random": lambda: ncps.wirings.Random(N, 4, 0.6),
    "policy": lambda: ncps.wirings.AutoNCP(N, 3),
}
# Largest difference, of outputs and of gradients, as a part of the largest value.
TOLERANCE = {torch.float64: (1e-12, 1e-12), torch.float32: (1e-6, 1e-5)}


def ours_of(theirs):
    """The wiring of ncps, built, as one of ours."""
    if theirs.input_dim is None:  # it would draw more synapses when built again
        theirs.build(F)
    return Wiring(theirs.adjacency_matrix, theirs.sensory_adjacency_matrix, theirs.output_dim)


def sequence(dtype):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(B, T, F, dtype=dtype, generator=generator)
    return inputs.requires_grad_(), 0.1 + 2.9 * torch.rand(B, T, dtype=dtype, generator=generator)


def pair_of_ltc(wiring, dtype, **arguments):
    """A layer of ncps and ours with its weights, and the pairs of their parameters as matrices."""
    torch.manual_seed(0)
    made = WIRINGS[wiring]()
    theirs = ncps.torch.LTC(F, made, **arguments).to(dtype)
    ours = LTC(F, ours_of(made), **arguments).to(dtype)
    cell, params = ours.rnn_cell, theirs.rnn_cell._params
    pairs = [(getattr(cell, name), params[name]) for name in ("gleak", "vleak", "cm")]
    pairs += [(cell.input_map.w, params["input_w"]), (cell.input_map.b, params["input_b"])]
    pairs += [(cell.output_map.w, params["output_w"]), (cell.output_map.b, params["output_b"])]
    by_synapse = []
    for group, prefix in ((cell.recurrent, ""), (cell.sensory, "sensory_")):
        at = (group.source, group.target)
        by_synapse += [(getattr(group, p), params[f"{prefix}{p}"], at) for p in ("w", "mu", "sigma", "erev")]
    with torch.no_grad():
        for parameter in params.values():  # no value stays a special one
            if parameter.requires_grad:
                parameter.mul_(1 + 0.1 * torch.rand_like(parameter))
        for mine, other in pairs:
            mine.copy_(other)
        for mine, other, at in by_synapse:
            mine.copy_(other[at])
    return theirs, ours, pairs, by_synapse


def run(layer, dtype, **arguments):
    inputs, times = sequence(dtype)
    # ncps takes times that are the same for the batch, and needs an axis of the batch for them.
    mine = isinstance(layer, LTC | CfC)
    outputs, state = layer(inputs, timespans=times[0] if mine else times[:1], **arguments)
    (outputs.square().sum() + outputs[:, -1].sum()).backward()
    return outputs.detach(), state, inputs.grad


def close(found, expected, tolerance):
    expected = expected.detach()
    assert (found.detach() - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("wiring", "implicit"), [("full", True), ("random", False), ("policy", True)])
def test_liquid_layers_are_those_of_ncps(wiring, implicit, dtype, fused):
    theirs, ours, pairs, by_synapse = pair_of_ltc(wiring, dtype, implicit_param_constraints=implicit)
    ours.rnn_cell.fused = fused
    of_values, of_gradients = TOLERANCE[dtype]
    (expected, state, by_input), (found, own_state, by_own_input) = run(theirs, dtype), run(ours, dtype)
    close(found, expected, of_values)
    close(own_state, state, of_values)
    close(by_own_input, by_input, of_gradients)
    for mine, other in pairs:
        close(mine.grad, other.grad, of_gradients)
    for mine, other, at in by_synapse:
        close(mine.grad, other.grad[at], of_gradients)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
@pytest.mark.parametrize("layers", [1, 2])
def test_closed_form_layers_are_those_of_ncps(mode, layers):
    torch.manual_seed(0)
    theirs = ncps.torch.CfC(F, N, 5, mode=mode, backbone_units=7, backbone_layers=layers).double()
    ours = CfC(F, N, 5, mode=mode, backbone_units=7, backbone_layers=layers).double()
    own, other = ours.rnn_cell, theirs.rnn_cell
    linear = [module for module in other.backbone if isinstance(module, torch.nn.Linear)]
    pairs = list(zip(own.backbone, linear, strict=True)) + [(own.head.f, other.ff1), (ours.fc, theirs.fc)]
    if mode != "pure":
        pairs += [(own.head.g, other.ff2), (own.head.a, other.time_a), (own.head.b, other.time_b)]
    with torch.no_grad():
        for mine, module in pairs:
            mine.load_state_dict(module.state_dict())
        if mode == "pure":
            other.w_tau.uniform_(0.05, 0.2)
            own.head.w.copy_(other.w_tau[0])
            own.head.A.copy_(other.A[0])
    (expected, state, by_input), (found, own_state, by_own_input) = (
        run(theirs, torch.float64),
        run(ours, torch.float64),
    )
    close(found, expected, 1e-12)
    close(own_state, state, 1e-12)
    close(by_own_input, by_input, 1e-12)
    for mine, module in pairs:
        close(mine.weight.grad, module.weight.grad, 1e-12)


def test_mixed_memory_is_that_of_ncps():
    theirs, ours, *_ = pair_of_ltc("random", torch.float64, mixed_memory=True)
    with (
        torch.no_grad()
    ):  # ncps: input, input gate, forget gate + 1, output gate; torch: gates input, forget, -, output
        order = [1, 2, 0, 3]
        theirs.lstm.input_map.bias.uniform_(-0.5, 0.5)

        def sorted_rows(rows):
            return torch.cat([rows.chunk(4)[k] for k in order])

        ours.lstm.weight_ih.copy_(sorted_rows(theirs.lstm.input_map.weight))
        ours.lstm.weight_hh.copy_(sorted_rows(theirs.lstm.recurrent_map.weight))
        ours.lstm.bias_ih.copy_(sorted_rows(theirs.lstm.input_map.bias))
        ours.lstm.bias_hh.zero_()
        ours.lstm.bias_hh[N : 2 * N] = 1.0
    rest = torch.zeros(B, N, dtype=torch.float64)
    expected, (h, c), by_input = run(theirs, torch.float64, hx=(rest, rest))
    found, (own_h, own_c), by_own_input = run(ours, torch.float64)
    for mine, other in ((found, expected), (own_h, h), (own_c, c), (by_own_input, by_input)):
        close(mine, other, 1e-12)
    again, _ = ours(sequence(torch.float64)[0], (own_h, own_c))
    assert not torch.allclose(again, found)
    with pytest.raises(InputError, match=r"as a pair \(h, c\)"):
        ours(sequence(torch.float64)[0], own_h)


@pytest.mark.parametrize("make", [lambda **a: LTC(F, N, **a), lambda **a: CfC(F, N, backbone_units=7, **a)])
def test_axes(make):
    """Time first, one sequence without a batch, and only the last output are the same numbers in other axes."""
    layer = make().double()
    inputs, times = (each.detach() for each in sequence(torch.float64))
    expected, state = layer(inputs, timespans=times)
    assert expected.shape == (B, T, N) and state.shape == (B, N)
    layer.batch_first = False
    found, last = layer(inputs.transpose(0, 1), timespans=times.T)
    torch.testing.assert_close((found.transpose(0, 1), last), (expected, state))
    layer.batch_first = True
    found, last = layer(inputs[2], timespans=times[2])
    torch.testing.assert_close((found, last), (expected[2], state[2]))
    first, middle = layer(inputs[2, :5], timespans=times[2, :5])
    torch.testing.assert_close(layer(inputs[2, 5:], middle, times[2, 5:])[0], expected[2, 5:])
    torch.testing.assert_close(layer(inputs, timespans=times[..., None])[0], expected)
    layer.return_sequences = False
    torch.testing.assert_close(layer(inputs, timespans=times)[0], expected[:, -1])
    torch.testing.assert_close(
        layer(inputs.float().double())[0], layer(inputs.float().double(), timespans=1.0)[0]
    )


def test_a_wired_closed_form_layer_is_its_cell():
    wiring = ours_of(WIRINGS["policy"]())
    layer = CfC(F, wiring).double()
    inputs, times = (each.detach() for each in sequence(torch.float64))
    found, state = layer(inputs, timespans=times)
    x = None
    for t in range(T):
        output, x = layer.rnn_cell(inputs[:, t], x, times[:, t])
        torch.testing.assert_close(found[:, t], output)
    torch.testing.assert_close(state, x)
    with pytest.raises(InputError, match="backbone_layers is not possible with a wiring"):
        CfC(F, wiring, backbone_layers=2)


def test_fused_single_precision_is_as_exact_as_that_of_torch():
    """Both against double precision, over 100 steps, by the mean error of the gradients."""
    torch.manual_seed(0)
    layer = LTC(F, N).double()
    inputs = torch.rand(B, 100, F, dtype=torch.float64)

    def gradients(dtype, fused):
        layer.to(dtype).zero_grad()
        layer.rnn_cell.fused = fused
        layer(inputs.to(dtype))[0].square().sum().backward()
        return torch.cat([p.grad.flatten().double() for p in layer.rnn_cell.parameters()])

    exact = gradients(torch.float64, False)
    single = {fused: gradients(torch.float32, fused) for fused in (True, False)}
    errors = {fused: np.sqrt((found - exact).square().mean()) for fused, found in single.items()}
    assert errors[True] < 2 * errors[False], errors
