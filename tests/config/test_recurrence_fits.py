"""Combinations of recurrence and model that cannot be built are known without torch, and are those that torch refuses."""

from __future__ import annotations

import itertools

import pytest

from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.model import KEEPS_CHANNELS, RECURRENCE_TARGETS, RECURRENCE_TYPES
from dynvision.config.models import MODELS, register
from dynvision.config.run import resolve_model_args
from dynvision.errors import InputError
from dynvision.models import create
from tests.base.registered import SLOW


def possible(model: str, **args: str) -> bool:
    try:
        resolve_model_args(model, args)
    except InputError as error:
        assert "recurrence_target" in str(error) or "recurrence_type" in str(error)
        return False
    return True


def can_be_built(model: str, **args: str) -> bool:
    size, extras = (64, {"classifier_width": 2}) if model == "AlexNet" else (8, {})
    try:
        create(model, input_dims=(2, 1, size, size), n_classes=2, **args, **extras)
    except InputError:
        return False
    return True


@pytest.mark.parametrize("model", ["DyRCNNx2", "DyRCNNx8", "AlexNet", "ResNet20"])
def test_the_configuration_refuses_what_cannot_be_built(model: str) -> None:
    """Of areas: a type that keeps the channels reaches no target with others, and one convolution has no middle."""
    for kind, target in itertools.product(RECURRENCE_TYPES, RECURRENCE_TARGETS):
        args = {"recurrence_type": kind, "recurrence_target": target}
        built = can_be_built(model, **args)
        assert possible(model, **args) == built, args
        if model.startswith("DyRCNN"):
            reached = {"output": True, "middle": model == "DyRCNNx8", "input": kind not in KEEPS_CHANNELS}
            assert built == (reached[target] or kind == "none"), args


def test_the_sentences_name_what_to_change() -> None:
    with pytest.raises(InputError) as error:
        resolve_model_args("DyRCNNx4", {"rctarget": "middle"})
    assert str(error.value) == (
        "recurrence_target=middle needs layers of two convolutions, and those of DyRCNNx4 have one; "
        "set recurrence_target to output or input, or recurrence_type to none"
    )
    with pytest.raises(InputError) as error:
        resolve_model_args("DyRCNNx8", {"rctarget": "input", "rctype": "self"})
    assert str(error.value) == (
        "recurrence_type=self keeps the number of channels, so it cannot reach recurrence_target=input; "
        "set recurrence_target to output, or recurrence_type to pointwise, full, depthpointwise, pointdepthwise"
    )


def test_models_whose_layers_are_not_known_are_left_to_their_constructor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MODELS, "_definitions", dict(MODELS))
    register("Mine", "my_lab.models:Mine", DyRCNNArgs)
    assert resolve_model_args("Mine", {"rctarget": "middle"}).recurrence_target == "middle"  # type: ignore[attr-defined]
    register("MineOfTwo", "my_lab.models:Mine", DyRCNNArgs, stages=2)
    assert possible("MineOfTwo", recurrence_target="middle")
    assert not possible("MineOfTwo", recurrence_target="input", recurrence_type="local")


@pytest.mark.parametrize("model", [name for name in MODELS if name not in SLOW])
def test_the_smallest_resolution_fits_every_model(model: str) -> None:
    import torch

    extras = {"retina": True} if model == "DyRCNNx2" else {}
    try:
        built = create(model, input_dims=(3, 1, 4, 4), n_classes=2, **extras)
    except InputError as error:
        assert model == "AlexNet" and "63 px" in str(error)
        return
    assert built.eval()(torch.randn(1, 1, 4, 4)).shape == (1, 3, 2)
