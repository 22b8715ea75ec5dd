"""Every delay is exact: impulses through isolated connections, engineering and biological time, the residual steps."""

from __future__ import annotations

import pytest
import torch

from dynvision.errors import InputError
from dynvision.model_components import Feedback, RecurrentConnectedConv2d
from dynvision.models import create
from tests.base.networks import Chain, randomize, recorded

DT = [2.0, 0.5]
BLOCKS = [None, 1, 3]


def impulse(n_steps, at=2):
    video = torch.zeros(1, n_steps, 1, 1, 1, dtype=torch.float64)
    video[:, at] = 1.0
    return video


def courses(model, video):
    """Activity of the single unit of each layer over the presentation, and the outputs, as lists."""
    outputs, activity = recorded(model, video)
    n = outputs.shape[1]
    return {
        layer: [float(steps.get(t, torch.zeros(()))) for t in range(n)] for layer, steps in activity.items()
    } | {"out": outputs[0, :, 0].tolist()}


def spikes(n, **heights):
    course = [0.0] * n
    for step, height in heights.items():
        if int(step[1:]) < n:
            course[int(step[1:])] = float(height)
    return course


@pytest.mark.parametrize("block_steps", BLOCKS)
@pytest.mark.parametrize("dt", DT)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_feedforward_delay(steps, dt, block_steps):
    model = Chain(input_dims=(6, 1, 1, 1), dt=dt, t_feedforward=steps * dt, block_steps=block_steps)
    assert model.n_residual_timesteps == 3 * steps
    got = courses(model, impulse(6))
    n = 6 + 3 * steps
    for i, layer in enumerate("ABC"):
        assert got[layer] == spikes(n, **{f"t{2 + i * steps}": 1})
    assert got["out"] == spikes(n, **{f"t{2 + 3 * steps}": 1})


@pytest.mark.parametrize("block_steps", BLOCKS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_recurrent_delay(steps, block_steps):
    model = Chain(input_dims=(20, 1, 1, 1), t_recurrence=steps * 2.0, cut="BC", block_steps=block_steps)
    expected = spikes(20, **{f"t{t}": 1 for t in range(2, 20, steps)})
    assert courses(model, impulse(20))["A"] == expected


@pytest.mark.parametrize("block_steps", BLOCKS)
@pytest.mark.parametrize("feedforward", [0, 2])
@pytest.mark.parametrize("steps", [0, 1, 3, 5])
def test_skip_delay(steps, feedforward, block_steps):
    """The path through B is cut, so that C hears A by the skip alone, also where that is earlier than by B."""
    model = Chain(
        input_dims=(9, 1, 1, 1),
        t_skip=steps * 2.0,
        t_feedforward=feedforward * 2.0,
        cut="B",
        block_steps=block_steps,
    )
    n = 9 + 3 * feedforward
    assert courses(model, impulse(9))["C"] == spikes(n, **{f"t{2 + steps}": 1})


@pytest.mark.parametrize("block_steps", BLOCKS)
@pytest.mark.parametrize("feedforward", [0, 1])
@pytest.mark.parametrize("steps", [1, 4])
def test_feedback_delay(steps, feedforward, block_steps):
    model = Chain(
        input_dims=(9, 1, 1, 1),
        t_feedback=steps * 2.0,
        t_feedforward=feedforward * 2.0,
        block_steps=block_steps,
    )
    n, loop = 9 + 3 * feedforward, steps + 2 * feedforward  # from A to C and back
    assert courses(model, impulse(9))["A"] == spikes(n, **{f"t{t}": 1 for t in range(2, n, loop)})


@pytest.mark.parametrize("block_steps", BLOCKS)
def test_nothing_before_the_first_arrival_not_even_bias(block_steps):
    model = Chain(
        input_dims=(4, 1, 1, 1),
        t_feedforward=4.0,
        t_feedback=2.0,
        t_recurrence=2.0,
        bias=1.0,
        block_steps=block_steps,
    )
    outputs, activity = recorded(model, torch.zeros(1, 1, 1, 1, dtype=torch.float64))
    assert [min(steps) for steps in activity.values()] == [0, 2, 4]
    assert [float(steps[min(steps)]) for steps in activity.values()] == [1, 2, 3]  # each adds its bias
    assert torch.equal(outputs[0, :6, 0], torch.zeros(6, dtype=torch.float64))
    assert outputs[0, 6].item() == 4  # that of C and the classifier's bias


def test_a_skip_starts_a_layer_and_feedback_does_not():
    model = Chain(input_dims=(4, 1, 1, 1), t_feedforward=6.0, t_skip=2.0, t_feedback=2.0, bias=1.0)
    _, activity = recorded(model, torch.zeros(1, 1, 1, 1, dtype=torch.float64))
    assert {layer: min(steps) for layer, steps in activity.items()} == {"A": 0, "B": 3, "C": 1}


# --- engineering time and biological time ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "n"), [("DyRCNNx2", 16, 1), ("DyRCNNx4", 16, 2), ("DyRCNNx8", 32, 2)]
)
@pytest.mark.parametrize(("t_feedforward", "skip_more", "t_feedback"), [(10.0, 0.0, 10.0), (2.0, 6.0, 4.0)])
def test_engineering_time_is_biological_time(name, size, n, t_feedforward, skip_more, t_feedback):
    """(t_ff, t_skip, t_fb) is (0, t_skip - n t_ff, t_fb + n t_ff) with the same weights, shifted by R steps."""
    n_steps = 22
    common = {"input_dims": (n_steps, 1, size, size), "n_classes": 10, "feedback": "additive", "dt": 2.0}
    biological = create(
        name,
        t_feedforward=t_feedforward,
        t_skip=n * t_feedforward + skip_more,
        t_feedback=t_feedback,
        **common,
    )
    engineering = create(
        name, t_feedforward=0.0, t_skip=skip_more, t_feedback=t_feedback + n * t_feedforward, **common
    )
    randomize(biological.double(), seed=3)
    engineering.double().load_state_dict(biological.state_dict())
    torch.manual_seed(0)
    video = torch.randn(1, n_steps, 1, size, size, dtype=torch.float64)
    with torch.no_grad():
        slow, slow_activity = recorded(biological, video)
        fast, fast_activity = recorded(engineering, video)
        without_feedback = engineering(video, feedforward_only=True)
    residual = biological.n_residual_timesteps
    assert residual == len(biological.chain) * t_feedforward / 2.0
    torch.testing.assert_close(slow[:, residual:], fast, rtol=1e-9, atol=1e-12)
    assert not slow[:, :residual].any()
    assert (fast - without_feedback).abs().max() > 1e-3 * fast.abs().max()  # the loops matter
    for i, layer in enumerate(biological.chain):
        shift = round(i * t_feedforward / 2.0)
        for t in range(n_steps):
            there, here = slow_activity[layer].get(t + shift), fast_activity[layer].get(t)
            assert (there is None) == (here is None)
            if here is not None:
                torch.testing.assert_close(there, here, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["DyRCNNx2", "DyRCNNx4", "DyRCNNx8"])
