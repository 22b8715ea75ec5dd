"""A plan is made once for each version of a model: every change is seen, and an unchanged model is of one version."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from dynvision.base.versions import MOST_VERSIONS, ModelVersions
from dynvision.models import create


def network(**arguments: Any) -> Any:
    return create("DyRCNNx4", input_dims=(4, 1, 16, 16), n_classes=3, **arguments)


def double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


CHANGES: dict[str, Any] = {
    "a number": lambda m: setattr(m, "t_skip", 4.0),
    "an item of a dictionary": lambda m: m.t_feedforward.update(V1=4.0),
    "an item of a list": lambda m: m.layer_names.pop(),
    "a function": lambda m: setattr(m.V1, "merge", double),
    "a type": lambda m: setattr(m.V1, "made_of", nn.Conv2d),
    "a precision": lambda m: setattr(m.V1, "computes_in", torch.float64),
    "dt of a component": lambda m: setattr(m.tstep_V1, "dt", 1.0),
    "a module more": lambda m: m.add_module("extra", nn.ReLU()),
    "a module less": lambda m: delattr(m, "pool_V1"),
    "another module": lambda m: setattr(m, "pool_V1", nn.MaxPool2d(2)),
    "two modules that swap places": lambda m: m._modules.update(V1=m.V2, V2=m.V1),
    "a module of another name": lambda m: m._modules.update(other=m._modules.pop("pool_V1")),
    "a hook": lambda m: m.V1.register_forward_hook(lambda *_: None),
    "a frozen parameter": lambda m: m.V1.conv.weight.requires_grad_(False),
    "another parameter": lambda m: setattr(
        m.V1.conv, "weight", nn.Parameter(m.V1.conv.weight.detach().clone())
    ),
    "eval": lambda m: m.eval(),
    "a parametrization": lambda m: nn.utils.parametrizations.orthogonal(m.V1.conv),
    "pruned weights": lambda m: nn.utils.prune.identity(m.V1.conv, "weight"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_changed_makes_another_version(change: Any) -> None:
    model = network(t_feedforward={"V1": 2.0, "V2": 0.0, "V4": 0.0, "IT": 0.0})
    versions = ModelVersions()
    before = versions.of(model)
    assert versions.of(model) is before
    change(model)
    assert versions.of(model) is not before


def test_values_of_tensors_are_no_version() -> None:
    model = network()
    model.my_tensor = torch.zeros(3)
    before, plan = model._versions.of(model), model.plan()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    model.my_tensor, model._private = torch.ones(3), 5
    assert model._versions.of(model) is before and model.plan() is plan


def test_a_setting_that_is_changed_back_finds_its_version_and_plan_again() -> None:
    model = network()
    before, plan = model._versions.of(model), model.plan()
    model.eval()
    assert model.plan() is not plan
    model.train()
    assert model._versions.of(model) is before and model.plan() is plan


@pytest.mark.parametrize("everywhere", [nn.modules.module.register_module_forward_hook])
def test_a_hook_for_every_module_makes_another_plan(everywhere: Any) -> None:
    model = network()
    plan = model.plan()
    handle = everywhere(lambda *_: None)
    try:
        assert model.plan().hooked and not plan.hooked
    finally:
        handle.remove()
    assert model.plan() is plan


def test_a_plan_follows_what_it_is_made_of() -> None:
    model = network()
    before = {layer.name: layer.delay for layer in model.plan().layers}
    model.t_feedforward = 4.0
    after = {layer.name: layer.delay for layer in model.plan().layers}
    assert set(before.values()) == {0} and set(after.values()) == {2}
    assert model.plan(feedforward_only=True).layers[0].lateral == ()
    model.feedforward_only = True
    assert model.plan().layers[0].lateral == () and model.plan(feedforward_only=False).layers[0].lateral != ()


def test_a_plan_with_learned_delays_follows_their_values() -> None:
    model = network(train=["t_feedforward"], t_feedforward=2.0).eval()
    assert model.plan().layers[0].delay == 1
    with torch.no_grad():
        model.delay_V1.learned_delay.fill_(8.0)
    assert model.plan().layers[0].delay == 4


def test_few_versions_are_remembered() -> None:
    model, versions = network(), ModelVersions()
    for number in range(3 * MOST_VERSIONS):
        model.number = number
        versions.of(model)
    assert len(versions._known) == MOST_VERSIONS


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_plans_of_its_own(copied: Any) -> None:
    model = network()
    plan = model.plan()
    other = copied(model)
    assert other.plan().owner == id(other) != plan.owner
    torch.testing.assert_close(
        other(torch.ones(1, 1, 16, 16)), model(torch.ones(1, 1, 16, 16)), rtol=0, atol=0
    )
