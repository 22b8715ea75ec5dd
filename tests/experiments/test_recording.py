"""What an experiment records equals a loop over steps, image by image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.section import validate
from dynvision.experiments.protocol import Condition, Stretch, conditions
from dynvision.experiments.recorder import ResponseRecorder
from dynvision.experiments.trial import run_conditions
from dynvision.models.dyrcnn import DyRCNN, DyRCNNx2
from tests.textbook_loop import textbook_loop


@pytest.fixture(params=["cascade", "delays"])
def model(request: pytest.FixtureRequest) -> DyRCNN:
    """A small network; with delays, its later layers start late and the idle time ends before all has arrived."""
    torch.manual_seed(0)
    arguments = {
        "cascade": {"t_idle": 8.0, "t_recurrence": 2.0},
        "delays": {
            "t_idle": 4.0,
            "t_recurrence": 4.0,
            "t_feedforward": 6.0,
            "t_skip": 2.0,
            "feedback": "additive",
        },
    }[request.param]
    made = DyRCNNx2(
        (3, 2, 9, 9), n_classes=3, recurrence_type="self", non_input_value=0.3, dt=2.0, **arguments
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.2 * torch.randn_like(parameter))
    return made.eval()


def video(condition: Condition, images: Tensor, null: Tensor) -> Tensor:
    """What is shown, (B, T, C, H, W)."""

    def frames() -> Iterator[Tensor]:
        for stretch in condition.stretches:
            for _ in range(stretch.n_steps):
                yield null if stretch.contrast is None else images * stretch.contrast

    return torch.stack(list(frames()), dim=1)


PROTOCOLS = {
    "contrast": {"parameter": "contrast", "values": [0.0, 0.25, 1.0], "stimulus": {"duration_ms": 6}},
    "duration": {"parameter": "duration_ms", "values": [2, 8, 20]},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_responses_and_outputs_equal_the_textbook_loop(model: DyRCNN, protocol: str) -> None:
    values = {"baseline_ms": 4, "recorded_ms": 20, **PROTOCOLS[protocol]}
    shown = conditions(validate(ExperimentConfig, values, ""), model.dt)
    images = torch.randn(4, 2, 9, 9)
    results = list(run_conditions(model, images, shown))
    assert [condition.value for condition, _, _ in results] == [condition.value for condition in shown]
    for condition, recorder, logits in results:
        with torch.no_grad():
            loop_logits, activity = textbook_loop(
                model, video(condition, images, model.null_input(4)), n_residual=0
            )
        torch.testing.assert_close(logits, loop_logits, rtol=1e-4, atol=1e-6)
        assert list(recorder.mean) == model.layer_names
        for layer, steps in activity.items():
            assert recorder.mean[layer].shape == recorder.sd[layer].shape == (4, 12)
            for step, r in enumerate(steps):
                for image in range(4):
                    units = np.zeros(1) if r is None else r[image].abs().double().numpy().ravel()
                    assert recorder.mean[layer][image, step] == pytest.approx(
                        units.mean(), rel=1e-4, abs=1e-6
                    )
                    assert recorder.sd[layer][image, step] == pytest.approx(units.std(), rel=1e-4, abs=1e-6)


def test_responses_equal_a_loop_over_single_steps(model: DyRCNN) -> None:
    """The same with ``model.step``, as a user would do it."""
    condition = Condition(0.5, (Stretch(2), Stretch(3, 0.5), Stretch(4)))
    images = torch.randn(2, 2, 9, 9)
    ((_, recorder, logits),) = run_conditions(model, images, [condition])
    frames = video(condition, images, model.null_input(2))
    state = model.initial_state(2)
    with torch.no_grad():
        for step in range(condition.n_steps):
            guess, state = model.step(frames[:, step], state)
            torch.testing.assert_close(guess, logits[:, step], rtol=1e-4, atol=1e-6)
            for layer in model.layer_names:
                trace = state.traces.get(layer)
                newest = None if trace is None else trace.last()
                wanted = torch.zeros(2) if newest is None else newest.abs().flatten(1).mean(dim=1)
                assert recorder.mean[layer][:, step] == pytest.approx(wanted.numpy(), rel=1e-4, abs=1e-6)


def test_the_response_to_a_blank_does_not_depend_on_the_image(model: DyRCNN) -> None:
    blank = Condition(0.0, (Stretch(9),))
    ((_, recorder, logits),) = run_conditions(model, torch.randn(3, 2, 9, 9), [blank])
    for layer in model.layer_names:
        assert np.ptp(recorder.mean[layer], axis=0).max() == 0
    assert torch.equal(logits[0], logits[1])


def test_contrast_zero_is_mean_grey_and_not_the_blank(model: DyRCNN) -> None:
    """The null input of this network is 0.3; an image of contrast 0 is 0 everywhere."""
    images = torch.randn(2, 2, 9, 9)
    shown = [
        Condition(0.0, (Stretch(4, 0.0),)),
        Condition(0.0, (Stretch(4),)),
        Condition(0.0, (Stretch(4, 1.0),)),
    ]
    zero, blank, grey = (
        recorder.mean["layer1"]
        for pixels, condition in zip((images, images, torch.zeros_like(images)), shown, strict=True)
        for _, recorder, _ in run_conditions(model, pixels, [condition])
    )
    assert np.array_equal(zero, grey)
    assert not np.allclose(zero, blank)


def test_conditions_do_not_remember_each_other(model: DyRCNN) -> None:
    images = torch.randn(2, 2, 9, 9)
    shown = [Condition(c, (Stretch(1), Stretch(3, c), Stretch(2))) for c in (1.0, 0.5, 1.0)]
    first, _, third = (recorder.mean["layer2"] for _, recorder, _ in run_conditions(model, images, shown))
    assert np.array_equal(first, third)


def test_batches_do_not_matter(model: DyRCNN) -> None:
    images = torch.randn(5, 2, 9, 9)
    condition = Condition(1.0, (Stretch(2), Stretch(3, 1.0), Stretch(2)))
    ((_, together, _),) = run_conditions(model, images, [condition])
    alone = [next(iter(run_conditions(model, image[None], [condition])))[1] for image in images]
    for layer in model.layer_names:
        rows = np.concatenate([recorder.mean[layer] for recorder in alone])
        assert together.mean[layer] == pytest.approx(rows, rel=1e-4, abs=1e-6)


def test_a_layer_that_has_not_started_is_zero() -> None:
    recorder = ResponseRecorder(["V1"], batch=2, n_steps=3)
    assert np.array_equal(recorder.mean["V1"], np.zeros((2, 3)))
    assert recorder.mean["V1"].dtype == np.float32