def test_skip_that_engineering_time_cannot_express(name):
    """A skip faster than the chain would need a delay below 0 in engineering time; in biological time it runs."""
    model = create(name, input_dims=(6, 1, 32, 32), n_classes=10, t_feedforward=10.0, t_skip=4.0, dt=2.0)
    randomize(model)
    with torch.no_grad():
        outputs, activity = recorded(model, torch.randn(1, 1, 32, 32))
    assert outputs.isfinite().all()
    (source, target) = model.skips[0]
    assert min(activity[target]) == min(activity[source]) + 2
    assert outputs[:, -1].abs().max() > 0


@pytest.mark.parametrize(
    ("name", "t_feedforward", "dt", "residual"),
    [
        ("DyRCNNx2", 10, 2, 10),
        ("DyRCNNx4", 10, 2, 20),
        ("DyRCNNx8", 10, 2, 20),
        ("DyRCNNx4", 3, 0.5, 24),
        ("DyRCNNx4", 0, 2, 0),
    ],
)
def test_residual_steps_follow_from_the_delays(name, t_feedforward, dt, residual):
    model = create(
        name,
        input_dims=(3, 1, 32, 32),
        n_classes=10,
        t_feedforward=t_feedforward,
        dt=dt,
        t_recurrence=dt,
        t_feedback=dt,
    )
    assert model.n_residual_timesteps == residual
    assert "residual" not in " ".join(model.state_dict())
    with torch.no_grad():
        assert model(torch.randn(1, 1, 32, 32)).shape == (1, 3 + residual, 10)


def test_residual_steps_of_one_delay_a_layer():
    model = Chain(input_dims=(4, 1, 1, 1), t_feedforward={"A": 2.0, "B": 6.0, "C": 0.0})
    assert model.n_residual_timesteps == 4
    assert courses(model, impulse(4))["C"] == spikes(8, t6=1)


def test_residual_steps_can_be_set_and_set_free():
    model = Chain(input_dims=(4, 1, 1, 1), t_feedforward=2.0)
    model.set_residual_timesteps(7)
    assert model(impulse(4)).shape == (1, 11, 1)
    model.set_residual_timesteps()
    assert model.n_residual_timesteps == 3
    with pytest.raises(InputError, match="max_timesteps=5"):
        model.set_residual_timesteps(6, max_timesteps=5)


@pytest.mark.parametrize("argument", ["t_feedforward", "t_skip", "t_recurrence", "t_feedback"])
def test_a_delay_off_the_grid_is_an_error_that_names_it(argument):
    with pytest.raises(InputError, match=rf"{argument}=3 ms is not a multiple of dt=2 ms.*2 ms and 4 ms"):
        Chain(input_dims=(4, 1, 1, 1), **{argument: 3.0}).plan()


@pytest.mark.parametrize("argument", ["t_recurrence", "t_feedback"])
def test_loops_need_a_delay(argument):
    with pytest.raises(InputError, match=f"{argument}=0 ms is too small; the smallest value allowed is 2 ms"):
        if argument == "t_recurrence":
            RecurrentConnectedConv2d(1, 1, t_recurrence=0.0, dt=2.0)
        else:
            Feedback("C", 1, 1, (1, 1), 0.0, dt=2.0)
    with pytest.raises(InputError, match=f"{argument}=0"):
        create("DyRCNNx4", **{argument: 0.0, "feedback": "additive"})
