"""What a model refuses: input of another shape, type or count than it and its state know, in every way to run it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dynvision.base import Frames
from dynvision.errors import InputError
from tests.base.networks import Chain
from tests.base.registered import CASES, build, build_small, images


def shape_of(model, **other):
    sizes = {"B": 2, "C": model.n_channels, "H": model.height, "W": model.width, **other}
    return tuple(sizes.values())


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_every_family_compares_input_with_itself_and_with_its_state(case):
    model = build_small(case).eval()
    side = model.height
    plan = model.plan()
    state = model.initial_state(2, plan)
    for other in ({"C": 1}, {"H": side + 2}, {"W": side - 1}, {"H": side // 2, "W": side * 2}):
        x = torch.zeros(shape_of(model, **other))
        for run in (
            lambda x=x: model(x),
            lambda x=x: model(x[:, None].expand(-1, 3, -1, -1, -1)),
            lambda x=x: model.step(x, state, plan),
            lambda x=x: model.advance(Frames(0, 2, x.repeat(2, 1, 1, 1)), state, plan),
            lambda x=x: model.advance(Frames(0, 2, x, constant=True), state, plan),
        ):
            with pytest.raises(InputError, match=f"{side}"):
                run()
    for x in (images(model).double(), images(model).half(), images(model).byte(), images(model) > 0):
        for run in (lambda x=x: model(x), lambda x=x: model.step(x, state, plan)):
            with pytest.raises(InputError, match="the model computes in float32; convert"):
                run()
    _, state = model.step(images(model), state, plan)
    for n in (1, 3, 4):
        with pytest.raises(
            InputError, match=rf"of 2 images and the frames are of {n}; .*initial_state\({n}\)"
        ):
            model.step(images(model, n), state, plan)
    with pytest.raises(InputError, match="of 2 images and the frames are of 4"):
        model.advance(Frames(0, 2, images(model, 8)), state, plan)
    with pytest.raises(InputError, match=rf"of shape \(3, 3, {side}, {side}\) is not \(2 B"):
        model.advance(Frames(0, 2, images(model, 3)), state, plan)


@pytest.fixture
def model():
    return build("DyRCNNx2", n_steps=4).eval()


@pytest.mark.parametrize(
    "shape", [(3, 32, 32), (32, 32), (0, 3, 32, 32), (2, 0, 3, 32, 32), (1, 2, 3, 3, 32, 32)]
)
def test_other_axes(model, shape):
    x = torch.zeros(shape)
    with pytest.raises(InputError, match=r"is not \(B, 3, 32, 32\) or \(B, T, 3, 32, 32\)"):
        model(x)
    with pytest.raises(InputError, match=r"a frame of shape .* is not \(B, 3, 32, 32\)"):
        model.step(x, model.initial_state(2))


def test_a_sparse_tensor(model):
    x = images(model)
    for given in (x.to_sparse(), x.to_mkldnn()):
        with pytest.raises(InputError, match=r"input has the layout .*; give a dense tensor"):
            model(given)


def test_no_tensor_no_image_no_step(model):
    with pytest.raises(InputError, match=r"input is a ndarray; give a tensor \(B, 3, 32, 32\)"):
        model(torch.zeros(2, 3, 32, 32).numpy())
    with pytest.raises(InputError, match="a frame is a list; give a tensor"):
        model.step([0.0], model.initial_state(1))
    with pytest.raises(InputError, match="batch=0 images must be at least 1"):
        model.initial_state(0)
    with pytest.raises(InputError, match=r"the state is a NoneType; begin with initial_state\(2\)"):
        model.step(images(model), None)
    with pytest.raises(InputError, match="a stretch of 0 steps"):
        model.advance(Frames(0, 0, images(model)), model.initial_state(2))


def test_a_video_is_no_frame(model):
    with pytest.raises(InputError, match=r"a frame of shape \(2, 4, 3, 32, 32\)"):
        model.step(torch.zeros(2, 4, 3, 32, 32), model.initial_state(2))


def test_a_float64_model_takes_float64(model):
    x = images(model).double()
    assert model.double()(x).dtype == torch.float64
    with pytest.raises(
        InputError, match=r"input is float32 and the model computes in float64; .*to\(torch.float64\)"
    ):
        model(x.float())


def test_autocast_takes_what_it_converts(model):
    x = images(model)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert model(x).shape == model(x.bfloat16()).shape
        _, state = model.step(x, model.initial_state(2))
        model.step(x.bfloat16(), state)
        with pytest.raises(InputError, match="input is float64"):
            model(x.double())


@torch.no_grad()
def test_a_state_of_another_type(model):
    x = images(model)
    _, state = model.step(x, model.initial_state(2))
    with pytest.raises(
        InputError, match="state holds activity in float32 on cpu and the frames need float64 on cpu"
    ):
        model.double().step(x.double(), state)
    _, state = model.step(x.double(), state.map(torch.Tensor.double))
    assert state.age == 2


@torch.no_grad()
def test_a_state_of_another_model(model):
    x = images(model)

    def state_of(other):
        frame = torch.zeros(2, other.n_channels, other.height, other.width)
        return other.step(frame, other.initial_state(2))[1]

    same = build("DyRCNNx2", n_steps=7)
    model.step(x, state_of(same))
    for other, words in (
        (build("DyRCNNx2", dt=1.0), r"dt=1.0 ms and this one has 2.0 ms"),
        (build("DyRCNNx2", size=16), r"image=\(3, 16, 16\) and this one has \(3, 32, 32\)"),
        (build("DyRCNNx4"), "other layers or parameters .*V1, V2, V4, IT; here layer1, layer2"),
        (build("DyRCNNx2", recurrence_type="none"), "other layers or parameters"),
    ):
        with pytest.raises(InputError, match=words):
            model.step(x, state_of(other))
    with pytest.raises(InputError, match="plan was made by another model"):
        model.step(x, model.initial_state(2), same.plan())
    with pytest.raises(InputError, match="made by hand"):
        model.step(x, replace(model.initial_state(2), origin=None))


@torch.no_grad()
def test_a_state_goes_on_under_a_plan_that_hears_less_and_not_under_one_that_hears_more():
    model = Chain(t_recurrence=8.0, t_feedback=6.0, t_feedforward=2.0, input_dims=(1, 1, 1, 1))
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    whole, lesioned = model.plan(), model.plan(feedforward_only=True)
    state, short = model.initial_state(1, whole), model.initial_state(1, lesioned)
    for _ in range(6):
        _, state = model.step(x, state, whole)
        _, short = model.step(x, short, lesioned)
    assert (
        model.step(x, state, lesioned)[0].item() == 1.0
    )  # of the drive alone, within a step of no delay line
    with pytest.raises(InputError, match="lacks activity that this one receives of A, C"):
        model.step(x, short, whole)
