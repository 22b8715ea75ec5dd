"""Harmonics of a response to flicker against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dynvision.analysis.fourier import f1, f2

TIME = np.arange(-4, 1201, 2.0)


def test_amplitudes_of_known_harmonics() -> None:
    frequencies = np.array([2.0, 5.0, 10.0])
    on = np.broadcast_to((TIME > 0) & (TIME <= 1000), (3, len(TIME)))
    phase = 2 * np.pi * frequencies[:, None] * TIME / 1000
    response = np.where(on, 3 + 0.7 * np.sin(phase + 0.4) + 0.2 * np.cos(2 * phase), 9.0)[:, None]
    assert f1(response, TIME, on, frequencies)[:, 0] == pytest.approx([0.7] * 3, rel=1e-9)
    assert f2(response, TIME, on, frequencies)[:, 0] == pytest.approx([0.2] * 3, rel=1e-9)


def test_a_leaky_unit_is_a_low_pass_and_its_square_answers_twice_a_period() -> None:
    """F1 = 1 / sqrt(1 + (2 pi f tau)^2) of a sinusoid of amplitude 1, once the onset has decayed."""
    tau, dt = 10.0, 0.1
    time = np.arange(1, 10_001) * dt
    for frequency in (5.0, 20.0):
        omega = 2 * math.pi * frequency / 1000
        drive = np.sin(omega * (time - dt / 2))
        r, course = 0.0, []
        for z in drive:
            r += (1 - math.exp(-dt / tau)) * (z - r)
            course.append(r)
        on = np.ones((1, len(time)), bool)
        response, value = np.array(course)[None, None], np.array([frequency])
        assert f1(response, time, on, value)[0, 0] == pytest.approx(
            1 / math.sqrt(1 + (omega * tau) ** 2), rel=2e-3
        )
        squared = response**2
        assert f1(squared, time, on, value)[0, 0] < 1e-2 * f2(squared, time, on, value)[0, 0]


def test_less_than_a_period_has_no_harmonic() -> None:
    on = ((TIME > 0) & (TIME <= 100))[None]
    assert np.isnan(f1(np.ones((1, 1, len(TIME))), TIME, on, np.array([2.0]))).all()
