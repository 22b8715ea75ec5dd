"""The same responses sampled every 1 and every 2 ms give measures that agree to the grid."""

from __future__ import annotations

import numpy as np
import pytest

from dynvision.analysis.contrast_response import c50
from dynvision.analysis.delayed_normalization import DelayedNormalization, delayed_normalization_fit
from dynvision.analysis.latency import fwhm_ms, onset_latency_ms, peak, rise_time_ms, time_to_peak_ms
from dynvision.analysis.recovery import recovery
from dynvision.analysis.summation import r_double, summation_exponent, summed_response, sustained_ratio

MODEL = DelayedNormalization(20.0, 150.0, 1.4, 0.3, latency_ms=24.0)
DURATIONS = np.array([16.0, 32, 64, 128, 256, 512])
CONTRASTS = np.array([0.0625, 0.125, 0.25, 0.5, 1.0])
GAPS = np.array([16.0, 64, 256, 1000])


def sampled(onsets_and_offsets, amplitudes, dt):
    """Responses of the model, integrated every 0.25 ms and sampled every dt; time, stimulus and amplitude there."""
    fine = np.arange(-39, 8001) * 0.25
    amplitude = np.zeros((len(onsets_and_offsets), len(fine)))
    for row, pulses, height in zip(amplitude, onsets_and_offsets, amplitudes, strict=True):
        for onset, offset in pulses:
            row[(fine > onset) & (fine <= offset)] = height
    every = round(dt / 0.25)
    response = MODEL.response(amplitude, 0.25)[:, None, ::every]
    return response, fine[::every], amplitude[:, ::every] > 0, amplitude[:, ::every]


@pytest.fixture(scope="module", params=["contrast", "duration", "interval"])
def grids(request):
    """A protocol on both grids, and the values of its parameter."""
    shown = {
        "contrast": (CONTRASTS, [[(0, 500)]] * 5, CONTRASTS),
        "duration": (DURATIONS, [[(0, duration)] for duration in DURATIONS], np.ones(6)),
        "interval": (GAPS, [[(0, 128), (128 + gap, 256 + gap)] for gap in GAPS], np.ones(4)),
    }
    values, pulses, amplitudes = shown[request.param]
    return request.param, values, *(sampled(pulses, amplitudes, dt) for dt in (1.0, 2.0))


def test_measures_agree_to_the_grid(grids):
    protocol, values, fine, coarse = grids
    for measure in (time_to_peak_ms, onset_latency_ms, rise_time_ms, fwhm_ms):
        np.testing.assert_allclose(measure(*fine[:2]), measure(*coarse[:2]), atol=2.0)
    np.testing.assert_allclose(peak(*fine[:2]), peak(*coarse[:2]), rtol=2e-3)
    np.testing.assert_allclose(summed_response(*fine[:2]), summed_response(*coarse[:2]), rtol=1e-3)
    if protocol == "contrast":
        np.testing.assert_allclose(sustained_ratio(*fine[:3]), sustained_ratio(*coarse[:3]), rtol=1e-2)
        np.testing.assert_allclose(c50(*fine[:2], values), c50(*coarse[:2], values), rtol=1e-2)
    if protocol == "duration":
        np.testing.assert_allclose(r_double(*fine[:2], values), r_double(*coarse[:2], values), rtol=1e-2)
        exponents = [summation_exponent(*grid[:2], values) for grid in (fine, coarse)]
        np.testing.assert_allclose(*exponents, rtol=1e-2)
    if protocol == "interval":
        np.testing.assert_allclose(recovery(*fine[:3]), recovery(*coarse[:3]), rtol=1e-2)


def test_fits_agree_with_each_other_and_with_the_model(grids):
    protocol, _, fine, coarse = grids
    for response, time, _, amplitude in (fine, coarse):
        fitted = delayed_normalization_fit(response, time, amplitude)
        assert fitted["tau1_ms"] == pytest.approx([20.0], rel=0.1), protocol
        assert fitted["tau2_ms"] == pytest.approx([150.0], rel=0.1), protocol
        assert fitted["n"] == pytest.approx([1.4], rel=0.1) and fitted["r_squared"] > 0.999
