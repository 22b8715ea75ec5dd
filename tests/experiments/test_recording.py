"""What an experiment records equals a loop over steps, image by image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.section import validate
from dynvision.experiments import trial as trial_module
from dynvision.experiments.batches import Batch
from dynvision.experiments.run import Session
from dynvision.experiments.screen import BLOCK_BYTES, Screen
from dynvision.experiments.trial import Extent, ResponseRecorder, run_trials
from dynvision.models.dyrcnn import DyRCNN, DyRCNNx2
from dynvision.noise import PixelScale
from dynvision.text import Progress
from dynvision.trials import IMAGE, Segment, Trial
from dynvision.trials.presentation import experiment_trials
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


def video(condition: Trial, images: Tensor, null: Tensor) -> Tensor:
    """What is shown, (B, T, C, H, W)."""

    def frames() -> Iterator[Tensor]:
        for segment in condition.segments:
            for _ in range(segment.n_steps):
                yield null if segment.is_null else images * segment.contrast

    return torch.stack(list(frames()), dim=1)


PROTOCOLS = {
    "contrast": {"parameter": "contrast", "values": [0.0, 0.25, 1.0], "stimulus": {"duration_ms": 6}},
    "duration": {"parameter": "duration_ms", "values": [2, 8, 20]},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_responses_and_outputs_equal_the_textbook_loop(model: DyRCNN, protocol: str) -> None:
    values = {"baseline_ms": 4, "recorded_ms": 20, **PROTOCOLS[protocol]}
    shown = experiment_trials(validate(ExperimentConfig, values, ""), model.dt)
    images = torch.randn(4, 2, 9, 9)
    results = list(run_trials(model, images, shown))
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


def test_a_layer_that_has_not_started_is_zero() -> None:
    extent = Extent(("V1",), n_trials=1, n_images=2, n_steps=3)
    (recorder,) = extent.responses(ResponseRecorder(extent).tensors())
    assert np.array_equal(recorder.mean["V1"], np.zeros((2, 3)))
    assert recorder.mean["V1"].dtype == np.float32


TOGETHER: dict[str, dict[str, Any]] = {
    **PROTOCOLS,
    "noise": {
        "parameter": "ssnr",
        "values": [0.2, 0.6, 1.0],
        "stimulus": {"duration_ms": 16},
        "noise": {"type": "gaussian", "refresh_ms": 4},
    },
    "flicker": {
        "parameter": "frequency_hz",
        "values": [25, 50, 125],
        "stimulus": {"type": "flicker", "duration_ms": 16},
    },
}


@pytest.mark.parametrize("protocol", TOGETHER)
def test_conditions_shown_at_once_are_as_one_after_the_other(model: DyRCNN, protocol: str) -> None:
    """Whatever turns when: three trials at once, two and one, with units, outputs and measures."""
    values = {"baseline_ms": 4, "recorded_ms": 20, **TOGETHER[protocol]}
    shown = experiment_trials(validate(ExperimentConfig, values, ""), model.dt)
    model = model.double()
    screen = screen_of(torch.randn(4, 2, 9, 9, dtype=torch.float64), [3, 1, 7, 2])
    alone = list(run_trials(model, screen, shown, n_kept=2))
    for at_once in (2, 5):
        together = list(run_trials(model, screen, shown, n_kept=2, at_once=at_once))
        assert [trial for trial, _, _ in together] == [trial for trial, _, _ in alone]
        for (_, one, logits), (_, other, others) in zip(alone, together, strict=True):
            torch.testing.assert_close(others, logits, rtol=0, atol=1e-12)
            assert list(other.units) == list(one.units)
            for layer in model.layer_names:
                np.testing.assert_allclose(other.mean[layer], one.mean[layer], rtol=1e-6, atol=1e-7)
                np.testing.assert_allclose(other.sd[layer], one.sd[layer], rtol=1e-6, atol=1e-7)
                np.testing.assert_allclose(other.units[layer], one.units[layer], rtol=0, atol=1e-12)


def test_trials_of_other_lengths_are_shown_apart(model: DyRCNN) -> None:
    lengths = [3, 5, 5, 5]
    shown = [Trial((Segment(n - 1, IMAGE, 0.5), Segment(1)), 2.0, float(k)) for k, n in enumerate(lengths)]
    results = list(run_trials(model, torch.randn(2, 2, 9, 9), shown, at_once=2))
    assert [trial.value for trial, _, _ in results] == [0, 1, 2, 3]
    assert [logits.shape[1] for _, _, logits in results] == lengths


def test_noise_of_a_network_is_the_same_in_all_conditions() -> None:
    """Its numbers depend on the shape of the batch, so that conditions are never put together."""
    torch.manual_seed(0)
    noisy = DyRCNNx2((3, 2, 9, 9), n_classes=3, recurrence_type="self", drive_noise=0.5, dt=2.0).eval()
    shown = [Trial((Segment(4, IMAGE, 0.5),), 2.0, float(value)) for value in range(3)]
    images = torch.randn(2, 2, 9, 9)
    first, second, third = (logits for _, _, logits in run_trials(noisy, images, shown, at_once=3))
    assert first.std() > 0 and torch.equal(first, second) and torch.equal(first, third)


@pytest.mark.parametrize("n_kept", [0, 1])
def test_measures_are_copied_from_the_device_once(
    model: DyRCNN, monkeypatch: pytest.MonkeyPatch, n_kept: int
) -> None:
    """Every copy waits for a GPU: one for the measures, one for the units of a layer and one for the outputs of all
    trials that are shown together, however long they are."""
    shown = [Trial((Segment(2), Segment(9, IMAGE, c), Segment(9)), 2.0, c) for c in (0.25, 0.5, 0.75, 1.0)]
    pixels = torch.ones((1, 1, 1, 1))
    batch = Batch(torch.randn(2, 2, 9, 9), torch.tensor([0, 1]), np.arange(2))
    session = Session(model, shown, PixelScale(0 * pixels, pixels), n_kept, Progress("", 10**6, "trials"), 0)
    copies = []
    real = Tensor.cpu
    monkeypatch.setattr(Tensor, "cpu", lambda x: copies.append(x.shape) or real(x))
    session.show(batch, at_once=2)
    of_units = 2 * n_kept * len(model.layer_names)
    assert len(copies) == 2 + of_units + 2, "measures, units and outputs of two groups"


NOISY = {"type": "gaussian", "ssnr": 0.4, "refresh_ms": 4, "seed": 5}


def noisy_condition(**changes: Any) -> Trial:
    values = {
        "baseline_ms": 4,
        "recorded_ms": 24,
        "stimulus": {"duration_ms": 18},
        "noise": {**NOISY, **changes},
    }
    return experiment_trials(validate(ExperimentConfig, values, ""), dt=2.0)[0]


def screen_of(images: Tensor, indices: list[int]) -> Screen:
    one = torch.ones((1, images.shape[1], 1, 1), dtype=images.dtype)
    return Screen(images, torch.tensor(indices), PixelScale(0.5 * one, 0.2 * one))


def steps_of(screen: Screen, condition: Trial) -> Tensor:
    """All that is shown, (T, B, C, H, W)."""
    null = torch.full_like(screen.images, 0.3)
    return torch.stack([step for frames in screen.frames(condition, null) for step in frames.steps()])


def test_dynamic_noise_is_drawn_anew_every_4_ms_from_onset_on() -> None:
    screen = screen_of(torch.randn(3, 2, 5, 5), [4, 9, 2])
    shown = steps_of(screen, noisy_condition())
    assert len(shown) == 14
    assert (shown[:2] == 0.3).all() and (shown[11:] == 0.3).all()
    on = shown[2:11]
    draws = [on[i] for i in (0, 2, 4, 6, 8)]
    for first, second in ((0, 1), (2, 3), (4, 5), (6, 7)):
        assert torch.equal(on[first], on[second])
    assert all(not torch.allclose(a, b) for i, a in enumerate(draws) for b in draws[:i])


def test_static_noise_is_one_draw() -> None:
    on = steps_of(screen_of(torch.randn(2, 1, 5, 5), [0, 1]), noisy_condition(refresh_ms=0))[2:11]
    assert all(torch.equal(step, on[0]) for step in on)


def test_blocks_are_as_small_as_is_asked_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long trial is never in memory as a whole."""
    screen = screen_of(torch.randn(3, 2, 5, 5), [4, 9, 2])
    whole = steps_of(screen, noisy_condition())
    monkeypatch.setattr("dynvision.experiments.screen.BLOCK_BYTES", 3 * screen.images.nbytes)
    pieces = [frames.n for frames in screen.frames(noisy_condition(), torch.zeros_like(screen.images))]
    assert pieces == [2, 3, 3, 3, 3]
    assert torch.equal(steps_of(screen, noisy_condition()), whole)


