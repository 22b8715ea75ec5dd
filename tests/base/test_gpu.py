"""On a GPU the engine has kernels of its own: they equal the textbook loop there, and a CPU's results."""

from __future__ import annotations

import copy

import pytest
import torch

from dynvision.models import create
from tests.base.networks import randomize
from tests.textbook_loop import textbook_loop

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]

VARIANTS = {
    "defaults": {},
    "biological time": {"t_feedforward": 4.0, "t_skip": 10.0, "feedback": "additive", "t_feedback": 6.0},
    "learned time constants": {"train_tau": True, "t_idle": 8.0},
    "drive": {"nonlinearity_position": "drive", "recurrence_type": "depthwise"},
    "exponential": {"dynamics_solver": "exponential_euler", "recurrence_type": "none"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernels_equal_the_loop_and_the_cpu(variant: str) -> None:
    arguments = {"input_dims": (11, 3, 16, 16), "n_classes": 4, **VARIANTS[variant]}
    plain = randomize(create("DyRCNNx4", **arguments), gain=0.5)
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    results = {}
    with torch.backends.cudnn.flags(allow_tf32=False):
        for name in ("cpu", "loop", "engine"):
            model = copy.deepcopy(plain)
            device = "cpu" if name == "cpu" else "cuda"
            model.to(device, torch.float64 if name == "cpu" else torch.float32)
            x = images.to(device, next(model.parameters()).dtype)
            video = x.unsqueeze(1).expand(-1, 11, -1, -1, -1)
            outputs = textbook_loop(model, video)[0] if name == "loop" else model(x)
            outputs.square().sum().backward()
            gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
            results[name] = {"outputs": outputs.detach(), **gradients}
    for name, reference in results["cpu"].items():
        for side in ("loop", "engine"):
            difference = results[side][name].cpu().double() - reference
            assert difference.norm() <= 1e-4 * reference.norm() + 1e-9, (side, name)
