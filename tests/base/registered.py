"""Every registered model, small enough for a test."""

from __future__ import annotations

import pytest
import torch

from dynvision.config.dyrcnn import DyRCNNArgs
from dynvision.config.models import MODELS
from dynvision.config.published_models import OptionallyRecurrentArgs
from dynvision.config.run import resolve_model_args
from dynvision.errors import InputError
from dynvision.models import create, list_models

NAMES = list_models()
RECURRENT = [name for name in NAMES if issubclass(MODELS[name].args, DyRCNNArgs)]
N_STEPS = 3
SIZES = {"AlexNet": 64}  # in px, where a model cannot see images of 32, or of 16
ARGUMENTS = {  # that keep a model small and short, or repeatable in training
    "AlexNet": {"classifier_width": 16, "dropout": 0.0},
    **dict.fromkeys(("BL", "BLT", "CORnetS"), {"width": 0.125}),
    **{f"CordsNetR{depth}": {"t_idle": 8.0} for depth in (2, 4, 6, 8)},  # of 200 ms, which are 100 steps
}
SLOW = {
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "ResNet44",
    "ResNet56",
    "ResNet110",
}  # deeper forms of others
VARIANTS = [
    f"{name} recurrent"
    for name in NAMES
    if issubclass(MODELS[name].args, OptionallyRecurrentArgs) and name not in SLOW
]
CASES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in (*NAMES, *VARIANTS)]


def arguments_of(case):
    name, _, variant = case.partition(" ")
    recurrence = {"recurrence_type": "full", "t_recurrence": 2.0} if variant else {}
    width = {"width": 0.5} if "width" in MODELS[name].args.model_fields and name not in RECURRENT else {}
    return name, {**width, **ARGUMENTS.get(name, {}), **recurrence}


def build(case, size=None, n_steps=N_STEPS, **arguments):
    torch.manual_seed(0)
    name, own = arguments_of(case)
    size = size or SIZES.get(name, 32)
    return create(name, input_dims=(n_steps, 3, size, size), n_classes=10, **{**own, **arguments})


def build_small(case, **arguments):
    """Build a model for images of 16 px, or the smallest that it can see: for what is run many times."""
    return build(case, SIZES.get(arguments_of(case)[0], 16), **arguments)


def images(model, n=2):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, model.height, model.width, generator=generator)


def assert_refused(arguments, sentence):
    """Assert that a DyRCNNx4 with these arguments is refused with one sentence, in YAML and in Python."""
    with pytest.raises(InputError, match=sentence):
        resolve_model_args("DyRCNNx4", arguments)
    with pytest.raises(InputError, match=sentence):
        create("DyRCNNx4", input_dims=(5, 1, 16, 16), n_classes=3, **arguments)
