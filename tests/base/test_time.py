"""Running in time: streaming, batches, seeds, the size of dt, and where the gradient is cut."""

from __future__ import annotations

import pytest
import torch

from dynvision.models import create
from tests.base.networks import recorded
from tests.base.three_areas import arbitrary, images, small


@torch.no_grad()
@pytest.mark.parametrize("seed", range(12))
def test_t_frames_at_once_are_t_single_steps(seed):
    model = arbitrary(seed)
    video = images(2, 7, 2, 8, 8)
    null, state, outputs = model.null_input(2), model.initial_state(2), []
    for frame in [*video.unbind(1), *[null] * model.n_residual_timesteps]:
        output, state = model.step(frame, state)
        outputs.append(output)
    torch.testing.assert_close(model(video), torch.stack(outputs, dim=1), rtol=1e-10, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("seed", range(4))
def test_an_image_is_a_video_of_equal_frames(seed):
    model, image = arbitrary(seed), images(2, 2, 8, 8)
    video = image[:, None].expand(-1, 7, -1, -1, -1)
    torch.testing.assert_close(model(image), model(video), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model(image[:, None]), model(video), rtol=1e-10, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("seed", range(4))
def test_order_of_the_batch_does_not_matter(seed):
    model, x = arbitrary(seed), images(5, 2, 8, 8)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(model(x)[order], model(x[order]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model(x)[2:3], model(x[2:3]), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_a_trial_leaves_nothing_behind():
    model, x = arbitrary(1), images(2, 2, 8, 8)
    first = model(x)
    model(images(3, 2, 8, 8, seed=1))
    model.reset()
    assert torch.equal(model(x), first)


def train_a_little(seed):
    torch.manual_seed(seed)
    model = create(
        "DyRCNNx2",
        input_dims=(4, 1, 28, 28),
        n_classes=10,
        drive_noise=0.1,
        max_weight_init=0.1,
        feedback="additive",
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(2):
        loss = model(torch.randn(3, 1, 28, 28)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.state_dict(), loss


def test_equal_seeds_are_bit_equal():
    (first, loss), (second, again) = train_a_little(7), train_a_little(7)
    assert torch.equal(loss, again)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(train_a_little(8)[1], loss)


@torch.no_grad()
@pytest.mark.parametrize(("solver", "factor"), [("euler", 2), ("exponential_euler", 2)])
def test_half_the_step_is_the_same_experiment(solver, factor):
    """The same ms at half the dt: equal delays, and responses that converge at the order of the scheme."""
    delays = {
        "t_feedforward": 4.0,
        "t_skip": 6.0,
        "t_recurrence": 6.0,
        "t_feedback": 8.0,
        "feedback": "additive",
    }
    onsets, outputs = [], []
    for dt in (2.0, 1.0, 0.5, 0.25):
        n_steps = round(40 / dt)
        model = small(dt=dt, tau=10.0, n_timesteps=n_steps, dynamics_solver=solver, **delays)
        y, activity = recorded(model, images(2, 2, 8, 8))
        onsets.append({layer: min(steps) * dt for layer, steps in activity.items()})
        assert y.shape[1] * dt == 40 + 12
        outputs.append(y[:, round(8 / dt) :: round(2 / dt)])  # every 2 ms, from the first arrival on
    assert onsets == [{"V1": 0, "V2": 4, "IT": 6}] * 4
    differences = [(a - b).abs().max() for a, b in zip(outputs, outputs[1:], strict=False)]
    assert differences[-1] < 0.2 * outputs[-1].abs().max()
    for coarse, fine in zip(differences, differences[1:], strict=False):
        assert coarse / fine == pytest.approx(factor, rel=0.35)


@pytest.mark.parametrize("seed", [0, 5])
def test_truncated_backpropagation_cuts_the_gradient(seed):
    """With cuts every 3 steps, the outputs of steps 3 to 5 know of frames 3 to 5 alone."""
    model = small(seed, t_feedforward=0.0, feedback="additive", t_feedback=2.0, t_recurrence=2.0)
    video = images(1, 8, 2, 8, 8).requires_grad_()
    whole = model(video)
    cut = model(video, truncate_steps=3)
    assert torch.equal(whole, cut)

    def heard(output, t):
        (gradient,) = torch.autograd.grad(output[:, t].sum(), video, retain_graph=True)
        return [f for f in range(8) if gradient[:, f].any()]

    assert heard(whole, 5) == [0, 1, 2, 3, 4, 5]
    assert heard(cut, 5) == [3, 4, 5]
    assert heard(cut, 2) == [0, 1, 2]
    assert heard(cut, 7) == [6, 7]


def test_the_idle_state_is_that_of_null_input_and_carries_no_gradient():
    model = small(2, t_idle=8.0, non_input_value=0.3)
    without = small(2, t_idle=0.0, non_input_value=0.3)
    frame = torch.full((2, 4, 2, 8, 8), 0.3, dtype=torch.float64)
    video = images(2, 7, 2, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(model(video), without(torch.cat([frame, video], dim=1))[:, 4:])
    for values in [
        t for trace in model.initial_state(2).traces.values() for p in trace.pieces for t in [p.values]
    ]:
        assert not values.requires_grad


@torch.no_grad()
def test_input_is_shown_where_it_is_shown():
    model, x = small(4), images(2, 2, 8, 8)
    shown = [True, False, False, True, True, False, True]
    video = torch.stack([x if on else torch.zeros_like(x) for on in shown], dim=1)
    torch.testing.assert_close(model(x, shown=shown), model(video), rtol=1e-10, atol=1e-10)


def test_feedforward_only_at_a_call_is_that_of_the_constructor():
    arguments = {"feedback": "additive", "t_feedback": 2.0, "t_recurrence": 2.0}
    model, feedforward = small(**arguments), small(feedforward_only=True, **arguments)
    x = images(2, 2, 8, 8)
    assert torch.equal(model(x, feedforward_only=True), feedforward(x))
    assert torch.equal(feedforward(x, feedforward_only=False), model(x))
    assert not torch.allclose(model(x), feedforward(x))
