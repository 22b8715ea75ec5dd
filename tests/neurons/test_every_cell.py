"""What holds for every cell: sequences, streaming, times, batches, gradients, saving; and the LSTM beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dynvision.errors import InputError
from dynvision.neurons import LSTM, RNN, LSTMCell
from tests.neurons.cells import MAKERS, F, make

B, T = 3, 7


def sequence(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(B, T, F, dtype=torch.float64, generator=generator), torch.rand(
        B, T, dtype=torch.float64, generator=generator
    )


@pytest.mark.parametrize("name", MAKERS)
def test_a_sequence_is_its_steps_element_by_element(name):
    cell, (inputs, times) = make(name), sequence()
    found, last = RNN(cell)(inputs, elapsed_time=times)
    assert found.shape == (B, T, cell.output_size) and last.shape == (B, cell.state_size)
    for b in range(B):
        state = None
        for t in range(T):
            output, state = cell(inputs[b : b + 1, t], state, times[b, t].item())
            torch.testing.assert_close(output[0], found[b, t])
        torch.testing.assert_close(state[0], last[b])
    torch.testing.assert_close(RNN(cell, return_sequences=False)(inputs, elapsed_time=times)[0], found[:, -1])


@pytest.mark.parametrize("name", MAKERS)
def test_a_sequence_can_be_cut_and_go_on(name):
    rnn, (inputs, times) = RNN(make(name)), sequence()
    whole, last = rnn(inputs, elapsed_time=times)
    first, state = rnn(inputs[:, :4], elapsed_time=times[:, :4])
    second, state = rnn(inputs[:, 4:], state, times[:, 4:])
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("name", MAKERS)
def test_times_of_every_form(name):
    rnn, (inputs, times) = RNN(make(name)), sequence()
    assert torch.equal(rnn(inputs)[0], rnn(inputs, elapsed_time=1.0)[0])
    torch.testing.assert_close(
        rnn(inputs, elapsed_time=times[0])[0], rnn(inputs, elapsed_time=times[:1].expand(B, T))[0]
    )
    torch.testing.assert_close(
        rnn(inputs, elapsed_time=torch.tensor(2.0).double())[0], rnn(inputs, elapsed_time=2.0)[0]
    )
    assert not torch.equal(rnn(inputs)[0], rnn(inputs, elapsed_time=3.0)[0])  # time matters


@pytest.mark.parametrize("name", MAKERS)
def test_every_parameter_has_a_finite_gradient(name):
    """Checked against finite differences, for inputs and times too."""
    cell, (inputs, times) = make(name), sequence()
    rnn = RNN(cell)
    rnn(inputs, elapsed_time=times)[0].square().sum().backward()
    for parameter in cell.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any()

    def run(x, t):
        return rnn(x, elapsed_time=t)[0]

    few = (inputs[:1, :2].clone().requires_grad_(), times[:1, :2].clone().requires_grad_())
    assert torch.autograd.gradcheck(run, few)


@pytest.mark.parametrize("name", MAKERS)
def test_saved_weights_give_the_same_cell(name, tmp_path):
    one, other, (inputs, _) = make(name, 0), make(name, 1), sequence()
    assert not torch.equal(one(inputs[:, 0])[0], other(inputs[:, 0])[0])
    save_file(one.state_dict(), tmp_path / "cell.safetensors")
    other.load_state_dict(load_file(tmp_path / "cell.safetensors"), strict=True)
    assert torch.equal(one(inputs[:, 0])[0], other(inputs[:, 0])[0])


@pytest.mark.parametrize("name", MAKERS)
def test_single_precision_and_initial_state(name):
    cell = make(name)
    double, _ = RNN(cell)(sequence()[0])
    cell.float()
    single, state = RNN(cell)(sequence()[0].float())
    assert single.dtype == torch.float32 and state.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)
    rest = cell.reset_state(B)
    assert rest.shape == (B, cell.state_size) and not rest.any()
    assert torch.equal(RNN(cell)(sequence()[0].float(), rest)[0], single)


@pytest.mark.parametrize("name", MAKERS)
def test_times_from_elsewhere_take_the_type_of_the_inputs(name):
    rnn, (inputs, times) = RNN(make(name).float()), sequence()
    expected = rnn(inputs.float(), elapsed_time=times.float())[0]
    for given in (times, times.numpy(), times.tolist()):
        found = rnn(inputs.float(), elapsed_time=given)[0]
        assert found.dtype == torch.float32 and torch.equal(found, expected)


@pytest.mark.parametrize("name", MAKERS)
def test_everything_is_where_the_parameters_are(name):
    """On the meta device, which mixes with no other, as a GPU does not."""
    cell = make(name).to("meta")
    output, state = RNN(cell)(torch.empty(B, T, F, device="meta", dtype=torch.float64), elapsed_time=2.0)
    assert output.shape == (B, T, cell.output_size) and state.device.type == "meta"


@pytest.mark.parametrize("name", ["ltc_sparse", "cfc", "cfc_wired", "ctrnn"])
def test_a_step_compiles_without_a_break(name):
    cell, (inputs, times) = make(name), sequence()
    step = torch.compile(cell, backend="eager", fullgraph=True)
    torch.testing.assert_close(step(inputs[:, 0], None, times[:, 0]), cell(inputs[:, 0], None, times[:, 0]))


def test_lstm_is_torchs_on_batch_first_sequences():
    torch.manual_seed(0)
    ours, torchs = LSTM(F, 4, 2), torch.nn.LSTM(F, 4, 2, batch_first=True)
    torchs.load_state_dict(ours.state_dict())
    inputs = torch.randn(B, T, F)
    torch.testing.assert_close(ours(inputs), torchs(inputs))
    assert not LSTM(F, 4, batch_first=False).batch_first and not LSTM(F, 4, 1, True, False).batch_first


def test_lstm_cell_is_the_lstm_step_by_step():
    torch.manual_seed(0)
    cell, layer = LSTMCell(F, 4), LSTM(F, 4)
    layer.load_state_dict({f"{name}_l0": tensor for name, tensor in cell.state_dict().items()})
    inputs = torch.randn(B, T, F)
    output, (h, c) = RNN(cell)(inputs)
    expected, (h_n, c_n) = layer(inputs)
    torch.testing.assert_close((output, h, c), (expected, h_n[0], c_n[0]))
    assert torch.equal(cell(inputs[:, 0], cell.reset_state(B))[0], cell(inputs[:, 0])[0])
    with pytest.raises(InputError, match="cannot use elapsed_time"):
        RNN(cell)(inputs, elapsed_time=1.0)


@pytest.mark.parametrize(
    ("inputs", "times", "message"),
    [
        (torch.zeros(2, 3), None, "a sequence is"),
        (torch.zeros(2, 0, 3), None, "at least one step"),
        (np.zeros((2, 5, 3)), None, "inputs are a ndarray; give a tensor"),
        (torch.zeros(2, 5, 3), torch.ones(2), r"\(5,\) for the steps of the sequence, or \(2, 5\)"),
        (torch.zeros(2, 5, 3), -torch.ones(5), "negative or infinite"),
        (torch.zeros(2, 5, 3), torch.full((2, 5), torch.nan), "NaN"),
        (torch.zeros(2, 5, 3), -1.0, "elapsed_time=-1 ms"),
    ],
)
def test_impossible_sequences_are_refused(inputs, times, message):
    with pytest.raises(InputError, match=message):
        RNN(make("ctrnn").float())(inputs, elapsed_time=times)


def test_a_recurrent_network_needs_a_cell():
    for wrong in (4, torch.nn.Linear(3, 3), None):
        with pytest.raises(InputError, match="cell=.* must be a cell of dynvision.neurons"):
            RNN(wrong)
