"""Maps with channels of zeros beside theirs: the same outputs, activity and gradients, and nothing of it to be seen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import dynvision.base.temporal_base as temporal_base
from dynvision.base import engine
from dynvision.base.frames import Frames
from dynvision.base.padded_channels import can_pad, padded_width
from dynvision.functional.convolution import add_pointwise
from dynvision.models import create
from tests.base.networks import randomize

VARIANTS: dict[str, dict[str, Any]] = {
    "DyRCNNx4": {},
    "DyRCNNx8": {},
    "DyRCNNx2 with feedback": {"feedback": "additive"},
    "DyRCNNx4 in biological time": {"t_feedforward": 4.0, "t_skip": 10.0, "recurrence_type": "depthwise"},
    "DyRCNNx4 adapting": {
        "intrinsic_suppression": 0.7,
        "synaptic_depression": 0.1,
        "input_adaptation": 0.5,
        "feedback": "additive",
    },
    "DyRCNNx4 of a supralinear drive": {
        "intrinsic_suppression": 0.7,
        "supralinearity": 1.5,
        "nonlinearity_position": "drive",
    },
    "DyRCNNx8 of fourth order": {"dynamics_solver": "rk4", "recurrence_type": "depthwise", "t_idle": 10.0},
    "DyRCNNx4 with a learned tau": {"train_tau": True},
    "DyRCNNx4 with a tau of each channel": {"train": ["tau.channel"]},
    "DyRCNNx4 suppressed, with a tau of each channel": {
        "train": ["tau.channel"],
        "intrinsic_suppression": 0.7,
        "supralinearity": 1.2,
    },
    "DyRCNNx4 liquid": {"dynamics_solver": "liquid", "train": ["tau.channel"], "intrinsic_suppression": 0.7},
    "DyRCNNx4 from an idle state": {"t_idle": 10.0, "recurrence_type": "none"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_changes_neither_outputs_nor_activity_nor_gradients(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"input_dims": (9, 3, 16, 16), "n_classes": 4, **VARIANTS[variant]}
    model = randomize(create(variant.split()[0], **arguments), gain=0.5).double()
    assert can_pad(model.plan())
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    found = []
    monkeypatch.setattr(engine, "runs_steps_at_once", lambda z: True)  # as on a GPU
    for padded in (False, True):
        monkeypatch.setattr(temporal_base, "pads_here", lambda x, padded=padded: padded)
        activity: dict[str, list[Tensor]] = {}

        def keep(layer: str, frames: Frames, activity: dict[str, list[Tensor]] = activity) -> None:
            activity.setdefault(layer, []).append(frames.folded().detach())

        model.zero_grad()
        outputs = model(images, observer=keep)
        outputs.square().sum().backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        layers = {layer: torch.cat(pieces) for layer, pieces in activity.items()}
        found.append({"outputs": outputs.detach(), **layers, **gradients})
    plain, padded = found
    assert plain.keys() == padded.keys()
    for name, values in plain.items():
        assert values.shape == padded[name].shape, name
        assert (values - padded[name]).norm() <= 1e-12 * values.norm(), name


@pytest.mark.parametrize(
    "arguments",
    [
        {"recurrence_type": "local"},
        {"divisive_normalization": True},
        {"dynamics_solver": "organics"},
        {"dynamics_solver": "rk4", "train_tau": True},
        {"drive_noise": 0.1},
        {"recurrence_merge": "multiplicative"},
        {"feedback": "multiplicative"},
    ],
    ids=str,
)
def test_what_does_not_keep_zeros_at_zero_is_not_padded(arguments: dict[str, Any]) -> None:
    assert not can_pad(create("DyRCNNx4", input_dims=(5, 3, 16, 16), n_classes=4, **arguments).plan())


def test_widths_are_those_that_matrix_units_are_fast_at() -> None:
    assert [padded_width(c) for c in (36, 64, 121, 144, 256, 529)] == [40, 64, 128, 144, 256, 576]


def test_a_pointwise_convolution_is_added_in_place_with_its_derivatives() -> None:
    y, x, weight = (
        torch.randn(shape, dtype=torch.float64).requires_grad_()
        for shape in ((2, 5, 3, 4), (2, 3, 3, 4), (5, 3, 1, 1))
    )

    def added(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        whole = (2 * y).contiguous(memory_format=torch.channels_last)
        result = add_pointwise(whole, x, weight)
        assert result.data_ptr() == whole.data_ptr()
        return result

    expected = 2 * y + torch.nn.functional.conv2d(x, weight)
    torch.testing.assert_close(added(y, x, weight), expected)
    assert torch.autograd.gradcheck(added, (y, x, weight))
    assert torch.autograd.gradgradcheck(added, (y, x, weight))