def test_600_steps_of_224_px_do_not_exist_at_once() -> None:
    """Each block is made when it is asked for, and takes no more than its bound."""
    screen = screen_of(torch.randn(2, 3, 224, 224), [0, 1])
    values = {"recorded_ms": 1200, "stimulus": {"duration_ms": 1200}, "noise": {**NOISY, "refresh_ms": 2}}
    (condition,) = experiment_trials(validate(ExperimentConfig, values, ""), dt=2.0)
    blocks = screen.frames(condition, torch.zeros_like(screen.images))
    first = [next(blocks) for _ in range(3)]
    assert max(frames.values.nbytes for frames in first) <= BLOCK_BYTES
    assert condition.n_steps * screen.images.nbytes > 10 * BLOCK_BYTES


def test_noise_depends_on_image_value_draw_and_seed_and_not_on_the_batch() -> None:
    images = torch.randn(4, 2, 5, 5)
    condition = noisy_condition()
    whole = steps_of(screen_of(images, [7, 3, 8, 1]), condition)
    part = steps_of(screen_of(images[2:], [8, 1]), condition)
    assert torch.allclose(whole[:, 2:], part, atol=1e-6)
    same = images[:1].expand(2, -1, -1, -1)
    one, other = steps_of(screen_of(same, [7, 3]), condition)[2]
    assert not torch.allclose(one, other)
    reseeded = steps_of(screen_of(images, [7, 3, 8, 1]), noisy_condition(seed=6))
    assert not torch.allclose(whole[2], reseeded[2])


