"""The device of the tests of this folder: a GPU, or with ``TEST_DEVICE=cpu`` a CPU, to see whether the tests are right."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dynvision.base.cuda_graphs import EAGER_CALLS

DEVICE = os.environ.get("TEST_DEVICE", "cuda")
ACCELERATOR = {"cuda": "gpu", "cpu": "cpu"}[DEVICE]
NEEDS_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="there is no GPU here"),
]


def close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Compare with float64 results of a CPU, each relative to its norm.

    A gradient that is zero but for rounding is compared with the largest.
    """
    assert found.keys() == expected.keys()
    largest = max(float(value.norm()) for value in expected.values())
    for name, reference in expected.items():
        difference = float((found[name].detach().cpu().double() - reference.detach()).norm())
        norm = float(reference.norm())
        assert difference <= tolerance * (norm + 1e-3 * largest), (name, difference, norm, largest)


def outputs_and_gradients(model: nn.Module, run: Any) -> dict[str, Tensor]:
    """What a model computes, and the gradients of a sum of squares, by parameter."""
    outputs = run(model)
    outputs.square().sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"outputs": outputs.detach(), **gradients}


def compare(model: Any, images: torch.Tensor, tolerance: float, dtype: torch.dtype = torch.float32) -> None:
    """Compare outputs and gradients with those of a CPU in float64, until a GPU has captured and replayed the trial."""
    model.eval()  # batches of two say little of statistics, and drop-out draws other numbers on every device
    on_device, exact = copy.deepcopy(model).to(DEVICE, dtype), copy.deepcopy(model).double()
    expected = outputs_and_gradients(exact, lambda m: m(images.double()))
    with torch.backends.cudnn.flags(allow_tf32=False):
        for _ in range(EAGER_CALLS + 1):
            on_device.zero_grad()
            found = outputs_and_gradients(on_device, lambda m: m(images.to(DEVICE, dtype)))
            close(found, expected, tolerance)
