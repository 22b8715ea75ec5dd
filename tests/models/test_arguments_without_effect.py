"""Arguments that are of something else: without it they change nothing, and planning knows which; with it they act."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dynvision.config.models import without_effect
from dynvision.config.run import resolve_model_args
from dynvision.errors import InputError
from dynvision.models import create
from tests.config.other_values import MODEL_VALUES

# What makes an argument act, by the argument.
OWNERS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("recurrence_merge", "t_recurrence", "max_weight_init"), {}),
    "recurrence_target": {},
    **dict.fromkeys(
        ("tau_divisive_normalization", "sigma", "normalization_exponent", "normalization_gain", "normalization_pool"),
        {"divisive_normalization": True},
    ),
    "normalization_size": {"divisive_normalization": True, "normalization_pool": "channel"},
    "t_skip": {},
    "without_skip": {},
    "t_feedback": {"feedback": "additive"},
    "supralinearity_gain": {"supralinearity": {"V1": 1.5}},
    **dict.fromkeys(("tau_input_adaptation", "input_adaptation_offset"), {"input_adaptation": {"V2": 0.5}}),
    **dict.fromkeys(
        ("tau_intrinsic_suppression", "intrinsic_suppression_offset"), {"intrinsic_suppression": {"V2": 0.5}}
    ),
    **dict.fromkeys(("tau_recovery", "tau_inactivation"), {"synaptic_depression": 0.1}),
}  # fmt: skip
WITHOUT = {
    **dict.fromkeys(
        ("recurrence_target", "recurrence_merge", "t_recurrence", "max_weight_init"), {"recurrence_type": "none"}
    ),
    **dict.fromkeys(("t_skip", "without_skip"), {"skip": False}),
}  # fmt: skip


def answer(name: str, **arguments: Any) -> torch.Tensor:
    torch.manual_seed(0)
    model = create(name, input_dims=(30, 3, 16, 16), n_classes=4, **arguments).double().eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        return model(x)


@pytest.mark.parametrize("name", OWNERS)
def test_planning_knows_what_changes_nothing(name: str) -> None:
    value = {name: "input" if name == "recurrence_target" else MODEL_VALUES[name]}
    for beside, acts in ((WITHOUT.get(name, {}), False), (OWNERS[name], True)):
        absent = without_effect("DyRCNNx4", resolve_model_args("DyRCNNx4", {**beside, **value}).model_dump())
        assert (name not in absent) == acts
        assert torch.equal(answer("DyRCNNx4", **beside, **value), answer("DyRCNNx4", **beside)) != acts


def test_every_argument_that_planning_knows_is_asked() -> None:
    known = set(resolve_model_args("DyRCNNx4", {}).owners())
    assert known - {"shuffle_presentation_pattern"} == OWNERS.keys()  # of batches in training alone


@pytest.mark.parametrize("name", ["tau", "dynamics_solver", "nonlinearity_position", "t_recurrence"])
def test_a_published_network_has_no_leak_until_it_recurs(name: str) -> None:
    value = {name: MODEL_VALUES[name]}
    for beside, acts in (({}, False), ({"recurrence_type": "depthwise", "max_weight_init": 0.1}, True)):
        absent = without_effect("ResNet20", resolve_model_args("ResNet20", {**beside, **value}).model_dump())
        assert (name not in absent) == acts
        assert torch.equal(answer("ResNet20", **beside, **value), answer("ResNet20", **beside)) != acts


def test_learning_a_time_constant_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="train_tau is of a recurrence and its leak; set recurrence_type"):
        resolve_model_args("ResNet20", {"train_tau": True})
