"""Experiments on single units against closed forms: the leaky neuron, cells, and units of layers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from dynvision.cli import main
from dynvision.dynamics.layer_unit import unit_of_layer
from dynvision.errors import InputError
from dynvision.models import create
from dynvision.neurons.experiments import CELLS, NEURONS, make_unit, measure_unit

TAU, DT = 20.0, 0.5


@pytest.fixture(scope="module")
def leaky():
    return measure_unit(make_unit("LTCNeuron", {"tau": TAU, "dt": DT, "gleak": 0.0}), 400.0, 2.0)


def test_step_and_impulse_of_a_leaky_neuron(leaky):
    """r(n) = A (1 - (1 - dt / tau)^n) while it is on, of the Euler map; an impulse leaves A dt / tau, which decays."""
    table = leaky["step"]
    assert sorted(table["amplitude"].unique()) == [1.0, 2.0, 3.0] and len(table) == 3 * 800
    for strength, rows in table.groupby("amplitude"):
        n = np.arange(1, 481)
        on = rows["response"].to_numpy()[:480]
        np.testing.assert_allclose(on, strength * (1 - (1 - DT / TAU) ** n), rtol=1e-9)
        assert (rows["input"].to_numpy()[:480] == strength).all() and not rows["input"].to_numpy()[480:].any()
        late = rows["response"].to_numpy()[479:]
        np.testing.assert_allclose(late[1:], late[:-1] * (1 - DT / TAU), rtol=1e-9)
    impulse = leaky["impulse"]
    first = impulse[impulse["amplitude"] == 2.0]["response"].to_numpy()
    np.testing.assert_allclose(first, 2.0 * DT / TAU * (1 - DT / TAU) ** np.arange(800), rtol=1e-9)


def test_frequency_response_of_a_leaky_neuron(leaky):
    """g = (1 + w^2)^(-1/2) and lag = arctan w, w = 2 pi f tau, up to the error of Euler steps."""
    table = leaky["frequency"]
    w = 2 * np.pi * table["frequency_hz"] / 1000 * TAU
    low = w * DT / TAU < 0.15
    assert low.sum() >= 6
    np.testing.assert_allclose(table["gain"][low], (1 / np.sqrt(1 + w**2))[low], rtol=0.02)
    np.testing.assert_allclose(table["lag_deg"][low], np.degrees(np.arctan(w))[low], atol=1.5)
    np.testing.assert_allclose(table["lag_ms"], table["lag_deg"] / 360 * 1000 / table["frequency_hz"])
    assert table["frequency_hz"].min() == pytest.approx(10.0)


def test_strengths_and_phase_line_of_a_leaky_neuron(leaky):
    table = leaky["f_i"]
    assert table["amplitude"].iloc[0] == 0.0 and table["amplitude"].iloc[-1] == 4.0
    np.testing.assert_allclose(table["steady"], table["amplitude"], rtol=1e-6, atol=1e-12)
    phase = leaky["phase"]
    drive = np.where(phase["is_on"], phase["amplitude"], 0.0)
    np.testing.assert_allclose(phase["rate_per_ms"], (drive - phase["response"]) / TAU, atol=1e-12)


def test_cells_by_name():
    """The plain leaky cell gives tanh in the end; the firing cell its f-I curve before and after adaptation."""
    tables = measure_unit(make_unit("CTRNNCell", {"tau": 10.0, "activation": "tanh"}), 200.0)
    np.testing.assert_allclose(tables["f_i"]["steady"], np.tanh(tables["f_i"]["amplitude"]), rtol=1e-6)
    tables = measure_unit(make_unit("AdExCell", {"dt": 4.0, "b": 40.0}), 400.0, 1.5)
    table = tables["f_i"].set_index("amplitude")
    assert (table.loc[:1.0] == 0).all().all()
    assert (table.loc[1.5:, "peak"] > 1.2 * table.loc[1.5:, "steady"]).all()
    for name in (*NEURONS, *CELLS):
        assert make_unit(name, {}, seed=1).dt > 0


def test_a_unit_of_a_layer_leaks_and_adapts():
    """One layer and no image before it: with the leak alone it is a leaky unit; with adaptation it falls again."""
    made = {}
    for name, arguments in (
        ("plain", {}),
        ("adapting", {"input_adaptation": 1.0, "tau_input_adaptation": 40.0}),
        ("normalising", {"divisive_normalization": True, "tau_divisive_normalization": 40.0}),
    ):
        torch.manual_seed(0)
        network = create(
            "DyRCNNx2",
            input_dims=(4, 1, 12, 12),
            n_classes=3,
            dt=2.0,
            tau=10.0,
            recurrence_type="none",
            **arguments,
        )
        network.train()
        unit = unit_of_layer(network, "layer1")
        assert network.training
        made[name] = measure_unit(unit, 200.0)
        assert unit.dt == 2.0 and "layer1" in unit.name
    step = made["plain"]["step"]
    on = step[(step["amplitude"] == 1.0) & (step["input"] > 0)]["response"].to_numpy()
    np.testing.assert_allclose((on[-1] - on[1:12]) / (on[-1] - on[:11]), 1 - 2.0 / 10.0, rtol=1e-3)
    assert made["plain"]["f_i"]["peak"].iloc[-1] == pytest.approx(
        made["plain"]["f_i"]["steady"].iloc[-1], rel=1e-4
    )
    for name in ("adapting", "normalising"):
        assert made[name]["f_i"]["peak"].iloc[-1] > 1.05 * made[name]["f_i"]["steady"].iloc[-1]


def test_residual_steps_are_no_part_of_a_unit():
    """Delays from layer to layer add steps after the signals; the response is of the signals' steps alone."""
    responses = {}
    for delay in (0.0, 10.0):
        torch.manual_seed(0)
        network = create(
            "DyRCNNx2",
            input_dims=(4, 1, 12, 12),
            n_classes=3,
            dt=2.0,
            recurrence_type="none",
            t_feedforward=delay,
        )
        responses[delay] = unit_of_layer(network, "layer1").respond(np.ones((2, 30)))
        assert responses[delay].shape == (2, 30)
    np.testing.assert_allclose(responses[10.0], responses[0.0], rtol=1e-6)


