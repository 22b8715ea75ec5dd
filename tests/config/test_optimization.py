"""The optimizers and schedules that can be named are those of torch, with their arguments."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from dynvision.config.optimization import OPTIMIZERS, SCHEDULES, WITHOUT_MOMENTUM
from dynvision.config.section import validate
from dynvision.config.training import TrainingConfig
from dynvision.errors import InputError

REQUIRED_VALUES: dict[str, Any] = {
    "T_0": 2,
    "base_lr": 0.01,
    "max_lr": 0.1,
    "gamma": 0.5,
    "milestones": [1, 2],
}
LENGTHS = {
    "CosineAnnealingLR": {"T_max": 3},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 3},
    "StepLR": {"step_size": 1},
}


def make_optimizer(name: str) -> torch.optim.Optimizer:
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    optimizer: torch.optim.Optimizer = getattr(torch.optim, name)([parameter], lr=0.1, weight_decay=0.01)
    (parameter**2).sum().backward()
    return optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_makes_a_step_and_takes_its_arguments(name: str) -> None:
    """Those of torch, but for what has a key of its own and for how it is computed."""
    optimizer = make_optimizer(name)
    optimizer.step()
    assert (optimizer.param_groups[0]["params"][0] != 1).all()
    parameters = set(inspect.signature(getattr(torch.optim, name)).parameters)
    elsewhere = {
        "params",
        "lr",
        "weight_decay",
        "foreach",
        "maximize",
        "capturable",
        "differentiable",
        "fused",
    }
    assert set(OPTIMIZERS[name]) == parameters - elsewhere
    momentum = "momentum" in optimizer.defaults or "betas" in optimizer.defaults
    assert momentum == (name not in WITHOUT_MOMENTUM)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "none"])
def test_schedule_takes_its_arguments_and_moves(name: str) -> None:
    schedule = SCHEDULES[name]
    parameters = set(inspect.signature(getattr(torch.optim.lr_scheduler, name)).parameters)
    assert {*schedule.required, *schedule.optional, *schedule.in_epochs, *schedule.per_epoch} <= parameters
    assert set(schedule.lengths) <= set(schedule.in_epochs)
    optimizer = make_optimizer("Adam")
    given = {key: REQUIRED_VALUES[key] for key in schedule.required}
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **given, **LENGTHS.get(name, {}))
    rates = [0.1]
    for _ in range(3):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    assert len(set(rates)) > 1
    assert (
        validate(TrainingConfig, {"scheduler": name, "scheduler_args": given}, "training").scheduler == name
    )


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"scheduler_args": {"pct_strt": 0.1}}, "unknown argument of OneCycleLR 'pct_strt'"),
        ({"scheduler": "none", "scheduler_args": {"gamma": 0.1}}, "unknown argument of none 'gamma'"),
        ({"scheduler": "MultiStepLR"}, "scheduler=MultiStepLR needs milestones"),
        ({"scheduler": "CyclicLR"}, "scheduler=CyclicLR needs base_lr and max_lr"),
        ({"optimizer": "Adagrad"}, "cycles the momentum, which optimizer=Adagrad does not have"),
        (
            {"learning_rate_factors": {"feedback": -1}},
            "training.learning_rate_factors.feedback=-1 is not valid",
        ),
        (
            {"scheduler": "PolynomialLR", "scheduler_args": {"power": "a lot"}},
            "scheduler_args.power='a lot' must be a number",
        ),
        ({"optimizer_args": {"betas": ["much", 0.9]}}, "optimizer_args.betas='much' must be a number"),
        ({"optimizer_args": {"momentum": 0.9}}, "unknown argument of Adam 'momentum'"),
        ({"epochs": 3, "warmup_epochs": 3}, "warmup_epochs=3 must be less than epochs=3"),
        ({"warmup_epochs": 1}, "scheduler=OneCycleLR has a warm-up of its own"),
        ({"loss": "ActivityLoss", "label_smoothing": 0.1}, "label_smoothing=0.1 acts on CrossEntropyLoss"),
        (
            {"loss": {"CrossEntropyLoss": 0, "EnergyLoss": 1}, "loss_time_weighting": "last"},
            "loss_time_weighting=last acts on CrossEntropyLoss, which loss does not have",
        ),
        ({"optimizer": "LBFGS"}, "unknown optimizer 'LBFGS'"),
        ({"scheduler": "ReduceLROnPlateau"}, "unknown scheduler 'ReduceLROnPlateau'"),
    ],
)
def test_what_does_not_go_together(training: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        validate(TrainingConfig, training, "training")
    assert said in str(error.value)


def test_momentum_need_not_be_cycled() -> None:
    training = {"optimizer": "Adagrad", "scheduler_args": {"cycle_momentum": False}}
    assert validate(TrainingConfig, training, "training").optimizer == "Adagrad"


@pytest.mark.parametrize(
    ("scaling", "batch_size", "accumulate", "rate"),
    [("none", 64, 2, 0.01), ("linear", 64, 2, 0.08), ("sqrt", 32, 2, 0.02), ("linear", 8, 1, 0.005)],
)
def test_the_learning_rate_grows_with_the_images_of_an_update(
    scaling: str, batch_size: int, accumulate: int, rate: float
) -> None:
    training = {
        "learning_rate": 0.01,
        "batch_size": batch_size,
        "accumulate_batches": accumulate,
        "learning_rate_scaling": scaling,
        "reference_batch_size": 16,
    }
    assert validate(TrainingConfig, training, "training").scaled_learning_rate == pytest.approx(rate)


def test_numbers_that_yaml_takes_for_text() -> None:
    training = validate(
        TrainingConfig, {"optimizer_args": {"eps": "1e-5", "betas": ["0.9", 0.99]}}, "training"
    )
    assert training.optimizer_args == {"eps": 1e-5, "betas": [0.9, 0.99]}
