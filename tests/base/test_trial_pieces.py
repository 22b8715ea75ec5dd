"""Trials in pieces, as they run in a CUDA graph: here a graph is what was run first under its key, on other tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from dynvision.base import Frames, trial_pieces
from dynvision.base.cuda_graphs import MOST_GRAPHS, CudaGraphs
from dynvision.base.trial_pieces import PiecewiseTrials, take
from dynvision.experiments.screen import Screen
from dynvision.experiments.trial import from_idle_state, run_trials, show_trials
from dynvision.models import create
from dynvision.trials import IMAGE, Segment, Trial

LENGTHS = {"delays": {"t_feedforward": 4.0, "t_idle": 6.0}, "suppression": {"intrinsic_suppression": 0.5}}


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """What was captured, by key: what comes again under it runs the function of the first call, as a graph would."""
    kept: dict[Any, Any] = {}

    def run(self: Any, model: Any, key: Any, trial: Any, inputs: Any, watch: Any) -> Any:
        graph = kept.setdefault((key, *(x.shape for x in inputs)), trial)
        seen: list[tuple[str, str, Frames]] = []
        observers = {
            quantity: lambda layer, frames, q=quantity: seen.append((q, layer, frames)) for quantity in watch
        }
        outputs = graph([x.clone() for x in inputs], observers)
        for quantity, layer, frames in seen:
            watch[quantity](layer, frames.apply(torch.clone))
        return outputs.clone()

    monkeypatch.setattr(CudaGraphs, "run", run)
    monkeypatch.setattr(PiecewiseTrials, "_captures", True)
    return kept


def network(**dynamics: Any) -> Any:
    torch.manual_seed(0)
    return create("DyRCNNx2", input_dims=(4, 1, 8, 8), n_classes=3, **dynamics).eval()


def contrasts(values: Sequence[float], n_on: int = 4) -> list[Trial]:
    return [Trial((Segment(3), Segment(n_on, IMAGE, c), Segment(9 - n_on)), 2.0, c) for c in values]


def screen(n: int = 2, seed: int = 1) -> Screen:
    images = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return Screen.of(images, torch.device("cpu"))


def same(found: Sequence[Any], expected: Sequence[Any]) -> None:
    for (trial, ours, logits), (other, theirs, outputs) in zip(found, expected, strict=True):
        assert trial == other and torch.equal(logits, outputs) and list(ours.units) == list(theirs.units)
        for layer in ours.mean:
            assert (ours.mean[layer] == theirs.mean[layer]).all() and (
                ours.sd[layer] == theirs.sd[layer]
            ).all()


@pytest.mark.parametrize("dynamics", LENGTHS)
@pytest.mark.parametrize("at_once", [1, 2])
def test_a_graph_is_given_all_that_changes(dynamics: str, at_once: int, captured: dict[Any, Any]) -> None:
    """Other contrasts and other images run the graph of the first, and are what they are without one."""
    model = network(**LENGTHS[dynamics])
    runs, shown = from_idle_state(model), contrasts([0.25, 0.5, 1.0])
    for seed in (1, 2):
        with pytest.MonkeyPatch.context() as without:
            without.setattr(PiecewiseTrials, "_captures", False)
            expected = list(run_trials(model, screen(seed=seed), shown, at_once=at_once))
        together = show_trials(runs, screen(seed=seed), shown, at_once=at_once)
        same([one for trials in together for one in trials.results()], expected)
    assert len(captured) == at_once, "trials of one batch, and those that are left over"


def test_units_are_kept_outside_of_graphs(captured: dict[Any, Any]) -> None:
    list(run_trials(network(), screen(), contrasts([0.5, 1.0]), n_kept=1))
    assert not captured


def test_no_more_kinds_of_trials_are_captured_than_there_can_be_graphs(captured: dict[Any, Any]) -> None:
    """One more would be captured anew at each batch, in the place of one that is needed next."""
    shown = [contrasts([1.0], n)[0] for n in (1, 2, 3, 4, 5, 6, 7, 8)]
    shown += [Trial((Segment(12, IMAGE, 0.5),), 2.0, 0.0), *contrasts([0.5])]
    model = network()
    runs = from_idle_state(model)
    for _ in range(2):
        list(show_trials(runs, screen(), shown))
    assert len(captured) == MOST_GRAPHS


def test_a_trial_that_is_too_large_is_never_in_memory_as_a_whole(
    captured: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    frame = torch.randn(2, 1, 8, 8)
    monkeypatch.setattr(trial_pieces, "MOST_BYTES", 3 * frame.nbytes)
    made: list[int] = []
    ran: list[int] = []

    def pieces() -> Iterator[Frames]:
        for k in range(8):
            made.append(k)
            yield Frames(0, 1, k * frame, constant=True)

    real = type(model).advance
    monkeypatch.setattr(type(model), "advance", lambda *a, **k: ran.append(len(made)) or real(*a, **k))
    with torch.no_grad():
        outputs, kept = from_idle_state(model).run(pieces())
    assert outputs.shape == (2, 8, 3) and not kept and not captured
    assert ran == [4, 4, 4, 4, 5, 6, 7, 8], "pieces that exist when each of them runs"


def test_pieces_are_taken_up_to_a_bound() -> None:
    frames = [Frames(0, 1, torch.zeros(1, 1, 2, 2)) for _ in range(4)]
    assert take(iter(frames), 64) == (frames, True)
    rest = iter(frames)
    assert take(rest, 20) == (frames[:2], False) and list(rest) == frames[2:]


def test_the_idle_state_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(t_idle=4.0)
    begun: list[int] = []
    real = type(model).initial_state
    monkeypatch.setattr(
        type(model), "initial_state", lambda self, n, plan: begun.append(n) or real(self, n, plan)
    )
    runs = from_idle_state(model)
    for _ in range(3):
        list(show_trials(runs, screen(), contrasts([0.5, 1.0])))
    assert begun == [1]


def test_a_recorder_without_a_key_runs_without_a_graph(captured: dict[Any, Any]) -> None:
    seen: list[tuple[str, int, int]] = []

    class Recorder:
        def __call__(self, layer: str, frames: Frames) -> None:
            seen.append((layer, frames.first, frames.end))

        def tensors(self) -> dict[str, torch.Tensor]:
            return {}

    image = torch.randn(2, 1, 8, 8)
    pieces = [Frames(0, 2, image, constant=True), Frames(0, 3, image, constant=True)]
    with torch.inference_mode():
        from_idle_state(network()).run(pieces, partial(Recorder))
    assert not captured
    assert min(first for _, first, _ in seen) == 0 and max(end for _, _, end in seen) == 5


def test_padded_channels_are_seen_by_no_recorder(
    captured: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU in 16 bits: measures, units and outputs are those of the true channels."""
    model, shown = network(t_idle=4.0).double(), contrasts([0.5, 1.0])
    images = Screen.of(screen().images.double(), torch.device("cpu"))
    expected = list(run_trials(model, images, shown, n_kept=1))
    monkeypatch.setattr(trial_pieces, "pads_here", lambda x: True)
    assert from_idle_state(model).plan.padded
    for n_kept in (0, 1):
        found = list(run_trials(model, images, shown, n_kept=n_kept))
        for (_, ours, logits), (_, theirs, outputs) in zip(found, expected, strict=True):
            torch.testing.assert_close(logits, outputs, rtol=1e-12, atol=1e-12)
            for layer in theirs.mean:
                np.testing.assert_allclose(ours.mean[layer], theirs.mean[layer], rtol=1e-6)
                np.testing.assert_allclose(ours.sd[layer], theirs.sd[layer], rtol=1e-6)
            for layer in ours.units:
                np.testing.assert_allclose(ours.units[layer], theirs.units[layer], rtol=1e-12, atol=1e-12)
    assert len(captured) == 1
