"""The delayed-normalisation model: its filters, its limits, and its own parameters back from the fit."""

import numpy as np
import pytest

from dynvision.analysis.delayed_normalization import (
    DelayedNormalization,
    delayed_normalization_fit,
    fit_delayed_normalization,
    gamma_pass,
    low_pass,
)

DURATIONS = (16, 34, 66, 134, 266, 534)
HUMAN_AREAS = {"V1-V3": (17, 132, 1.00, 0.32), "VOTC": (49, 269, 1.03, 0.36), "LOTC": (82, 390, 0.97, 0.34)}


def pulses(dt=2.0, durations=DURATIONS, recorded_ms=1000.0):
    time = np.arange(0, recorded_ms, dt)
    return np.stack([(time < duration).astype(float) for duration in durations])


def test_filters_have_unit_area_and_the_shapes_of_the_equations():
    dt, tau = 0.05, 20.0
    time = np.arange(0, 600, dt)
    impulse = np.zeros(len(time))
    impulse[0] = 1 / dt
    h2 = low_pass(impulse, dt, tau)
    h1 = gamma_pass(impulse, dt, tau)
    np.testing.assert_allclose(h1, low_pass(h2, dt, tau), atol=1e-12)
    np.testing.assert_allclose(h2, np.exp(-time / tau) / tau, atol=2e-4)
    np.testing.assert_allclose(h1, time * np.exp(-time / tau) / tau**2, atol=2e-4)
    assert h1.sum() * dt == pytest.approx(1) and h2.sum() * dt == pytest.approx(1)


def test_response_equals_convolutions_written_out():
    dt, model = 2.0, DelayedNormalization(12.0, 80.0, 1.5, 0.2, latency_ms=6.0, scale=2.5)
    s = np.random.default_rng(0).random(200)
    lag = np.arange(200) * dt
    h1 = (1 - np.exp(-dt / 12)) ** 2 * (1 + lag / dt) * np.exp(-lag / 12)
    h2 = (1 - np.exp(-dt / 80)) * np.exp(-lag / 80)
    drive = np.convolve(s, h1)[:200]
    pool = np.convolve(drive, h2)[:200]
    expected = 2.5 * drive**1.5 / (0.2**1.5 + pool**1.5)
    response = model.response(s, dt)
    np.testing.assert_allclose(response[3:], expected[:-3], rtol=1e-9)
    assert (response[:3] == 0).all()


def test_a_long_stimulus_ends_in_the_contrast_response():
    contrasts = np.array([0.1, 0.4, 1.0])
    amplitude = np.repeat(contrasts[:, None], 3000, axis=1)
    settled = DelayedNormalization(10.0, 100.0, 2.0, 0.3).response(amplitude, 2.0)[:, -1]
    np.testing.assert_allclose(settled, contrasts**2 / (0.3**2 + contrasts**2), rtol=1e-6)


@pytest.mark.parametrize("latency", [0.0, 24.0, 37.3])
@pytest.mark.parametrize("area", HUMAN_AREAS)
def test_the_model_returns_its_own_parameters(area, latency):
    true = DelayedNormalization(*HUMAN_AREAS[area], latency_ms=latency, scale=3.7)
    fit = fit_delayed_normalization(true.response(pulses(), 2.0), pulses(), 2.0)
    for name in ("tau1_ms", "tau2_ms", "n", "sigma", "scale"):
        assert getattr(fit, name) == pytest.approx(getattr(true, name), rel=5e-3), name
    assert fit.latency_ms == pytest.approx(latency, abs=0.05)
    assert fit.r_squared > 0.999999


def test_a_response_that_does_not_adapt_has_no_parameters_but_a_reason():
    """Two leaky stages, which the model is for an infinite sigma."""
    fit = fit_delayed_normalization(gamma_pass(pulses(), 2.0, 20.0), pulses(), 2.0)
    assert np.isnan([fit.tau1_ms, fit.tau2_ms, fit.n, fit.sigma, fit.latency_ms, fit.scale]).all()
    assert "sigma ended on its upper bound of 100" in fit.reason and fit.r_squared > 0.99
    silent = fit_delayed_normalization(np.zeros((6, 500)), pulses(), 2.0)
    assert silent.reason and np.isnan(silent.r_squared)


def test_contrast_tells_sigma_too():
    amplitude = np.outer([0.0625, 0.125, 0.25, 0.5, 1.0], pulses(durations=(500,))[0])
    true = DelayedNormalization(20.0, 150.0, 1.4, 0.15)
    fit = fit_delayed_normalization(true.response(amplitude, 2.0), amplitude, 2.0)
    assert (fit.tau1_ms, fit.tau2_ms, fit.n, fit.sigma) == pytest.approx((20, 150, 1.4, 0.15), rel=5e-3)


def test_noise_of_a_hundredth_moves_the_fit_little():
    true = DelayedNormalization(*HUMAN_AREAS["V1-V3"])
    response = true.response(pulses(), 2.0)
    response = response + np.random.default_rng(2).normal(0, 0.01 * response.max(), response.shape)
    fit = fit_delayed_normalization(response, pulses(), 2.0)
    assert (fit.tau1_ms, fit.tau2_ms) == pytest.approx((17, 132), rel=0.15)


def test_layers_and_draws_are_fitted_apart_and_silence_is_not():
    time = np.arange(-8, 1001, 2.0)
    amplitude = np.pad(pulses(), ((0, 0), (5, 0)))
    models = [DelayedNormalization(*HUMAN_AREAS[area]) for area in ("V1-V3", "LOTC")]
    layers = np.stack(
        [*(model.response(amplitude, 2.0) for model in models), np.zeros_like(amplitude)], axis=1
    )
    draws = np.stack([layers, 2 * layers], axis=1)  # (V, N, L, T)
    fitted = delayed_normalization_fit(draws, time, amplitude)
    expected = np.array([[17, 82, np.nan]] * 2)
    np.testing.assert_allclose(fitted["tau1_ms"], expected, rtol=5e-3)
    np.testing.assert_allclose(fitted["scale"][1, :2], 2 * fitted["scale"][0, :2], rtol=1e-2)
