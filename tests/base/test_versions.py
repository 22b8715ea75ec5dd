"""A plan is made once for each version of a model: every change is seen, and an unchanged model is of one version."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections import UserDict, UserList, deque
from enum import Enum
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dynvision.base.versions import MOST_VERSIONS, ModelVersions
from dynvision.model_components.timing import TimedOperation
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
    "the number of classes": lambda m: setattr(m, "n_classes", 4),
    "a number of numpy": lambda m: setattr(m, "t_skip", np.float32(4.0)),
    "a mapping that is no dictionary": lambda m: setattr(m, "t_feedforward", MappingProxyType({"V1": 4.0})),
    "what lies within a tuple": lambda m: m.V1.kept[0].update(kept=2),
    "a class": lambda m: setattr(m.tstep_V1, "__class__", type("Other", (type(m.tstep_V1),), {})),
    "modules that change their order": lambda m: m.row._modules.update({"0": m.row._modules.pop("0")}),
    "another number that is learned": lambda m: setattr(m.V1, "number", nn.Parameter(torch.ones(()))),
    "the shape of a parameter": lambda m: setattr(m.V1.conv.bias, "data", torch.ones(2)),
    "the type of a parameter": lambda m: m.V1.half(),
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
    model.t_skip = (
        np.float32(2.0) if change is CHANGES["a number of numpy"] else MappingProxyType({"V1": 2.0})
    )
    model.V1.kept, model.V1.number = ({"kept": 1},), nn.Parameter(torch.ones(()))
    model.row = nn.Sequential(nn.ReLU(), nn.Tanh())
    versions = ModelVersions()
    before = versions.of(model)
    assert versions.of(model) is before
    change(model)
    assert versions.of(model) is not before


class Growing(TimedOperation):
    """An operation that answers its length from anything but a public number."""

    shared = 2

    def __init__(self) -> None:
        super().__init__()
        self._private, self.table, self.held = 2, np.array([2]), SimpleNamespace(n=2)
        self.answers = "private"

    @property
    def n_steps(self) -> int:  # type: ignore[override]
        answers = {
            "private": self._private,
            "array": int(self.table[0]),
            "object": self.held.n,
            "class": Growing.shared,
        }
        return answers[self.answers]

    def at(self, x: torch.Tensor, step: int) -> torch.Tensor:
        return x * (step + 1)


ANSWERS: dict[str, Any] = {
    "private": lambda m, n: setattr(m.own_V1, "_private", n),
    "array": lambda m, n: m.own_V1.table.fill(n),
    "object": lambda m, n: setattr(m.own_V1.held, "n", n),
    "class": lambda m, n: setattr(Growing, "shared", n),
}


@pytest.mark.parametrize("answers", ANSWERS)
def test_a_plan_follows_what_a_component_answers(answers: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(Growing, "shared", 2)
    model, x = network().eval(), torch.randn(1, 1, 16, 16)
    model.own_V1 = Growing()
    model.own_V1.answers = answers
    model.layer_operations = ("own", *model.layer_operations)
    model(x), model(x)
    before = model.plan()
    ANSWERS[answers](model, 9)
    fresh = model._make_plan(False, tuple(model.modules()))
    assert model.plan().settled == fresh.settled != before.settled
    torch.testing.assert_close(model(x), copy.deepcopy(model)(x), rtol=0, atol=0)


@pytest.mark.parametrize("sequence", [deque, UserList, np.array])
def test_a_plan_follows_operations_that_are_edited_in_place(sequence: Any) -> None:
    model = network()
    model.layer_operations = sequence(list(model.layer_operations))
    assert "pool" in {operation.name for operation in model.plan().layers[0].operations}
    model.layer_operations[list(model.layer_operations).index("pool")] = "record"
    assert "pool" not in {operation.name for operation in model.plan().layers[0].operations}


def holding_itself() -> dict[str, Any]:
    held: dict[str, Any] = {}
    held["held"] = held
    return held


class Odd:
    """Compares with nothing."""

    def __eq__(self, other: object) -> bool:
        raise AttributeError("odd")

    __hash__ = None  # type: ignore[assignment]


class Lazy(UserDict[str, Any]):
    """A mapping that has no values yet, as a configuration with missing values or an archive on disk."""

    def __getitem__(self, key: str) -> Any:
        raise LookupError(key)


class Unhashable(Enum):
    ONE = 1

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


class NotYet(nn.ReLU):
    @property
    def delay(self) -> float:
        raise RuntimeError("not yet")


ODD: dict[str, Any] = {
    "a mapping that fails": lambda: Lazy({"a": 1}),
    "a member without a hash": lambda: Unhashable.ONE,
    "a module whose property fails": NotYet,
    "what compares with nothing": Odd,
    "a list of it": lambda: [Odd()],
    "an empty array": lambda: np.zeros(0),
    "a large array": lambda: np.zeros(2000),
    "arrays and sets by name": lambda: {"a": np.ones(3), "b": {1, 2}},
    "a set of tensors": lambda: {torch.ones(2)},
    "what holds itself": holding_itself,
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_any_object_may_be_an_attribute(make: Any) -> None:
    model, versions = network(), ModelVersions()
    for holder in (model, model.V1):
        for value in (1.0, make(), make(), 1.0):
            if hasattr(holder, "odd"):
                del holder.odd
            holder.odd = value
            versions.of(model)


def test_a_version_keeps_no_tensor_alive() -> None:
    model, x = network().eval(), torch.randn(1, 1, 16, 16)
    seen: list[Any] = []
    for _ in range(3):
        weights = {name: value.detach().clone() for name, value in model.named_parameters()}
        model.V1.last, model.V1._last = torch.ones(3), [torch.ones(3)]
        torch.func.functional_call(model, weights, (x,))
        seen += map(weakref.ref, [*weights.values(), model.V1.last, model.V1._last[0]])
    model.V1.last = model.V1._last = None
    del weights
    gc.collect()
    assert not any(one() is not None for one in seen)


def test_tensors_can_be_swapped() -> None:
    """As torch converts parameters that are of a class of their own; it refuses where there is a weak reference."""
    model = network().eval()
    model(torch.randn(1, 1, 16, 16))
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        model.double()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)
    assert model(torch.randn(1, 1, 16, 16, dtype=torch.float64)).dtype is torch.float64


def test_weights_that_are_passed_in_are_in_no_graph() -> None:
    model = network().eval()
    found: list[bool] = []
    plan_of = model._plan_of

    def noted(version: Any, *given: Any) -> Any:
        found.append(version.computes_weights)
        return plan_of(version, *given)

    model._plan_of = noted
    model(x := torch.randn(1, 1, 16, 16))
    passed = {"V1.conv.weight": model.V1.conv.weight.detach().clone()}
    torch.func.functional_call(model, passed, (x,))
    assert found == [False, True]


def test_tensors_that_are_collected_make_no_other_version() -> None:
    model = network()
    model.collected, model.data = [], list(range(2000))
    before = model._versions.of(model)
    model.collected.append(torch.ones(3))
    model.data.append(5)
    assert model._versions.of(model) is before


def test_a_shallow_copy_has_plans_of_its_own() -> None:
    model = network().eval()
    other, x = copy.copy(model), torch.ones(1, 1, 16, 16)
    for one in (model, other):
        assert one.plan().owner == id(one)
        one.step(x, one.initial_state(1))


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
