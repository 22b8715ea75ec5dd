"""Adaptation of a layer: closed forms, the order of a step, and every number by layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from dynvision.model_components import InputAdaptation, IntrinsicSuppression, SynapticDepression
from dynvision.models import create
from tests.base.networks import randomize
from tests.base.registered import assert_refused
from tests.base.small import Small, build, compare

USE, TAU_REC, TAU_IN = 0.02, 300.0, 12.0  # 1/ms, ms, ms


def course(component: Any, signal: list[float], activity: list[float] | None = None) -> np.ndarray:
    """What a component makes of a signal of one unit, step by step."""
    state, results = component.start(), []
    for k, value in enumerate(signal):
        r = None if activity is None else torch.full((1, 1, 1, 1), activity[k], dtype=torch.float64)
        x, state = component.step(torch.full((1, 1, 1, 1), value, dtype=torch.float64), state, r)
        results.append(float(x))
    return np.array(results)


def recovered(t: float, y: float, start: tuple[float, float] = (1.0, 0.0)) -> tuple[float, float]:
    """R and E after t ms of a constant activity: the linear equation solved by its matrix exponential."""
    matrix = np.array([[-1 / TAU_REC - USE * y, -1 / TAU_REC], [USE * y, -1 / TAU_IN]])
    rest = np.linalg.solve(matrix, [-1 / TAU_REC, 0.0])
    return tuple(rest + expm(matrix * t) @ (np.array(start) - rest))


def test_depression_follows_the_closed_form_to_first_order() -> None:
    """An activity of 2 for 200 ms, silence for 100 ms, and 2 again: depletion, and recovery in two stages."""
    exact = [recovered(t, 2.0)[0] for t in (50.0, 200.0)]
    after = recovered(100.0, 0.0, start=recovered(200.0, 2.0))
    errors = []
    for dt in (2.0, 1.0, 0.5, 0.25):
        signal = [2.0] * round(200 / dt) + [0.0] * round(100 / dt) + [2.0]
        heard = course(SynapticDepression(USE, TAU_REC, TAU_IN, dt), signal)
        found = heard[round(50 / dt)] / 2, heard[-1] / 2
        errors.append(max(abs(found[0] - exact[0]), abs(found[1] - after[0])))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(orders - 1) < 0.2), orders
    assert errors[-1] < 2e-3 and exact[1] < 0.3


def test_depression_settles_where_the_equation_says() -> None:
    heard = course(SynapticDepression(USE, TAU_REC, TAU_IN, 2.0), [1.5] * 3000)
    assert heard[0] == 1.5  # a rested synapse passes everything
    assert heard[-1] == pytest.approx(1.5 / (1 + USE * 1.5 * (TAU_REC + TAU_IN)), rel=1e-9)


def test_recovery_waits_for_what_is_still_effective() -> None:
    """Without a second stage (tau_in to 0) recovery is one exponential; with it, it begins later."""
    slow = [recovered(t, 0.0, start=(0.2, 0.8))[0] for t in (1.0, 40.0)]
    for tau_in, expected in ((TAU_IN, slow), (1e-6, [1 - 0.8 * math.exp(-t / TAU_REC) for t in (1.0, 40.0)])):
        component = SynapticDepression(USE, TAU_REC, tau_in, 0.01)
        state = torch.tensor([0.2, 0.8], dtype=torch.float64).reshape(1, 2, 1, 1, 1)
        found = []
        for _ in range(4000):
            _, state = component.step(torch.zeros(1, 1, 1, 1, dtype=torch.float64), state, None)
            found.append(float(state[0, 0]))
        assert (found[99], found[-1]) == pytest.approx(tuple(expected), abs=2e-4)
    assert slow[0] < 0.201


@given(
    use=st.floats(0, 1e3), tau_in=st.floats(1e-3, 1e3), longer=st.floats(1, 100), dt=st.floats(0.01, 50),
    seed=st.integers(0, 100),
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_resources_stay_between_0_and_1_for_every_activity(
    use: float, tau_in: float, longer: float, dt: float, seed: int
) -> None:
    component, state = SynapticDepression(use, longer * dt, tau_in, dt), None
    generator = torch.Generator().manual_seed(seed)
    for _ in range(30):
        y = 100 * torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64)
        heard, state = component.step(y, state, None)
        parts = torch.cat([state, 1 - state.sum(dim=1, keepdim=True)], dim=1)
        assert parts.min() >= -1e-12 and parts.max() <= 1 + 1e-12
        assert torch.all(heard >= 0) and torch.all(heard <= y.clamp_min(0))


def test_an_offset_lets_small_states_pass() -> None:
    """Of a constant input the state of both is 1 - (1 - dt / tau)^n times it, by hand."""
    signal, n = [0.6] * 40, np.arange(40)
    state = 0.6 * (1 - 0.9**n)
    for offset in (0.0, 0.3):
        above = np.maximum(state - offset, 0) if offset else state
        adapted = course(InputAdaptation(0.8, 20.0, 2.0, offset), signal)
        np.testing.assert_allclose(adapted, 0.6 / (1 + 0.8 * above), rtol=1e-12)
        suppressed = course(IntrinsicSuppression(0.7, 20.0, 2.0, offset), signal, signal)
        above = np.maximum(0.6 * (1 - 0.9 ** (n + 1)) - offset, 0)
        np.testing.assert_allclose(suppressed, 0.6 - 0.7 * above, rtol=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [
        {"synaptic_depression": {"V1": 0.05, "V4": 0.2}, "tau_recovery": {"first": 40.0, "last": 90.0}},
        {"synaptic_depression": 0.1, "divisive_normalization": True, "t_idle": 6.0, "dynamics_solver": "rk4"},
        {"input_adaptation": {"V1": 0.4, "V4": 0.9}, "tau_input_adaptation": {"V4": 20.0}},
        {"input_adaptation": 0.8, "input_adaptation_offset": 0.2},
        {"intrinsic_suppression": 0.6, "intrinsic_suppression_offset": {"V2": 0.1}},
    ],
    ids=str,
)
def test_outputs_recordings_and_gradients_are_those_of_the_textbook_loop(arguments: dict[str, Any]) -> None:
    delays = {
        "t_feedforward": 2.0,
        "t_skip": 2.0,
        "feedback": "additive",
        "t_feedback": 4.0,
        "t_recurrence": 4.0,
    }
    video = torch.randn(2, 7, 2, 10, 10, dtype=torch.float64)
    for block_steps in (None, 3):
        compare(build(Small, **delays, **arguments, block_steps=block_steps), video, video)


BY_LAYER = {
    "input_adaptation": 0.5,
    "tau_input_adaptation": 20.0,
    "input_adaptation_offset": 0.05,
    "intrinsic_suppression": 0.9,
    "tau_intrinsic_suppression": 20.0,
    "intrinsic_suppression_offset": 0.05,
    "synaptic_depression": 0.05,
    "tau_recovery": 200.0,
    "tau_inactivation": 20.0,
}
ALL_ON = {
    "input_adaptation": {"V2": 0.8},
    "intrinsic_suppression": 0.5,
    "synaptic_depression": 0.2,
    "t_recurrence": 2.0,
}


@pytest.mark.parametrize("name", BY_LAYER)
def test_every_number_of_one_layer_changes_the_answer(name: str) -> None:
    x = torch.randn(2, 3, 16, 16)
    others = {"input_adaptation": {"V2": BY_LAYER[name]}} if name == "input_adaptation" else {}
    answers = [
        randomize(create("DyRCNNx4", input_dims=(8, 3, 16, 16), n_classes=4, **given))(x)
        for given in (ALL_ON, {**ALL_ON, name: {"V2": BY_LAYER[name]}, **others})
    ]
    assert not torch.equal(*answers)


def test_one_number_of_input_adaptation_is_of_the_image_and_a_mapping_of_any_layer() -> None:
    names = {
        kind: [name for name, _ in create("DyRCNNx4", input_dims=(2, 1, 16, 16), n_classes=3, input_adaptation=given)
               .named_children() if name.startswith("adapt")]
        for kind, given in (("number", 0.5), ("mapping", {"V2": 0.5, "IT": 0.1}), ("rule", {"first": 0.1, "last": 0.4}))
    }  # fmt: skip
    assert names == {
        "number": ["adapt_V1"],
        "mapping": ["adapt_V2", "adapt_IT"],
        "rule": [f"adapt_{layer}" for layer in ("V1", "V2", "V4", "IT")],
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"synaptic_depression": -0.1}, "synaptic_depression=-0.1 is not valid: it must be at least 0"),
        ({"synaptic_depression": 0.1, "tau_recovery": {"V1": 1.0}}, "tau_recovery.V1=1 ms must not be smaller than dt"),
        ({"input_adaptation": {"V2": 1.5}}, "input_adaptation.V2=1.5 is not valid"),
        ({"tau_inactivation": {"V7": 3.0}}, "unknown layer 'V7'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_one_sentence_in_yaml_and_in_python(
    arguments: dict[str, Any], sentence: str
) -> None:
    assert_refused(arguments, sentence)
