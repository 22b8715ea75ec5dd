"""Published networks in circumstances that were not published: other delays, videos, blocks; equal to the textbook loop."""

from __future__ import annotations

import pytest
import torch

from dynvision.config.run import resolve_model_args
from dynvision.errors import InputError
from dynvision.models import create
from tests.base.networks import randomize
from tests.base.small import compare

CASES = [
    ("CORnetZ", {"width": 0.125}),
    ("CORnetR", {"width": 0.5, "t_recurrence": 4.0}),
    ("CORnetRT", {"width": 0.5, "t_feedforward": 4.0}),
    ("CORnetRT", {"width": 0.5, "dt": 1.0, "t_idle": 3.0}),
    ("CORnetS", {"width": 0.0625}),
    ("CordsNetR4", {"width": 0.125, "t_idle": 6.0}),
    ("CordsNetR6", {"width": 0.0625, "t_idle": 4.0, "t_feedforward": 4.0, "t_recurrence": 6.0}),
    ("CordsNetR2", {"width": 0.125, "t_idle": 0.0, "dt": 1.0, "feedforward_only": True}),
    ("BL", {"width": 0.05, "t_feedforward": 2.0, "norm_steps": 3, "t_idle": 4.0}),
    ("BLT", {"width": 0.05, "norm_steps": 4, "t_feedback": 4.0}),
]


@pytest.mark.parametrize("block_steps", [None, 2])
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_engine_equals_the_textbook_loop(name, arguments, block_steps):
    torch.manual_seed(0)
    model = create(name, input_dims=(6, 3, 32, 32), n_classes=3, block_steps=block_steps, **arguments)
    model = randomize(model.double()).eval()
    video = torch.randn(2, 6, 3, 32, 32, dtype=torch.float64)
    compare(model, video, video)
    compare(model, video[:, 0], video[:, :1].expand(-1, 6, -1, -1, -1))


@pytest.mark.parametrize("block_steps", [None, 1])
@pytest.mark.parametrize(("name", "layer"), [("BLT", "layer1.conv"), ("CordsNetR4", "layer0.conv")])
def test_a_static_image_is_convolved_once(name, layer, block_steps):
    model = create(
        name, input_dims=(6, 3, 32, 32), n_classes=3, width=0.125, t_idle=0.0, block_steps=block_steps
    )
    calls = []
    conv = model.get_submodule(layer)
    convolve = conv.forward
    conv.forward = lambda x: calls.append(1) or convolve(x)  # a hook would be called at every step
    model(torch.randn(2, 3, 32, 32))
    assert len(calls) == 1


def test_normalised_weights_are_computed_once_for_a_presentation():
    model = create("CordsNetR2", input_dims=(6, 3, 32, 32), n_classes=3, width=0.125, t_idle=0.0)
    calls = []
    model.layer1.recurrence.parametrizations.weight[0].register_forward_hook(lambda *_: calls.append(1))
    model(torch.randn(2, 3, 32, 32))
    assert len(calls) == 1


def test_halving_dt_keeps_the_duration_of_every_delay():
    for name in ("CORnetRT", "CordsNetR4", "BLT"):
        coarse, fine = (
            create(name, input_dims=(3, 32, 32), n_classes=2, width=0.5, dt=dt).plan() for dt in (2.0, 1.0)
        )
        for one, other in zip(coarse.layers, fine.layers, strict=True):
            assert other.delay == 2 * one.delay and other.start == 2 * one.start
            assert one.lateral_delay is None or other.lateral_delay == 2 * one.lateral_delay


def test_what_is_not_possible_is_one_sentence_before_anything_is_built():
    for arguments, message in (
        ({"widthh": 0.5}, "unknown argument 'widthh'; did you mean 'width'"),
        ({"width": 0.3}, "width=0.3 gives V1 19.2 channels, which 32 groups cannot share"),
    ):
        with pytest.raises(InputError, match=message):
            create("CORnetRT", input_dims=(3, 32, 32), n_classes=2, **arguments)
    with pytest.raises(InputError, match="which 32 groups cannot share; set width to a multiple of 0.5"):
        resolve_model_args("CORnetR", {"width": 0.75})
    with pytest.raises(InputError, match="lower dt or raise tau"):
        resolve_model_args("CordsNet", {"tau": 1.0})
