"""The engine equals the textbook loop, outputs and gradients, for every way in which a model can be put together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynvision.config.model import RECURRENCE_TYPES
from dynvision.errors import InputError
from dynvision.models.dyrcnn import Area, DyRCNN
from tests.textbook_loop import textbook_loop

DT = 2.0


class Small(DyRCNN):
    """Four areas with square channel counts, small enough for hundreds of examples."""

    areas = (
        Area("V1", 4, 3, pool=(3, 2, 1)),
        Area("V2", 9, 3),
        Area("V4", 4, 3, stride=2),
        Area("IT", 9, 3),
    )
    skips = (("V1", "V4"), ("V2", "IT"))
    feedbacks = (("V4", "V1"), ("IT", "V2"))


class SmallTwoStage(Small):
    """The same with two convolutions an area."""

    areas = (
        Area("V1", 4, 3, stride=2, mid_channels=4),
        Area("V2", 9, 3, mid_channels=9),
        Area("V4", 4, 3, stride=2, mid_channels=4),
        Area("IT", 9, 3, mid_channels=9),
    )


def build(kind, seed=0, size=10, n_timesteps=7, **kwargs):
    torch.manual_seed(seed)
    model = kind(input_dims=(n_timesteps, 2, size, size), n_classes=3, dt=DT, **kwargs).double()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "log_tau" not in name and "learned_delay" not in name:
                p.copy_(0.3 * torch.randn_like(p))
    return model


def compare(model, x, video):
    """Outputs, activity and gradients of the engine and of the loop, for images (B, C, H, W) or videos."""
    recorded = {}

    def observe(layer, frames):
        for k, step in enumerate(frames.steps()):
            recorded[layer, frames.first + k] = step

    torch.manual_seed(5)
    y = model(x, observer=observe)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    parameters = dict(model.named_parameters())
    grads = torch.autograd.grad((y * weights).sum(), list(parameters.values()), allow_unused=True)
    torch.manual_seed(5)
    loop_y, activity = textbook_loop(model, video)
    torch.testing.assert_close(y, loop_y, rtol=1e-12, atol=1e-10)
    for layer, steps in activity.items():
        for t, r in enumerate(steps):
            if r is None:
                assert (layer, t) not in recorded
            else:
                torch.testing.assert_close(recorded[layer, t], r, rtol=1e-12, atol=1e-10)
    loop_grads = torch.autograd.grad((loop_y * weights).sum(), list(parameters.values()), allow_unused=True)
    for name, ours, theirs in zip(parameters, grads, loop_grads, strict=True):
        zero = torch.zeros_like(
            parameters[name]
        )  # what reaches no output may be unused or get a gradient of zero
        ours, theirs = (zero if g is None else g for g in (ours, theirs))
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10, msg=name)


ARGUMENTS = st.fixed_dictionaries(
    {
        "recurrence_type": st.sampled_from(RECURRENCE_TYPES),
        "recurrence_target": st.sampled_from(["output", "middle", "input"]),
        "recurrence_merge": st.sampled_from(["additive", "multiplicative"]),
        "t_recurrence": st.sampled_from([2.0, 4.0, 6.0]),
        "t_feedforward": st.sampled_from([0.0, 2.0, 4.0]),
        "t_skip": st.sampled_from([0.0, 2.0, 6.0]),
        "t_feedback": st.sampled_from([2.0, 4.0, 10.0]),
        "skip": st.booleans(),
        "feedback": st.sampled_from(["none", "additive", "multiplicative"]),
        "dynamics_solver": st.sampled_from(["euler", "exponential_euler", "rk4", "liquid", "organics"]),
        "nonlinearity_position": st.sampled_from(["state", "drive"]),
        "train_tau": st.booleans(),
        "unit_bias": st.sampled_from(["none", "spatial", "feature", "scalar"]),
        "input_adaptation": st.sampled_from([0.0, 0.5]),
        "intrinsic_suppression": st.sampled_from([0.0, 0.7]),
        "divisive_normalization": st.booleans(),
        "supralinearity": st.sampled_from([1.0, 1.4]),
        "drive_noise": st.sampled_from([0.0, 0.1]),
        "feedforward_only": st.sampled_from([False, False, False, True]),
        "without_skip": st.sampled_from([False, False, True]),
    }
)


@given(
    kind=st.sampled_from([Small, SmallTwoStage]),
    arguments=ARGUMENTS,
    n_timesteps=st.integers(1, 9),
    batch=st.integers(1, 3),
    idle=st.sampled_from([0.0, 0.0, 6.0]),
    block_steps=st.sampled_from([None, 1, 2, 5, 100]),
    as_video=st.booleans(),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_engine_equals_textbook_loop(kind, arguments, n_timesteps, batch, idle, block_steps, as_video, seed):
    if arguments["drive_noise"] and idle:
        batch = 1  # idle runs at batch one, so its noise is common to the batch
    try:
        model = build(kind, seed, n_timesteps=n_timesteps, t_idle=idle, block_steps=block_steps, **arguments)
    except InputError as error:
        assert "recurrence_t" in str(error)
        return
    x = torch.randn(batch, 2, 10, 10, dtype=torch.float64)
    video = x.unsqueeze(1).expand(-1, n_timesteps, -1, -1, -1)
    if as_video:
        x = video = torch.randn(batch, n_timesteps, 2, 10, 10, dtype=torch.float64)
    compare(model, x, video)


@pytest.mark.parametrize("kind", [Small, SmallTwoStage])
@pytest.mark.parametrize("recurrence_type", RECURRENCE_TYPES)
@pytest.mark.parametrize("target", ["output", "middle", "input"])
def test_every_recurrence_and_target(kind, recurrence_type, target):
    arguments = {"recurrence_type": recurrence_type, "recurrence_target": target, "t_recurrence": 4.0}
    try:
        model = build(kind, feedback="additive", t_feedback=6.0, **arguments)
    except InputError as error:
        assert "recurrence_target" in str(error) and ("recurrence_type" in str(error) or target == "middle")
        return
    x = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    compare(model, x, x.unsqueeze(1).expand(-1, 7, -1, -1, -1))
