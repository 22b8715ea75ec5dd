"""Networks of four small areas, put together in every way, and the comparison of the engine with the textbook loop."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from dynvision.config.model import KEEPS_CHANNELS, RECURRENCE_TYPES
from dynvision.models.dyrcnn import Area, DyRCNN
from tests.textbook_loop import textbook_loop

DT = 2.0
# Every kind of connection, with a delay.
FULL = {"feedback": "additive", "t_feedback": 4.0, "t_recurrence": 4.0, "t_skip": 2.0, "t_feedforward": 2.0}


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


def targets_of(kind, recurrence_type):
    """Return the targets that the areas of a class have and that a recurrence can reach."""
    if recurrence_type == "none":
        return ["output", "middle", "input"]
    middle = ["middle"] if kind is SmallTwoStage else []
    return ["output", *middle, *([] if recurrence_type in KEEPS_CHANNELS else ["input"])]


@st.composite
def networks(draw):
    """Draw a class and arguments that go together, so that every example is compared."""
    kind, arguments = draw(st.sampled_from([Small, SmallTwoStage])), draw(ARGUMENTS)
    targets = targets_of(kind, arguments["recurrence_type"])
    return kind, {**arguments, "recurrence_target": draw(st.sampled_from(targets))}
