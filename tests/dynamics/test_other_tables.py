"""Autocorrelation, trajectories and unrolling against closed forms."""

import math

import numpy as np
import pytest
import torch

from dynvision.analysis.fourier import autocorrelation, decay_time
from dynvision.dynamics import compare_unrollings, engineering_twin, layer_trajectories, noise_autocorrelation
from dynvision.dynamics.trajectories import principal_scores
from dynvision.errors import InputError
from dynvision.model_components import EulerStep
from dynvision.models import create
from tests.base.networks import randomize
from tests.dynamics.one_layer import DT, TAU, OneLayer, image


def test_autocorrelation_is_the_sum_written_out():
    x = np.random.default_rng(0).random(40)
    centred = x - x.mean()
    expected = [(centred[: 40 - k] * centred[k:]).sum() / (centred**2).sum() for k in range(10)]
    np.testing.assert_allclose(autocorrelation(x, 10), expected, atol=1e-12)
    assert np.isnan(autocorrelation(np.ones(5), 3)).all()


def test_decay_time_is_interpolated():
    lags = np.arange(100) * 0.1
    assert decay_time(np.exp(-lags / 3.0), 0.1) == pytest.approx(3.0, rel=1e-3)
    assert np.isnan(decay_time(np.ones(5), 1.0))


def test_a_leaky_layer_remembers_noise_for_its_time_constant():
    model = randomize(OneLayer("none"), gain=0.5)
    with torch.no_grad():
        model.V1.conv.bias.fill_(20.0)  # above threshold whatever the noise
    table = noise_autocorrelation(model, n_steps=8000)
    course = table["mean"].to_numpy()[:6]
    np.testing.assert_allclose(course, (1 - DT / TAU) ** np.arange(6), atol=0.04)
    expected = -DT / math.log(1 - DT / TAU)
    assert decay_time(table["mean"].to_numpy(), DT) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("tau", [50.0, 100.0, 200.0])
def test_the_autocorrelation_time_of_a_slow_layer_is_its_time_constant(tau):
    """However long a layer remembers: the record is not too short for it."""
    model = OneLayer("none")
    model.tstep = EulerStep(DT, tau).double()
    model = randomize(model, gain=0.5)
    with torch.no_grad():
        model.V1.conv.bias.fill_(20.0)
    table = noise_autocorrelation(model)
    expected = -DT / math.log(1 - DT / tau)
    assert decay_time(table["mean"].to_numpy(), DT) == pytest.approx(expected, rel=0.1)


def test_principal_scores_are_those_of_a_singular_value_decomposition():
    activity = np.random.default_rng(1).random((30, 8)) * np.arange(1, 9)
    scores, explained = principal_scores(activity)
    centred = activity - activity.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(scores), np.abs(u[:, :3] * s[:3]), rtol=1e-9)
    np.testing.assert_allclose(explained, s[:3] ** 2 / (s**2).sum())


def test_one_leaky_unit_has_one_component_which_is_its_response():
    model = OneLayer("none", channels=1)
    with torch.no_grad():
        model.V1.conv.weight.zero_()
        model.V1.conv.weight[0, 0, 1, 1] = 1.0
    pixels = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    table = layer_trajectories(model, pixels, [2], [7], duration_ms=40.0, baseline_ms=4.0, recorded_ms=60.0)
    assert set(table["image"]) == {7} and set(table["label"]) == {2}
    first = table[table["component"] == 1]
    assert first["explained"].iloc[0] == pytest.approx(1.0)
    time = first["time_ms"].to_numpy()
    steps = np.clip(time / DT, 0, 20)
    late = np.clip(time / DT - 20, 0, None)
    response = (1 - (1 - DT / TAU) ** steps) * (1 - DT / TAU) ** late
    expected = 3 * (response - response.mean())  # nine equal pixels are one unit vector of length 3
    np.testing.assert_allclose(
        first["score"], expected * np.sign(expected[np.abs(expected).argmax()]), atol=1e-6
    )
    assert first["stimulus_on"].sum() == 20


DELAYS = {"delay_": 3.7, "addskip": 9.4, "addfeedback": 6.6}  # rounded: those of the fixture below


@pytest.fixture(scope="module")
def delayed():
    model = create(
        "DyRCNNx4",
        input_dims=(5, 1, 12, 12),
        n_classes=3,
        recurrence_type="self",
        t_feedforward=4.0,
        t_skip=10.0,
        t_feedback=6.0,
        feedback="additive",
    )
    return randomize(model.double().eval(), gain=0.7)


def test_engineering_time_is_biological_time_shifted(delayed):
    table = compare_unrollings(delayed, image(1, 12), 40)
    assert table.groupby("layer", observed=True)["shift_ms"].first().tolist() == [0.0, 4.0, 8.0, 12.0]
    assert table["largest_difference"].max() < 1e-12 < table["biological"].max()
    np.testing.assert_allclose(table["biological"], table["engineering"], atol=1e-12)


def test_learned_delays_have_an_engineering_twin(delayed):
    learned = create(
        "DyRCNNx4", input_dims=(5, 1, 12, 12), n_classes=3, recurrence_type="self", feedback="additive", t_skip=4.0,
        train=["t_feedforward", "t_skip", "t_feedback"],
    )  # fmt: skip
    randomize(learned.double().eval(), gain=0.7)
    with torch.no_grad():
        for name, parameter in learned.named_parameters():
            if name.endswith("learned_delay"):
                parameter.fill_(next(ms for word, ms in DELAYS.items() if word in name))
    table = compare_unrollings(learned, image(1, 12), 40)
    assert table.groupby("layer", observed=True)["shift_ms"].first().tolist() == [0.0, 4.0, 8.0, 12.0]
    np.testing.assert_allclose(table["biological"], table["engineering"], atol=1e-12)
    np.testing.assert_array_equal(
        table["biological"], compare_unrollings(delayed, image(1, 12), 40)["biological"]
    )


def test_the_comparison_can_fail(delayed):
    twin = engineering_twin(delayed)
    twin.addskip_V4.delay += twin.dt
    assert twin.feedforward_delay_steps("V1") == 0 and delayed.feedforward_delay_steps("V1") == 2
    table = compare_unrollings(twin, image(1, 12), 40)
    assert table["largest_difference"].max() == 0  # its own twin
    assert twin.addskip_V4.delay_steps == 5 - 4 + 1


def test_a_skip_faster_than_the_path_has_no_twin():
    model = create("DyRCNNx4", input_dims=(5, 1, 12, 12), n_classes=3, t_feedforward=4.0, t_skip=4.0)
    with pytest.raises(InputError, match="addskip_V4 is faster than the feedforward path by 4 ms"):
        engineering_twin(model)
