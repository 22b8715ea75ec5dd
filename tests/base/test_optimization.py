"""Schedules: lengths in epochs, moved after every update."""

from __future__ import annotations

import math

import pytest
import torch

from dynvision.base.optimization import build_optimizer, build_schedule, parameter_groups
from dynvision.config.optimization import OPTIMIZERS
from dynvision.errors import InputError

HAVE_ONE_KERNEL = ("Adam", "AdamW", "SGD", "Adagrad")
N = 5  # updates an epoch
COURSES = {  # after u updates, for a training of 8 epochs and a rate of 1
    "StepLR": ({"step_size": 2, "gamma": 0.1}, lambda u: 0.1 ** (u // 10)),
    "MultiStepLR": ({"milestones": [1, 3], "gamma": 0.5}, lambda u: 0.5 ** ((u >= 5) + (u >= 15))),
    "ExponentialLR": ({"gamma": 0.5}, lambda u: 0.5 ** (u / 5)),
    "ConstantLR": ({"factor": 0.5, "total_iters": 2}, lambda u: 0.5 if u < 10 else 1.0),
    "LinearLR": ({"start_factor": 1.0, "end_factor": 0.2}, lambda u: 1 - 0.8 * u / 40),
    "PolynomialLR": ({"power": 2.0}, lambda u: (1 - u / 40) ** 2),
    "CosineAnnealingLR": ({}, lambda u: (1 + math.cos(math.pi * u / 40)) / 2),
    "CosineAnnealingWarmRestarts": ({"T_0": 3}, lambda u: (1 + math.cos(math.pi * (u % 15) / 15)) / 2),
    "CyclicLR": ({"base_lr": 0.2, "max_lr": 1.0, "step_size_up": 2}, lambda u: 1 - 0.08 * abs(u % 20 - 10)),
}


def course(name, arguments, epochs=8, warmup=0.0, **optimizer):
    parameter = torch.nn.Parameter(torch.zeros(1))
    made = build_optimizer(
        "SGD", [{"params": [parameter], "lr": 1.0}], 1.0, 0.0, optimizer or {"momentum": 0.9}
    )
    schedule = build_schedule(name, made, arguments, epochs * N, N, warmup)
    rates = []
    for _ in range(epochs * N):
        rates.append(made.param_groups[0]["lr"])
        made.step()
        if schedule is not None:
            schedule.step()
    return rates


@pytest.mark.parametrize("name", COURSES)
def test_lengths_are_epochs(name):
    arguments, expected = COURSES[name]
    assert course(name, arguments) == pytest.approx([expected(u) for u in range(40)])


@pytest.mark.parametrize("name", [name for name in COURSES if name != "CyclicLR"])
@pytest.mark.filterwarnings("error")
def test_a_warm_up_goes_before(name):
    """8 epochs of the schedule behind 2 of warm-up are a training of 10."""
    arguments, expected = COURSES[name]
    ramp = [(1 + u * (1 - 1 / 10)) / 10 for u in range(10)]
    assert course(name, arguments, 10, 2.0) == pytest.approx([*ramp, *(expected(u) for u in range(40))])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_kernel_moves_parameters_as_several_do(name):
    moved = []
    for one_kernel in (False, True):
        parameters = [torch.nn.Parameter(torch.linspace(-1.0, 1.0, n)) for n in (3, 4)]
        made = build_optimizer(name, [{"params": parameters, "lr": 0.1}], 0.1, 0.01, {}, one_kernel)
        for _ in range(3):
            made.zero_grad()
            sum((p**3).sum() for p in parameters).backward()
            made.step()
        assert bool(made.param_groups[0].get("fused")) == (one_kernel and name in HAVE_ONE_KERNEL)
        moved.append(torch.cat(parameters).detach())
    torch.testing.assert_close(*moved)


def test_a_warm_up_alone_keeps_the_rate():
    assert course("none", {}, 2, 0.4) == pytest.approx([0.5, 0.75, *[1.0] * 8])
    assert course("none", {}, 2) == [1.0] * 10


def test_one_cycle_ends_with_the_training():
    rates = course("OneCycleLR", {})
    assert max(rates) == pytest.approx(1.0) and rates[0] == pytest.approx(1 / 25)
    assert rates[-1] == pytest.approx(1 / 25e4)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        (
            "StepLR",
            {"step_size": "often"},
            "training.scheduler_args.step_size='often' must be a number of epochs",
        ),
        (
            "StepLR",
            {"step_size": 0},
            "training.scheduler_args.step_size=0 must be a number of epochs above 0",
        ),
        ("OneCycleLR", {"pct_start": 3.0}, "scheduler=OneCycleLR does not take its arguments"),
    ],
)
def test_impossible_arguments_are_one_sentence(name, arguments, said):
    with pytest.raises(InputError) as error:
        course(name, arguments)
    assert said in str(error.value)


def test_impossible_arguments_of_an_optimizer_are_one_sentence():
    with pytest.raises(
        InputError, match="optimizer=SGD does not take its arguments .* change training.optimizer_args"
    ):
        course("none", {}, momentum=-1.0)


def test_a_word_that_no_parameter_has_is_warned_of(caplog):
    named = [("V1.conv.weight", torch.nn.Parameter(torch.zeros(1)))]
    parameter_groups(named, 0.1, {"recurrence": 0.2, "conv": 0.5})  # the shipped word, and one that there is
    assert not caplog.records
    parameter_groups(iter(named), 0.1, {"lateral": 0.2})
    assert caplog.messages == [
        "training.learning_rate_factors.lateral changes nothing: no parameter has this word in its name; there are "
        "V1.conv.weight"
    ]


def test_parameters_by_the_words_in_their_names():
    named = {
        name: torch.nn.Parameter(torch.zeros(1))
        for name in ("V1.conv.weight", "V1.recurrence.weight", "addfeedback_V1.weight")
    }
    named["fixed"] = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
    groups = parameter_groups(named.items(), 0.1, {"recurrence": 0.2, "feedback": 0.5})
    assert [(len(group["params"]), group["lr"]) for group in groups] == [
        (1, 0.1),
        (1, pytest.approx(0.02)),
        (1, 0.05),
    ]
