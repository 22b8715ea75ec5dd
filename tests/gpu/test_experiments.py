"""Trials of an experiment on a GPU, before and after they are captured: measures, units and outputs of a CPU in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from dynvision.base.cuda_graphs import EAGER_CALLS
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.section import validate
from dynvision.experiments.batches import Batch
from dynvision.experiments.run import Session
from dynvision.experiments.screen import Screen
from dynvision.experiments.trial import from_idle_state, run_trials, show_trials
from dynvision.models import create
from dynvision.noise import PixelScale
from dynvision.text import Progress
from dynvision.trials import IMAGE, Segment, Trial
from dynvision.trials.presentation import experiment_trials
from tests.base.networks import randomize
from tests.gpu.device import DEVICE, NEEDS_GPU

pytestmark = NEEDS_GPU

TRIALS = [Trial((Segment(2), Segment(5, IMAGE, c), Segment(4)), 2.0, c) for c in (0.1, 0.25, 0.5, 0.75, 1.0)]


def images_of(seed: int) -> torch.Tensor:
    return torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "dynamics",
    [{}, {"t_idle": 10.0}, {"feedback": "additive", "t_feedback": 4.0}, {"intrinsic_suppression": 0.5}],
)
@pytest.mark.parametrize("n_kept", [0, 2])
def test_an_experiment_is_that_of_a_cpu(dynamics: dict[str, Any], n_kept: int) -> None:
    torch.manual_seed(0)
    model = create("DyRCNNx4", input_dims=(4, 3, 16, 16), n_classes=4, **dynamics)
    model = randomize(model, gain=0.5).eval()
    exact = copy.deepcopy(model).double()
    model = model.to(DEVICE)
    with torch.backends.cudnn.flags(allow_tf32=False):
        runs = from_idle_state(model)
        for seed in range(EAGER_CALLS + 3):  # groups of two and one are captured in turn
            screen = Screen.of(images_of(seed), torch.device(DEVICE))
            expected = list(run_trials(exact, images_of(seed).double(), TRIALS, n_kept))
            shown = [*show_trials(runs, screen, TRIALS, n_kept, at_once=2)]
            found = [one for trials in shown for one in trials.results()]
            for (trial, ours, logits), (other, theirs, outputs) in zip(found, expected, strict=True):
                assert trial == other
                torch.testing.assert_close(logits.double(), outputs, rtol=1e-3, atol=1e-4)
                for layer in theirs.mean:
                    np.testing.assert_allclose(ours.mean[layer], theirs.mean[layer], rtol=1e-3, atol=1e-5)
                    np.testing.assert_allclose(ours.sd[layer], theirs.sd[layer], rtol=1e-3, atol=1e-5)
                for layer in theirs.units:
                    np.testing.assert_allclose(ours.units[layer], theirs.units[layer], rtol=1e-2, atol=1e-3)
    if DEVICE == "cuda":
        assert len(model._graphs) == (0 if n_kept else 2)


def test_what_a_replay_hands_out_is_not_overwritten_by_the_next() -> None:
    torch.manual_seed(0)
    model = create("DyRCNNx2", input_dims=(4, 3, 16, 16), n_classes=4).to(DEVICE).eval()
    runs = from_idle_state(model)
    screen = Screen.of(images_of(0), torch.device(DEVICE))
    at_the_end = [shown for _ in range(4) for shown in show_trials(runs, screen, TRIALS)]
    for number, shown in enumerate(at_the_end):
        ((trial, responses, logits),) = shown.results()
        ((_, alone, outputs),) = run_trials(model, screen, [trial])
        torch.testing.assert_close(logits, outputs, rtol=1e-2, atol=1e-3, msg=f"trial {number}")
        for layer in alone.mean:
            np.testing.assert_allclose(responses.mean[layer], alone.mean[layer], rtol=1e-2, atol=1e-4)


@pytest.mark.skipif(DEVICE == "cpu", reason="a CPU is never waited for")
@pytest.mark.parametrize("noise", [None, "gaussian"])
def test_a_gpu_is_not_waited_for_until_results_are_asked_for(noise: str | None) -> None:
    torch.manual_seed(0)
    model = create("DyRCNNx2", input_dims=(4, 3, 16, 16), n_classes=4).to(DEVICE).eval()
    values = {
        "recorded_ms": 24,
        "stimulus": {"duration_ms": 16},
        "values": [0.2, 0.6, 1.0],
        "parameter": "contrast",
    }
    if noise:
        values |= {"noise": {"type": noise, "ssnr": 0.4, "refresh_ms": 4}}
    shown = experiment_trials(validate(ExperimentConfig, values, ""), model.dt)
    one = torch.ones((1, 3, 1, 1), device=DEVICE)
    session = Session(model, shown, PixelScale(0.5 * one, 0.2 * one), 0, Progress("", 10**6, "trials"), 0)
    batch = Batch(images_of(0), torch.arange(6) % 4, np.arange(6))
    for _ in range(EAGER_CALLS + 1):
        list(session.show(batch, 2)())
    torch.cuda.set_sync_debug_mode("error")
    try:
        results = session.show(batch, 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [record.trial.value for record in results()] == [0.2, 0.6, 1.0]
