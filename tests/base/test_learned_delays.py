"""A learned delay: where an impulse arrives, its gradient, and the network that is left when it is rounded."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from dynvision.errors import InputError
from dynvision.model_components import FeedforwardDelay, Skip
from dynvision.models import create
from tests.base.networks import Chain
from tests.base.registered import assert_refused
from tests.base.small import FULL, Small, SmallTwoStage, build, compare

LEARNED = ["t_feedforward", "t_recurrence", "t_skip", "t_feedback"]


def set_delays(model: torch.nn.Module, **values: float) -> torch.nn.Module:
    """Set learned delays, in ms, by the beginning of their name."""
    learned = {name: p for name, p in model.named_parameters() if name.endswith("learned_delay")}
    with torch.no_grad():
        for word, value in values.items():
            named = [parameter for name, parameter in learned.items() if name.startswith(word)]
            assert named, word
            for parameter in named:
                parameter.fill_(value)
    return model


def impulse_response(delay_ms: float, training: bool) -> list[float]:
    """What C hears of an impulse that reaches it by a skip of A alone, by step of 2 ms."""
    model = Chain(cut=("B", "C"), t_skip=4.0, input_dims=(8, 1, 1, 1), dt=2.0)
    model.addskip_C.learn_delay()
    set_delays(model, addskip=delay_ms).train(training)
    video = torch.zeros(1, 8, 1, 1, 1, dtype=torch.float64)
    video[0, 0] = 1.0
    return [round(value, 9) for value in model(video)[0, :, 0].tolist()]


def test_an_impulse_arrives_between_two_steps_in_training_and_at_the_nearest_in_a_test() -> None:
    assert impulse_response(6.0, training=True) == [0, 0, 0, 1, 0, 0, 0, 0]
    assert impulse_response(5.5, training=True) == [0, 0, 0.25, 0.75, 0, 0, 0, 0]
    assert impulse_response(5.5, training=False) == [0, 0, 0, 1, 0, 0, 0, 0]
    assert impulse_response(4.9, training=False) == [0, 0, 1, 0, 0, 0, 0, 0]
    assert impulse_response(-3.0, training=True) == [1, 0, 0, 0, 0, 0, 0, 0]  # never below the shortest


@pytest.mark.parametrize("kind", [Small, SmallTwoStage])
@pytest.mark.parametrize("solver", ["euler", "rk4"])
@pytest.mark.parametrize("block_steps", [None, 2])
def test_outputs_and_gradients_are_those_of_the_textbook_loop(
    kind: Any, solver: str, block_steps: int
) -> None:
    model = build(kind, **FULL, train=LEARNED, dynamics_solver=solver, t_idle=4.0, block_steps=block_steps)
    set_delays(model, addfeedback=4.7, addskip=3.1, V=5.9, IT=5.9, delay_=2.6)
    with torch.no_grad():
        model.V2.learned_delay.fill_(2.3)
    video = torch.randn(2, 7, 2, 10, 10, dtype=torch.float64)
    compare(model, video, video)
    compare(model.eval(), video, video)


def test_the_gradient_of_a_delay_is_that_of_finite_differences() -> None:
    model = set_delays(build(Small, **FULL, train=LEARNED), addfeedback=4.7, addskip=3.1, delay_=2.6)
    video = torch.randn(2, 7, 2, 10, 10, dtype=torch.float64)
    model(video).square().sum().backward()
    for name, parameter in model.named_parameters():
        if not name.endswith("learned_delay"):
            continue
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                start = parameter.clone()
                parameter += step
                values.append(float(model(video).square().sum()))
                parameter.copy_(start)
        # Of a delay on the grid the gradient is that towards the longer one.
        if abs(float(start) / 2 - round(float(start) / 2)) < 1e-6:
            values[1], expected = float(model(video).detach().square().sum()), 1e-5
        else:
            expected = 2e-5
        assert float(parameter.grad) == pytest.approx(
            (values[0] - values[1]) / expected, rel=1e-3, abs=1e-9
        ), name


def test_rounded_it_is_the_network_of_the_fixed_delays() -> None:
    learned = build(Small, seed=2, **FULL, train=LEARNED).eval()
    fixed = build(Small, seed=2, **{**FULL, "t_skip": 6.0, "t_feedback": 8.0, "t_feedforward": 4.0}).eval()
    weights = {name: p for name, p in learned.state_dict().items() if not name.endswith("learned_delay")}
    fixed.load_state_dict(weights)
    set_delays(learned, addskip=5.4, addfeedback=8.9, delay_=3.2)
    x = torch.randn(3, 2, 10, 10, dtype=torch.float64)
    assert torch.equal(learned(x), fixed(x))
    assert learned.n_residual_timesteps == fixed.n_residual_timesteps == 8


def test_a_network_that_has_not_learned_yet_is_that_of_its_delays() -> None:
    learned = build(Small, seed=2, **FULL, train=LEARNED)
    fixed = build(Small, seed=2, **FULL)
    fixed.load_state_dict(
        {name: p for name, p in learned.state_dict().items() if not name.endswith("learned_delay")}
    )
    x = torch.randn(3, 2, 10, 10, dtype=torch.float64)
    torch.testing.assert_close(learned(x), fixed(x), rtol=1e-12, atol=1e-12)


def test_a_delay_is_found_from_what_it_does() -> None:
    """The delay of a skip that carries a slow wave, from 4 ms to the 13 ms of the network that made the target."""
    wave = torch.tensor([math.sin(2 * math.pi * step / 40) for step in range(60)], dtype=torch.float64)
    video = wave.reshape(1, -1, 1, 1, 1)
    student = Chain(cut=("B", "C"), t_skip=4.0, input_dims=(60, 1, 1, 1), dt=2.0)
    student.addskip_C.learn_delay()
    with torch.no_grad():
        target = set_delays(student, addskip=13.0)(video)
        set_delays(student, addskip=4.0)
    optimizer = torch.optim.Adam([student.addskip_C.learned_delay], lr=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        (student(video)[:, 15:] - target[:, 15:]).square().mean().backward()
        optimizer.step()
    assert float(student.addskip_C.learned_delay) == pytest.approx(13.0, abs=0.05)


def test_a_delay_is_learned_by_layer_and_connection_and_is_in_the_checkpoint() -> None:
    model = create("DyRCNNx4", input_dims=(5, 1, 16, 16), n_classes=3, train=["t_feedforward", "t_skip"])
    names = [name for name in model.state_dict() if name.endswith("learned_delay")]
    assert names == [
        f"{name}.learned_delay"
        for name in ("delay_V1", "delay_V2", "delay_V4", "delay_IT", "addskip_V4", "addskip_IT")
    ]
    assert isinstance(model.delay_V1, FeedforwardDelay) and isinstance(model.addskip_V4, Skip)


@pytest.mark.parametrize(
    ("name", "train", "learned"),
    [
        ("CordsNetR2", ["tau", "t_recurrence"], 4),
        ("CordsNetR2", ["tau.channel"], 2),
        ("CORnetR", ["t_recurrence"], 4),
        ("CORnetRT", ["t_recurrence"], 4),
        ("BL", ["t_recurrence"], 7),
        ("BLT", ["t_recurrence", "t_feedback"], 13),
    ],
)
def test_published_networks_learn_the_numbers_that_they_have(
    name: str, train: list[str], learned: int
) -> None:
    torch.manual_seed(1)
    width = 0.5 if name.startswith("CORnet") else 0.05
    model = create(name, input_dims=(6, 3, 40, 40), n_classes=3, width=width, train=train)
    fixed = create(name, input_dims=(6, 3, 40, 40), n_classes=3, width=width)
    found = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.endswith(("learned_delay", "log_tau"))
    }
    assert len(found) == learned and model.state_dict().keys() - fixed.state_dict().keys() == found.keys()
    weights = {name: tensor for name, tensor in model.state_dict().items() if name not in found}
    fixed.load_state_dict(weights)
    video = torch.randn(2, 6, 3, 40, 40)
    torch.testing.assert_close(model.eval()(video), fixed.eval()(video))
    model.train()(video).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in found.values())


def test_another_delay_is_another_key_of_a_graph() -> None:
    """A captured trial holds the steps, and the part between them is read from the parameter at every replay."""
    model = build(Small, **FULL, train=LEARNED)
    keys = [model.plan().key]
    for word, value in (
        ("addskip", 4.4),
        ("addskip", 5.9),
        ("addskip", 6.1),
        ("addfeedback", 7.0),
        ("V2", 6.0),
    ):
        set_delays(model, **{word: value})
        keys.append(model.plan().key)
    assert keys[1] == keys[2] and len(set(keys)) == len(keys) - 1
    assert model.eval().plan().key not in keys


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"train": ["t_feedback"]}, "train: t_feedback is of the feedback; set feedback"),
        ({"train": ["t_skip"], "skip": False}, "train: t_skip is of the skip connections; set skip: true"),
        ({"train": ["t_recurrence"], "recurrence_type": "none"}, "train: t_recurrence is of the recurrence"),
        ({"train": ["t_skip.channel"]}, "unknown value 't_skip.channel'"),
    ],
    ids=str,
)
def test_what_cannot_be_learned_is_one_sentence(arguments: dict[str, Any], sentence: str) -> None:
    assert_refused(arguments, sentence)


@pytest.mark.parametrize("learned", [float("nan"), float("inf")])
def test_a_delay_that_is_not_finite_is_one_sentence(learned: float) -> None:
    model = create("DyRCNNx2", input_dims=(6, 1, 8, 8), n_classes=3, train=["t_recurrence"])
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if name.endswith("learned_delay")).fill_(learned)
    for mode in (True, False):
        with pytest.raises(
            InputError, match="t_recurrence that is learned has become .*; lower training.learning_rate"
        ):
            model.train(mode)(torch.zeros(1, 1, 8, 8))