def test_the_command_draws_what_it_writes(tmp_path, capsys):
    arguments = ["neuron", "LiquidNeuron", "--set", "tau=20", "dt=0.5", "--output", str(tmp_path)]
    assert main(arguments) == 0
    names = ("step", "impulse", "frequency", "f_i", "phase")
    assert capsys.readouterr().out.split() == [str(tmp_path / f"neuron_{name}.png") for name in names]
    expected = measure_unit(make_unit("LiquidNeuron", {"tau": 20, "dt": 0.5}))
    for name in names:
        found = pd.read_csv(tmp_path / f"neuron_{name}.csv")
        pd.testing.assert_frame_equal(found, expected[name], check_dtype=False)
        assert (tmp_path / f"neuron_{name}.svg").is_file()
        with Image.open(tmp_path / f"neuron_{name}.png") as image:
            assert image.size[0] > 300 and np.asarray(image.convert("L")).std() > 5


def test_a_unit_that_is_silent_to_sines_has_no_lag_and_is_named(tmp_path, capsys):
    """An AdExCell stays below threshold up to a rheobase."""
    assert main(["neuron", "AdExCell", "--output", str(tmp_path)]) == 0
    assert "AdExCell is silent to sines from 0 to 1; raise --amplitude" in capsys.readouterr().err
    table = pd.read_csv(tmp_path / "neuron_frequency.csv")
    assert (table["gain"] == 0).all() and table["lag_ms"].isna().all()
    assert main(["neuron", "AdExCell", "--amplitude", "2", "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""
    assert (pd.read_csv(tmp_path / "neuron_frequency.csv")["gain"] > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["LTCNeuron", "--set", "tao=20"], "did you mean 'tau'"),
        (["LTCNeuron", "--set", "tau"], "--set tau is not KEY=VALUE, e.g. tau=20"),
        (["LTCNeuron", "--set", "tau=long"], "tau='long'"),
        (["LTCNeuron", "--layer", "V1"], "is a single unit"),
        (["LTCNeuron", "--duration-ms", "0.3"], "give at least 0.64 ms"),
        (["LTCNeuron", "--duration-ms", "1e9"], "at most 100000 are taken"),
        (["LTCNeuron", "--set", "tau=20", "dt=0.000001"], "raise dt"),
        (["LTCNeuron", "--set", "tau=20", "tau=30"], "--set has the key 'tau' twice; remove one of them"),
        (["LTCNeuron", "--set", "tau=true"], "tau=True must be a positive number"),
        (["LTCNeuron", "--amplitude", "-1"], "amplitude=-1"),
        (["LTCNeuro"], "did you mean 'LTCNeuron'"),
        (["DyRCNNx2", "--layer", "V9"], "unknown layer 'V9'"),
        (["DyRCNNx2", "--set", "tauu=5"], "did you mean 'tau'"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message, capsys, tmp_path):
    assert main(["neuron", *arguments, "--results", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("AdExCell", {"C": 0.0}, "^C=0 must be a positive number"),
        ("LTCCell", {"epsilon": "small"}, "LTCCell cannot be made with .*epsilon.*: .* not supported"),
    ],
)
def test_a_failing_constructor_is_named(name, arguments, message):
    """By its own sentence where it has one."""
    with pytest.raises(InputError, match=message):
        make_unit(name, arguments)