def test_two_values_have_noise_of_their_own() -> None:
    values = {"parameter": "contrast", "values": [0.5, 1.0], "stimulus": {"duration_ms": 8}, "noise": NOISY}
    low, high = experiment_trials(validate(ExperimentConfig, values, ""), dt=2.0)
    screen = screen_of(torch.randn(1, 1, 6, 6), [0])
    noise = [steps_of(screen, c)[1] - c.value * screen.images for c in (low, high)]
    assert not torch.allclose(noise[0], noise[1])
    assert noise[0].std().item() == pytest.approx(noise[1].std().item(), rel=0.5)


@pytest.mark.parametrize(
    ("parameter", "values"), [("feedforward_only", [False, True]), ("checkpoint", [1, 2])]
)
def test_networks_that_are_compared_see_the_same_noise(parameter: str, values: list[float]) -> None:
    given = {"parameter": parameter, "values": values, "stimulus": {"duration_ms": 8}, "noise": NOISY}
    one, other = experiment_trials(validate(ExperimentConfig, given, ""), dt=2.0)
    screen = screen_of(torch.randn(2, 1, 6, 6), [0, 1])
    assert torch.equal(steps_of(screen, one), steps_of(screen, other))


def test_a_mask_follows_the_image_and_is_the_same_in_every_condition() -> None:
    stimulus = {"type": "masked", "duration_ms": 4, "mask_duration_ms": 6, "mask_contrast": 0.5}
    values = {"parameter": "soa_ms", "values": [6, 10, 40], "recorded_ms": 40, "stimulus": stimulus}
    early, late, never = experiment_trials(validate(ExperimentConfig, values, ""), dt=2.0)
    screen = screen_of(torch.randn(2, 1, 6, 6), [0, 1])
    masks = [steps_of(screen, early)[4], steps_of(screen, late)[6]]
    assert torch.equal(masks[0], masks[1])
    half = 0.25 * screen.images.flatten(1).var(dim=1, correction=0)
    assert torch.allclose(masks[0].flatten(1).square().mean(dim=1), half, rtol=1e-4)
    assert early.shown == ["blank"] + 2 * ["image"] + ["blank"] + 3 * ["mask"] + 14 * ["blank"]
    assert early.stimulus_on == [shown == "image" for shown in early.shown]
    assert set(never.shown) == {"blank", "image"}


def test_noisy_trials_equal_the_textbook_loop(model: DyRCNN) -> None:
    images = torch.randn(2, 2, 9, 9)
    screen = screen_of(images, [0, 1])
    condition = noisy_condition()
    ((_, recorder, logits),) = run_trials(model, screen, [condition])
    shown = torch.cat(
        [f.folded().unflatten(0, (f.n, -1)) for f in screen.frames(condition, model.null_input(2))]
    )
    with torch.no_grad():
        loop_logits, activity = textbook_loop(model, shown.transpose(0, 1), n_residual=0)
    torch.testing.assert_close(logits, loop_logits, rtol=1e-4, atol=1e-6)
    for layer, steps in activity.items():
        means = [torch.zeros(2) if r is None else r.abs().flatten(1).mean(dim=1) for r in steps]
        wanted = torch.stack(means, dim=1).numpy()
        assert recorder.mean[layer] == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_records_of_a_device_are_made_when_they_are_asked_for(
    model: DyRCNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the first trials are there while later ones are computed; progress counts what is there."""
    shown = [Trial((Segment(2), Segment(9, IMAGE, c)), 2.0, c) for c in (0.25, 0.5, 0.75)]
    pixels = torch.ones((1, 1, 1, 1))
    batch = Batch(torch.randn(2, 2, 9, 9), torch.tensor([0, 1]), np.arange(2))
    done: list[int] = []
    progress = Progress("", 10**6, "trials")
    monkeypatch.setattr(progress, "at", done.append)
    expected = list(Session(model, shown, PixelScale(0 * pixels, pixels), 0, progress, 10).show(batch)())
    assert done == [12, 14, 16]
    waited: list[str] = []

    class Event:
        def synchronize(self) -> None:
            waited.append("")

    monkeypatch.setattr(trial_module, "to_host", lambda logits, kept: (logits, kept, Event()))
    records = Session(model, shown, PixelScale(0 * pixels, pixels), 0, progress, 10).show(batch, 2)()
    assert not waited and len(done) == 3
    first = next(records)
    assert len(waited) == 1 and done[3:] == [12]
    made = [first, *records]
    assert len(waited) == 2 and done[3:] == [12, 14, 16]
    for record, other in zip(made, expected, strict=True):
        assert record.trial == other.trial
        torch.testing.assert_close(record.logits, other.logits)
