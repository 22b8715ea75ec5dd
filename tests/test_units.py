"""Milliseconds to steps and back, without silent rounding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynvision.errors import InputError
from dynvision.units import ms_to_steps, steps_to_ms

STEPS_OF_DT = st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 2.0, 2.5, 5.0])


@given(n_steps=st.integers(0, 100_000), dt=STEPS_OF_DT)
def test_steps_to_ms_and_back(n_steps: int, dt: float) -> None:
    assert ms_to_steps(steps_to_ms(n_steps, dt), dt) == n_steps


@given(n_steps=st.integers(0, 1_000_000), dt=STEPS_OF_DT, part=st.floats(0.001, 0.999))
def test_a_real_remainder_is_never_rounded_away(n_steps: int, dt: float, part: float) -> None:
    with pytest.raises(InputError, match="not a multiple"):
        ms_to_steps((n_steps + part) * dt, dt)


@pytest.mark.parametrize(
    ("duration", "dt", "steps"), [(0.3, 0.1, 3), (6, 2, 3), (0, 2, 0), (1.1, 0.1, 11), (-4, 2, -2)]
)
def test_decimal_fractions_are_exact_multiples(duration: float, dt: float, steps: int) -> None:
    assert ms_to_steps(duration, dt, minimum_ms=-10) == steps


def test_nearest_valid_durations_are_named() -> None:
    with pytest.raises(InputError) as error:
        ms_to_steps(5, 2, "t_recurrence")
    assert (
        str(error.value)
        == "t_recurrence=5 ms is not a multiple of dt=2 ms; nearest valid values: 4 ms and 6 ms"
    )


def test_nearest_valid_duration_is_allowed() -> None:
    with pytest.raises(InputError) as error:
        ms_to_steps(3, 2, "t_recurrence", minimum_ms=4 - 2)
    assert str(error.value).endswith("nearest valid values: 2 ms and 4 ms")
    with pytest.raises(InputError) as error:
        ms_to_steps(2.5, 2, "t_recurrence", minimum_ms=2.5)
    assert str(error.value).endswith("nearest valid values: 4 ms")


@pytest.mark.parametrize(
    ("duration", "dt", "sentence"),
    [
        (1, 2, "delay=1 ms is too small; the smallest value allowed is 2 ms"),
        (float("nan"), 2, "delay=nan is not a duration in ms"),
        (float("inf"), 2, "delay=inf is not a duration in ms"),
        (4, 0, "dt=0 ms must be a positive number of ms"),
        (4, -1, "dt=-1 ms must be a positive number of ms"),
        (4, float("nan"), "dt=nan ms must be a positive number of ms"),
    ],
)
def test_impossible_durations_are_one_sentence(duration: float, dt: float, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        ms_to_steps(duration, dt, "delay", minimum_ms=2)
    assert str(error.value) == sentence
